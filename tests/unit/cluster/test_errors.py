"""An answer of the API server as an error that a person can act on."""

from typing import Any

import pytest

from carbon_platform.cluster.errors import Expired, Rejected, error_for
from carbon_platform.errors import CarbonError, Conflict, PermissionDenied, Unreachable

FORBIDDEN = 'deployments.apps is forbidden: User "eve" cannot create resource "deployments" in API group "apps"'
QUOTA = 'pods "a" is forbidden: exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1'
IMMUTABLE = 'StatefulSet.apps "a" is invalid: spec: Forbidden: updates to statefulset spec for fields other than ...'


def status(message: str, **rest: Any) -> dict[str, Any]:
    return {"kind": "Status", "message": message, **rest}


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (401, "Unauthorized", PermissionDenied),
        (403, f'{FORBIDDEN} in the namespace "here"', PermissionDenied),
        (403, QUOTA, Rejected),
        (403, 'admission webhook "policy" denied the request', Rejected),
        (404, 'configmaps "a" not found', Rejected),
        (408, "timeout", Unreachable),
        (409, "the object has been modified; please apply your changes to the latest version", Conflict),
        (410, "too old resource version: 1 (2)", Expired),
        (413, "too large", Rejected),
        (422, IMMUTABLE, Rejected),
        (429, "too many requests", Unreachable),
        (500, "etcdserver: request timed out", Unreachable),
        (503, "apiserver is shutting down", Unreachable),
        (504, "timeout", Unreachable),
    ],
)
def test_an_answer_is_told_as_what_it_means(code: int, message: str, kind: type[CarbonError]) -> None:
    error = error_for(code, status(message), "apply ConfigMap here/a")
    assert type(error) is kind
    assert message in error.cause
    assert getattr(error, "code", code) == code


def test_a_denial_names_verb_resource_group_and_place() -> None:
    error = error_for(403, status(f'{FORBIDDEN} in the namespace "here"'), "create Deployment here/a")
    assert error.summary == 'not allowed to create deployments.apps in the namespace "here"'
    assert error.fix == "grant 'create' on 'deployments.apps' to 'eve'"


def test_a_denial_in_the_core_group_and_the_whole_cluster_is_told_without_them() -> None:
    told = 'nodes is forbidden: User "eve" cannot list resource "nodes" in API group "" at the cluster scope'
    error = error_for(403, status(told), "list Nodes")
    assert error.summary == "not allowed to list nodes at the cluster scope"
    assert error.fix == "grant 'list' on 'nodes' to 'eve'"


def test_an_answer_without_words_still_has_some() -> None:
    assert error_for(422, {}, "x").cause == "HTTP 422"
    assert error_for(422, {"reason": "Invalid"}, "x").cause == "Invalid"
