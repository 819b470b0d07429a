"""Why the API server does not let a workload's pods be made. Pure."""

import datetime
import re
from collections.abc import Iterable

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.health import events as told
from carbon_platform.health.cause import Cause, Kind
from carbon_platform.health.status import condition

_PASSES = re.compile(r'serviceaccount "default" not found|pvc \S+ is being deleted|object has been modified')
"""Every namespace gets this account a moment after it is made, and a claim goes with its last pod: what was refused
before is tried again."""
_RULES = (
    # A webhook may use any of the words below in its refusal.
    (
        r'admission webhook "([^"]+)" denied the request',
        Kind.POLICY,
        "webhook {0} refuses its pods",
        "correct what it names, or change the policy behind webhook {0}",
    ),
    (
        r'failed calling webhook "([^"]+)"',
        Kind.WEBHOOK,
        "webhook {0}, which is asked before a pod is made, does not answer as it should",
        "start the pods behind webhook {0}, or renew its certificate",
    ),
    (
        r"ValidatingAdmissionPolicy '([^']+)'",
        Kind.POLICY,
        "policy {0} refuses its pods",
        "correct what it names, or change ValidatingAdmissionPolicy {0}",
    ),
    (
        r'violates PodSecurity "([^"]+)"',
        Kind.POD_SECURITY,
        "its pods violate the pod security standard {0} of their namespace",
        "set the securityContext as the standard asks, or label the namespace with another one",
    ),
    (
        r'serviceaccount "([^"]+)" not found',
        Kind.SERVICE_ACCOUNT,
        "service account {0} of its pods is not there",
        "make service account {0}, or name one that is there",
    ),
    (
        r"(?:exceeded|failed) quota: ([^\s,:]+)",
        Kind.QUOTA,
        "quota {0} of the namespace does not let its pods be made",
        "raise quota {0}, request less, or give the requests and limits that it asks for",
    ),
    (
        r"((?:maximum|minimum) \S+ (?:usage|storage size) per \w+|\S+ max limit to request ratio per \w+)",
        Kind.LIMIT_RANGE,
        "a LimitRange of the namespace does not let its pods be made",
        "correct requests and limits of the pod, or the LimitRange",
    ),
)
_COMPILED = tuple((re.compile(said), kind, why, fix) for said, kind, why, fix in _RULES)


def refused(obj: Object, events: Iterable[Object]) -> Cause | None:
    """The cause for which a workload's pods are not made; `events` are its own. None while they are, or may be."""
    said = _refusal(obj, events)
    return _cause(said, ObjectName.of(obj)) if said else None


def _refusal(obj: Object, events: Iterable[Object]) -> str:
    failing = condition(obj, "ReplicaFailure")
    if failing.get("status") == "True" and not _PASSES.search(str(failing.get("message"))):
        return str(failing.get("message") or failing.get("reason") or "for no reason that is told")
    found = [event for event in events if not _PASSES.search(told.message(event))]
    made = max((told.last(event) for event in told.of_reason(found, "SuccessfulCreate")), default=told.NEVER)
    changed = changed_at(obj)
    for event in told.of_reason(found, "FailedCreate"):
        if made < told.last(event) >= changed:
            return told.message(event)
    return ""


def _cause(said: str, name: ObjectName) -> Cause:
    for pattern, kind, why, fix in _COMPILED:
        match = pattern.search(said)
        if match:
            told_why = f"{why.replace('{0}', match[1])}: {' '.join(said[match.start() :].split())}"
            return Cause(kind, name, told_why, fix.replace("{0}", match[1]), (said,))
    return Cause(
        Kind.REFUSED, name, f"its pods are refused: {said}", "correct the pod, as the API server says", (said,)
    )


def changed_at(obj: Object) -> datetime.datetime:
    """When somebody last wrote the object's spec, as far as is told; what events say from before is over."""
    metadata = obj["metadata"]
    written = [
        told.moment(entry.get("time"))
        for entry in metadata.get("managedFields") or ()
        if not entry.get("subresource") and "f:spec" in (entry.get("fieldsV1") or {})
    ]
    made = told.moment(metadata.get("creationTimestamp"))
    return max((at for at in [made, *written] if at), default=told.NEVER)
