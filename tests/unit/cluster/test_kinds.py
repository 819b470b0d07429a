"""Which kinds a cluster has, as Helm is told of them."""

from typing import Any

from carbon_platform.cluster.client import known_kinds


def _group(name: str, *versions: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name} if name else {}
    return {"metadata": metadata, "versions": list(versions)}


def _version(version: str, *kinds: str) -> dict[str, Any]:
    resources = [{"resource": f"{kind.lower()}s", "responseKind": {"kind": kind}} for kind in kinds]
    return {"version": version, "freshness": "Current", "resources": resources}


def test_kinds_are_named_with_group_and_version_and_so_are_the_versions() -> None:
    core, apps = (
        {"items": [_group("", _version("v1", "Pod"))]},
        {"items": [_group("apps", _version("v1", "Deployment"))]},
    )
    assert known_kinds([core, apps]) == ["apps/v1", "apps/v1/Deployment", "v1", "v1/Pod"]


def test_of_an_extension_that_does_not_answer_the_version_alone_is_known() -> None:
    away = {"version": "v1beta1", "freshness": "Stale"}
    pages = [{"items": [_group("apps", _version("v1", "Deployment")), _group("metrics.example", away)]}]
    assert known_kinds(pages) == ["apps/v1", "apps/v1/Deployment", "metrics.example/v1beta1"]


def test_a_page_without_groups_names_nothing() -> None:
    assert known_kinds([{}, {"items": None}, {"items": [{"metadata": {}, "versions": None}]}]) == []
