"""Turning an answer of the API server into an error a person can act on."""

import re
from collections.abc import Mapping
from typing import Any

from carbon_platform.errors import CarbonError, Conflict, PermissionDenied, Unreachable

_FORBIDDEN = re.compile(
    r'User "(?P<user>[^"]+)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"'
    r"(?P<where>.*)"
)
_DENIED = re.compile(r'admission webhook "(?P<webhook>[^"]+)" denied the request')
_POLICY = re.compile(r"ValidatingAdmissionPolicy '")
_CALLED_IN_VAIN = re.compile(
    r'failed calling webhook "(?P<webhook>[^"]+)"|(?P<conversion>conversion webhook for [^:]+?) failed'
)
_INVALID = re.compile(r"failed to create (?:manager for existing fields|typed patch object)|duplicate entries for key")
"""A server-side apply that can't even be read as one: the API server says so with a 500."""
_DUPLICATE = re.compile(
    r'containers\[name="(?P<container>[^"]+)"\]\.(?P<list>\w+): duplicate entries for key \[(?P<key>[^\]]+)\]'
)
_IMMUTABLE = re.compile(
    r"\bimmutable\b|\b(?:may not|must not|can ?not|can't) (?:be )?changed?\b|\bupdates to .+ (?:is|are) forbidden\b",
    re.IGNORECASE,
)
"""How the API server's validation, and rules of CRDs, say that a field keeps the value it was made with."""
_AWAY = re.compile(
    r"\betcd(?:server|\b)|context (?:deadline exceeded|canceled)|\btimed out\b|\btimeout\b|shutting down"
    r"|rpc error: code = Unavailable|http2: |unable to return a response in the time allotted",
    re.IGNORECASE,
)
"""What a 500 says that comes of the API server's own state and not of what was asked."""
_BEHIND = re.compile(r"\s*service unavailable\s*|error trying to reach service\b.*", re.DOTALL)
"""The API server's own words for an aggregated API whose server does not answer. It says so of nothing of its own."""


class Rejected(CarbonError):
    """The API server understood the request and refused it: validation, a policy, an immutable field, quota."""

    def __init__(self, summary: str, cause: str, fix: str = "", *, code: int = 422, immutable: bool = False) -> None:
        super().__init__(summary, cause, fix)
        self.code = code
        self.immutable = immutable
        """True when nothing is wrong but that a field can't change once the object is made."""


class RequestFailed(CarbonError):
    """The API server is there and could not do this one thing, or not for this kind; others it can."""

    def __init__(self, summary: str, cause: str, fix: str = "", *, code: int = 500) -> None:
        super().__init__(summary, cause, fix)
        self.code = code


class WebhookFailed(RequestFailed):
    """A webhook that has to be asked gave no answer, or none that can be used. Nobody refused the object."""

    def __init__(self, summary: str, cause: str, fix: str, *, webhook: str, code: int = 500) -> None:
        super().__init__(summary, cause, fix, code=code)
        self.webhook = webhook


class Expired(CarbonError):
    """The resource version of a watch is too old (410): list again."""


def error_for(code: int, status: Mapping[str, Any], what: str) -> CarbonError:
    """The error for HTTP `code` and the Status object that came with it; `what` names the verb and the object.

    Unreachable is the API server itself: overloaded, starting, stopping, or without its etcd. What says that a
    webhook, an aggregated API or the object is the trouble is an error of that object, whatever the code.
    """
    message = str(status.get("message") or status.get("reason") or f"HTTP {code}")
    about_one = _of_webhooks(code, message, what) or _of_the_object(code, status, message, what)
    if about_one:
        return about_one
    if code == 401:
        return PermissionDenied(f"{what}: the API server does not know this user", message, "renew the credentials")
    if code == 403:
        return _forbidden(message, what)
    if code == 409:
        return Conflict(f"{what}: conflict", message, "run it again")
    if code == 410:
        return Expired(f"{what}: too old", message)
    if code in (408, 429) or code >= 500:
        return Unreachable(
            f"{what}: the API server could not answer (HTTP {code})", message, "wait or look at its logs"
        )
    return Rejected(f"{what}: refused (HTTP {code})", message, code=code)


def _of_webhooks(code: int, message: str, what: str) -> CarbonError | None:
    denied = _DENIED.search(message)
    if denied:  # a webhook may give any code with its refusal
        fix = f"correct what it names, or see the policy behind webhook {denied['webhook']}"
        return Rejected(f"{what}: refused by webhook {denied['webhook']}", message, fix, code=code)
    failed = _CALLED_IN_VAIN.search(message)
    if failed is None:
        return None
    name = failed["webhook"] or failed["conversion"]
    who = f"webhook {name}" if failed["webhook"] else name
    fix = f"the API server itself works: see the pods behind {who}, and its certificate"
    return WebhookFailed(f"{what}: {who} does not answer as it should", message, fix, webhook=name, code=code)


def _of_the_object(code: int, status: Mapping[str, Any], message: str, what: str) -> CarbonError | None:
    if code >= 500 and _INVALID.search(message):
        return Rejected(f"{what}: refused (HTTP {code})", _told(message), "correct the values", code=code)
    if code == 422:
        immutable = _immutable(status, message)
        fix = "" if immutable else "correct the values"
        return Rejected(f"{what}: refused (HTTP 422)", _told(message), fix, code=code, immutable=immutable)
    if code == 503 and _BEHIND.fullmatch(message):
        fix = "the API server itself works: see its APIService, and the pods behind that"
        return RequestFailed(f"{what}: the API behind it does not answer", message, fix, code=code)
    if code == 500 and not _AWAY.search(message):
        return RequestFailed(f"{what}: failed (HTTP 500)", message, "see the API server's log", code=code)
    return None


def _told(message: str) -> str:
    """The message, with what a person has to look for first."""
    found = _DUPLICATE.search(message)
    if not found:
        return message
    names = ", ".join(re.findall(r'"([^"]*)"', found["key"])) or found["key"]
    return f"container {found['container']} has {names} twice in {found['list']}: {message}"


def _forbidden(message: str, what: str) -> CarbonError:
    match = _FORBIDDEN.search(message)
    if match:
        resource = match["resource"] + (f".{match['group']}" if match["group"] else "")
        fix = f"grant {match['verb']!r} on {resource!r} to {match['user']!r}"
        return PermissionDenied(f"not allowed to {match['verb']} {resource}{match['where']}", message, fix)
    return Rejected(f"{what}: refused", message, "see the cause: a quota or an admission policy", code=403)


def _immutable(status: Mapping[str, Any], message: str) -> bool:
    """Whether all that is wrong is that something can't change: what is wrong besides would be so in a new one, too."""
    if _POLICY.search(message):
        return False  # to make the object anew would be a way around it
    details = status.get("details")
    causes = (details.get("causes") if isinstance(details, Mapping) else None) or ()
    told = [str(cause.get("message", "")) for cause in causes if isinstance(cause, Mapping)] or [message]
    return all(_IMMUTABLE.search(_reason(text)) for text in told)


def _reason(text: str) -> str:
    """What is wrong with a value, without the value, which may have any words in it."""
    forbidden = re.search(r"(?:^|: )Forbidden: (.*)", text, re.DOTALL)
    return forbidden[1] if forbidden else text.rpartition(": ")[2]
