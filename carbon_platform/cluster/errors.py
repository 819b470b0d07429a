"""Turning an answer of the API server into an error a person can act on."""

import re
from typing import Any

from carbon_platform.errors import CarbonError, Conflict, PermissionDenied, Unreachable

_FORBIDDEN = re.compile(
    r'User "(?P<user>[^"]+)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"'
    r"(?P<where>.*)"
)


class Rejected(CarbonError):
    """The API server understood the request and refused it: validation, a webhook, an immutable field, quota."""

    def __init__(self, summary: str, cause: str, fix: str = "", *, code: int = 422) -> None:
        super().__init__(summary, cause, fix)
        self.code = code


class Expired(CarbonError):
    """The resource version of a watch is too old (410): list again."""


def error_for(code: int, status: dict[str, Any], what: str) -> CarbonError:
    """The error for HTTP `code` and the Status object that came with it; `what` names the verb and the object."""
    message = str(status.get("message") or status.get("reason") or f"HTTP {code}")
    if code == 401:
        return PermissionDenied(f"{what}: the API server does not know this user", message, "renew the credentials")
    if code == 403:
        match = _FORBIDDEN.search(message)
        if match:
            resource = match["resource"] + (f".{match['group']}" if match["group"] else "")
            fix = f"grant {match['verb']!r} on {resource!r} to {match['user']!r}"
            return PermissionDenied(f"not allowed to {match['verb']} {resource}{match['where']}", message, fix)
        return Rejected(f"{what}: refused", message, "see the cause: a quota or an admission policy", code=403)
    if code == 409:
        return Conflict(f"{what}: conflict", message, "run it again")
    if code == 410:
        return Expired(f"{what}: too old", message)
    if code in (408, 429) or code >= 500:
        return Unreachable(
            f"{what}: the API server could not answer (HTTP {code})", message, "wait or look at its logs"
        )
    return Rejected(f"{what}: refused (HTTP {code})", message, code=code)
