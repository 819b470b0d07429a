"""What events say and when it was so, in the shapes in which Kubernetes' components write them. Pure."""

import datetime
from collections.abc import Iterable

from carbon_platform.cluster.reach import Object

NEVER = datetime.datetime.min.replace(tzinfo=datetime.UTC)


def moment(text: object) -> datetime.datetime | None:
    """A time of the API; None where there is none."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)


def age(timestamp: object, now: datetime.datetime) -> float:
    """Seconds since a time of the API; 0 when there is none, negative when the clocks do not agree."""
    at = moment(timestamp)
    return (now - at).total_seconds() if at else 0.0


def message(event: Object) -> str:
    """Its text; its reason where it has none."""
    return str(event.get("message") or event.get("reason") or "")


def count(event: Object) -> int:
    """How often it was seen."""
    found = event.get("count") or (event.get("series") or {}).get("count")
    return found if isinstance(found, int) else 1


def last(event: Object) -> datetime.datetime:
    """When it was last seen; NEVER where it does not say."""
    series = (event.get("series") or {}).get("lastObservedTime")
    told = (series, event.get("lastTimestamp"), event.get("eventTime"), event["metadata"].get("creationTimestamp"))
    return next((at for text in told if (at := moment(text))), NEVER)


def first(event: Object) -> datetime.datetime:
    """When it was first seen; NEVER where it does not say."""
    told = (event.get("firstTimestamp"), event.get("eventTime"), event["metadata"].get("creationTimestamp"))
    return next((at for text in told if (at := moment(text))), NEVER)


def of_reason(events: Iterable[Object], *reasons: str) -> list[Object]:
    """Those with one of these reasons."""
    return [event for event in events if event.get("reason") in reasons]


def times(events: Iterable[Object], reason: str) -> int:
    """How often something of this reason was seen."""
    return sum(count(event) for event in of_reason(events, reason))


def about(obj: Object, events: Iterable[Object]) -> list[Object]:
    """Those about one object, by its uid; by kind and name where it has none."""
    uid = obj["metadata"].get("uid")
    return [event for event in events if _is_about(event.get("involvedObject") or {}, obj, uid)]


def _is_about(involved: Object, obj: Object, uid: object) -> bool:
    if uid:
        return bool(involved.get("uid") == uid)
    return bool(involved.get("kind") == obj["kind"] and involved.get("name") == obj["metadata"]["name"])


def about_claims(names: Iterable[str], events: Iterable[Object]) -> list[Object]:
    """Those about volume claims of these names, what was seen last first."""
    wanted = set(names)
    found = [
        event
        for event in events
        if (involved := event.get("involvedObject") or {}).get("kind") == "PersistentVolumeClaim"
        and involved.get("name") in wanted
    ]
    return sorted(found, key=last, reverse=True)
