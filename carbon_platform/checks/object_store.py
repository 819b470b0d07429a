"""Checks of an object store with an S3 API: that objects are kept as they were written, and that buckets are there."""

import asyncio
import datetime
import hashlib
import io
import secrets
import time
import uuid
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from pydantic import Field

from carbon_platform.checks.base import Check, Passed
from carbon_platform.cluster.reach import Reach
from carbon_platform.errors import CheckFailed
from carbon_platform.wording import counted

_Result = TypeVar("_Result")
_STALE = datetime.timedelta(hours=1)
_OTHER_KEYS = "the Secret and the server differ in their keys: restart the server, which reads the Secret at its start"
_FIXES = {
    "SignatureDoesNotMatch": _OTHER_KEYS,
    "InvalidAccessKeyId": _OTHER_KEYS,
    "XAdminUserNotFound": _OTHER_KEYS,
    "AccessDenied": f"the account has no right to this or the server is read-only; or {_OTHER_KEYS}",
    "NoSuchBucket": "the bucket is missing: re-apply the release, which makes the declared buckets",
    "XMinioStorageFull": "the volume is full: free space, or enlarge it",
}


class ObjectStoreCheck(Check):
    """What every check of the object store needs to know: where the keys are."""

    secret: str = Field("object-store-credentials", description="Secret with the keys.")
    access_key: str = Field("access-key", description="Key of the access key in it.")
    secret_key: str = Field("secret-key", description="Key of the secret key in it.")
    region: str = "us-east-1"

    async def call(self, reach: Reach, work: Callable[[Any], _Result]) -> _Result:
        """Run blocking work with a client in a thread; errors of the store become CheckFailed."""
        import minio
        import urllib3
        from minio.error import MinioException, S3Error

        host, port = await reach.endpoint()
        access = await reach.secret(self.secret, self.access_key)
        secret = await reach.secret(self.secret, self.secret_key)
        with urllib3.PoolManager(timeout=urllib3.Timeout(connect=5, read=20), retries=False) as pool:
            client = minio.Minio(
                f"{host}:{port}", access_key=access, secret_key=secret, secure=False, region=self.region,
                http_client=pool,
            )  # fmt: skip
            try:
                return await asyncio.to_thread(work, client)
            except S3Error as error:
                raise CheckFailed(
                    "the object store refused", f"{error.code}: {error.message}",
                    _FIXES.get(str(error.code), "see the server's log"),
                ) from error  # fmt: skip
            except (MinioException, urllib3.exceptions.HTTPError, ValueError) as error:
                raise CheckFailed(
                    "the object store gave no sensible answer", f"{type(error).__name__}: {error}",
                    "see the server's log",
                ) from error  # fmt: skip


class Roundtrip(ObjectStoreCheck):
    """An object of random content is stored, read back equal, and gone after its removal.

    The probe bucket stays; objects that killed probes left there are removed after an hour.
    """

    summary: ClassVar[str] = "An object is stored, read back byte for byte, and removed."

    bucket: str = Field("carbon-probe", description="Bucket for probes; made if it is missing.")
    size: int = Field(65536, ge=1, le=16 << 20, description="Bytes to write.")

    async def run(self, reach: Reach) -> Passed:
        return await self.call(reach, self._roundtrip)

    def _roundtrip(self, client: Any) -> Passed:
        if not client.bucket_exists(self.bucket):
            _make_bucket(client, self.bucket)
        key, content = f"probe/{uuid.uuid4()}", secrets.token_bytes(self.size)
        began = time.perf_counter()
        try:
            client.put_object(self.bucket, key, io.BytesIO(content), len(content))
            written = time.perf_counter()
            found = _read(client, self.bucket, key)
            read = time.perf_counter()
        finally:
            client.remove_object(self.bucket, key)
        compare(content, found)
        _gone(client, self.bucket, key)
        return Passed(
            f"{self.size} bytes stored, read back and removed",
            {
                "bytes": self.size,
                "put_ms": round((written - began) * 1000, 2),
                "get_ms": round((read - written) * 1000, 2),
                "latency_ms": round((time.perf_counter() - began) * 1000, 2),
                "stale_objects_removed": sweep(client, self.bucket, datetime.datetime.now(datetime.UTC) - _STALE),
            },
        )


def _make_bucket(client: Any, bucket: str) -> None:
    from minio.error import S3Error

    try:
        client.make_bucket(bucket)
    except S3Error as error:  # another probe was first
        if error.code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
            raise


def _read(client: Any, bucket: str, key: str) -> bytes:
    response = client.get_object(bucket, key)
    try:
        return bytes(response.read())
    finally:
        response.close()
        response.release_conn()


def compare(written: bytes, read: bytes) -> None:
    if written == read:
        return
    sums = [hashlib.sha256(content).hexdigest()[:12] for content in (written, read)]
    raise CheckFailed(
        "the object store gave back other content than was stored",
        f"{len(written)} bytes ({sums[0]}…) were written, {len(read)} bytes ({sums[1]}…) read",
        "see the server's log and the health of its volume",
    )


def _gone(client: Any, bucket: str, key: str) -> None:
    from minio.error import S3Error

    try:
        client.stat_object(bucket, key)
    except S3Error as error:
        if error.code in ("NoSuchKey", "NoSuchObject"):
            return
        raise
    raise CheckFailed("the object store kept an object that was removed", f"{bucket}/{key} is still there")


def sweep(client: Any, bucket: str, before: datetime.datetime) -> int:
    old = [o.object_name for o in client.list_objects(bucket, "probe/") if o.last_modified and o.last_modified < before]
    for name in old:
        client.remove_object(bucket, name)
    return len(old)


class Buckets(ObjectStoreCheck):
    """Every bucket that consumers need is there and can be listed."""

    summary: ClassVar[str] = "The declared buckets exist and can be listed."

    buckets: list[str] = Field(min_length=1)

    async def run(self, reach: Reach) -> Passed:
        return await self.call(reach, self._look)

    def _look(self, client: Any) -> Passed:
        began = time.perf_counter()
        there = {bucket.name for bucket in client.list_buckets()}
        missing = sorted(set(self.buckets) - there)
        if missing:
            raise CheckFailed(
                f"{len(missing)} of {len(self.buckets)} buckets are missing from the object store",
                ", ".join(missing),
                "re-apply the release, which makes the declared buckets; if they held data, restore it",
            )
        for bucket in self.buckets:
            next(iter(client.list_objects(bucket)), None)
        return Passed(
            f"{counted(len(self.buckets), 'bucket')} found",
            {"buckets": len(self.buckets), "latency_ms": round((time.perf_counter() - began) * 1000, 2)},
        )


CHECKS = {"roundtrip": Roundtrip, "buckets": Buckets}
