"""Declared checks of whatever speaks S3."""

import asyncio
import contextlib
import hashlib
import io
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field, model_validator

from carbon_platform import expressions
from carbon_platform.checks.step import Answer, Session, Step, shortened
from carbon_platform.checks.steps import ServerSteps
from carbon_platform.cluster.reach import Reach
from carbon_platform.errors import CheckFailed
from carbon_platform.source import Place

_LARGEST = 16 << 20
_MOST_OBJECTS = 1000
"""Of a listing: what a check asks for is small."""
_OTHER_KEYS = "the Secret and the server differ in their keys: restart the server, which reads the Secret at its start"
_FIXES = {
    "SignatureDoesNotMatch": _OTHER_KEYS,
    "InvalidAccessKeyId": _OTHER_KEYS,
    "XAdminUserNotFound": _OTHER_KEYS,
    "AccessDenied": f"the account has no right to this or the server is read-only; or {_OTHER_KEYS}",
    "NoSuchBucket": "the bucket is missing: re-apply the release, which makes the declared buckets",
    "XMinioStorageFull": "the volume is full: free space, or enlarge it",
}
_ABSENT = frozenset({"NoSuchKey", "NoSuchObject"})
_VERBS = ("put", "get", "stat", "delete", "list", "make")


class S3Step(Step):
    """One request of an object store. What its `answer` has stands with each."""

    bucket: str = Field("", description="Where; not said, the buckets themselves are listed: `answer.buckets`.")
    put: str | None = Field(None, description="Key of an object that is stored: `answer.sha256`, `answer.size`.")
    get: str | None = Field(None, description="Key of an object that is read: `answer.sha256`, `answer.size`.")
    stat: str | None = Field(None, description="Key of an object that is looked for: `answer.there`.")
    delete: str | None = Field(None, description="Key of an object that is removed; nothing when it is gone already.")
    list: str | None = Field(None, description="Prefix of the keys that are listed: `answer.keys`.")
    make: bool = Field(False, description="Make the bucket, unless it is there.")
    random: int = Field(0, ge=0, le=_LARGEST, description="Store so many random bytes.")
    content: str = Field("", description="Store this text.")

    @model_validator(mode="after")
    def _one_request(self) -> "S3Step":
        said = [verb for verb in _VERBS if getattr(self, verb) not in (None, False)]
        if len(said) > 1 or bool(said) != bool(self.bucket):
            raise ValueError(f"say a bucket and one of {', '.join(_VERBS)}; or neither")
        return self

    @property
    def verb(self) -> str:
        """What is done."""
        return next((verb for verb in _VERBS if getattr(self, verb) not in (None, False)), "buckets")

    @property
    def key(self) -> str:
        """To which key or prefix."""
        found = getattr(self, self.verb, None)
        return found if isinstance(found, str) else ""

    @property
    def title(self) -> str:
        """What is done, and to what."""
        return f"{self.verb} {self.bucket}{f'/{self.key}' if self.key else ''}".strip()

    def requests(self) -> Iterator[tuple[Place, Any]]:
        """Bucket, key and content."""
        yield ("bucket",), self.bucket
        yield (self.verb,), self.key
        yield ("content",), self.content


class S3Objects(ServerSteps[S3Step]):
    """Requests of an object store one after the other, what is expected of each, and what is always done at the end."""

    summary: ClassVar[str] = "The object store keeps and gives what is expected."

    access_key: str = Field(description="Such as `${secret.access}`.")
    secret_key: str = Field(description="Such as `${secret.secret}`.")  # as S3 calls it
    region: str = "us-east-1"

    def said(self) -> Mapping[Place, Any]:
        """The keys."""
        return {("access_key",): self.access_key, ("secret_key",): self.secret_key}

    @contextlib.asynccontextmanager
    async def session(self, reach: Reach, values: Mapping[str, str]) -> AsyncIterator[Session]:
        """One pool of connections for all steps."""
        import minio
        import urllib3

        host, port = await reach.endpoint(self.endpoint)
        with urllib3.PoolManager(timeout=urllib3.Timeout(connect=5, read=20), retries=False) as pool:
            client = minio.Minio(
                f"{host}:{port}",
                access_key=expressions.fill(self.access_key, values),
                secret_key=expressions.fill(self.secret_key, values),
                secure=reach.scheme(self.endpoint) == "https",
                region=self.region,
                http_client=pool,
            )
            yield _S3(client)


class _S3:
    def __init__(self, client: Any) -> None:
        self._client = client

    async def ask(self, step: Step, values: Mapping[str, Any]) -> Answer:
        """One request, in a thread: the client blocks."""
        import minio.error
        import urllib3

        assert isinstance(step, S3Step)
        bucket, key = expressions.fill(step.bucket, values), expressions.fill(step.key, values)
        content = secrets.token_bytes(step.random) if step.random else expressions.fill(step.content, values).encode()
        work: Callable[[], Mapping[str, Any]] = getattr(_Requests(self._client, bucket, key, content), step.verb)
        began = time.perf_counter()
        try:
            value = await asyncio.to_thread(work)
        except minio.error.S3Error as error:
            fix = _FIXES.get(str(error.code), "see the server's log")
            raise CheckFailed(f"{step.title}: refused", f"{error.code}: {error.message}", fix) from error
        except (minio.error.MinioException, urllib3.exceptions.HTTPError, ValueError) as error:
            cause = f"{type(error).__name__}: {error}"
            raise CheckFailed(f"{step.title}: no sensible answer", cause, "see the server's log") from error
        told = ", ".join(f"{name} {shortened(str(one))}" for name, one in value.items()) or "done"
        return Answer({**value, "ms": round((time.perf_counter() - began) * 1000, 2)}, told)


class _Requests:
    """The requests, by their names in a definition; each gives what `answer` has."""

    def __init__(self, client: Any, bucket: str, key: str, content: bytes) -> None:
        self._client, self._bucket, self._key, self._content = client, bucket, key, content

    def buckets(self) -> Mapping[str, Any]:
        return {"buckets": [bucket.name for bucket in self._client.list_buckets()]}

    def make(self) -> Mapping[str, Any]:
        from minio.error import S3Error

        if not self._client.bucket_exists(self._bucket):
            try:
                self._client.make_bucket(self._bucket)
            except S3Error as error:  # another check was first
                if error.code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                    raise
        return {}

    def put(self) -> Mapping[str, Any]:
        self._client.put_object(self._bucket, self._key, io.BytesIO(self._content), len(self._content))
        return _sum(self._content)

    def get(self) -> Mapping[str, Any]:
        response = self._client.get_object(self._bucket, self._key)
        try:
            return _sum(bytes(response.read(_LARGEST)))
        finally:
            response.close()
            response.release_conn()

    def stat(self) -> Mapping[str, Any]:
        from minio.error import S3Error

        try:
            self._client.stat_object(self._bucket, self._key)
        except S3Error as error:
            if error.code in _ABSENT:
                return {"there": False}
            raise
        return {"there": True}

    def delete(self) -> Mapping[str, Any]:
        self._client.remove_object(self._bucket, self._key)
        return {}

    def list(self) -> Mapping[str, Any]:
        found = self._client.list_objects(self._bucket, self._key, recursive=True)
        return {"keys": [one.object_name for one, _ in zip(found, range(_MOST_OBJECTS), strict=False)]}


def _sum(content: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}


CHECKS = {"objects": S3Objects}
