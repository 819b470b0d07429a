"""An answer of the API server as an error that a person can act on."""

from typing import Any

import pytest

from carbon_platform.cluster.errors import Expired, Rejected, RequestFailed, WebhookFailed, error_for
from carbon_platform.errors import CarbonError, Conflict, PermissionDenied, Unreachable

FORBIDDEN = 'deployments.apps is forbidden: User "eve" cannot create resource "deployments" in API group "apps"'
QUOTA = 'pods "a" is forbidden: exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1'
TYPED = (
    "failed to create typed patch object (here/app; apps/v1, Kind=Deployment):"
    ' .spec.template.spec.containers[name="web"].env: duplicate entries for key [name="LEVEL"]'
)
NOBODY = (
    'Internal error occurred: failed calling webhook "check.policy.example.com": failed to call webhook: Post'
    ' "https://policy.security.svc:443/check?timeout=10s": '
)
CONVERSION = (
    'conversion webhook for prices.example.org/v1, Kind=Feed failed: Post "https://feeds.prices.svc:443/convert":'
)


def status(message: str, **rest: Any) -> dict[str, Any]:
    return {"kind": "Status", "message": message, **rest}


def invalid(*causes: str) -> dict[str, Any]:
    """What the API server answers when it finds these things wrong with an object."""
    listed = [{"reason": "FieldValueInvalid", "message": cause, "field": "spec.x"} for cause in causes]
    fields = ", ".join(f"spec.x: {cause}" for cause in causes)
    return status(f'Thing "a" is invalid: {fields}', reason="Invalid", details={"causes": listed})


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (401, "Unauthorized", PermissionDenied),
        (403, f'{FORBIDDEN} in the namespace "here"', PermissionDenied),
        (403, QUOTA, Rejected),
        (404, 'configmaps "a" not found', Rejected),
        (408, "timeout", Unreachable),
        (409, "the object has been modified; please apply your changes to the latest version", Conflict),
        (410, "too old resource version: 1 (2)", Expired),
        (413, "too large", Rejected),
        (429, "too many requests", Unreachable),
        (500, "etcdserver: request timed out", Unreachable),
        (500, "rpc error: code = Unavailable desc = connection error: dial tcp 127.0.0.1:2379: refused", Unreachable),
        (500, "Internal error occurred: resource quota evaluation timed out", Unreachable),
        (502, "<html><h1>502 Bad Gateway</h1></html>", Unreachable),
        (503, "apiserver is shutting down", Unreachable),
        (503, "<html><h1>503 Service Unavailable</h1>No server is available</html>", Unreachable),
        (503, "the server is currently unable to handle the request", Unreachable),
        (504, "Timeout: request did not complete within requested timeout - context deadline exceeded", Unreachable),
        # One kind alone: a server behind the API server.
        (503, "service unavailable\n", RequestFailed),
        (503, "error trying to reach service: dial tcp 10.96.3.4:443: connect: connection refused", RequestFailed),
        (500, f"{CONVERSION} service unavailable", WebhookFailed),
        (500, f"{CONVERSION} context deadline exceeded", WebhookFailed),
        (500, "Internal error occurred: unable to decode an event from the watch stream", RequestFailed),
        # One object alone.
        (500, f"{NOBODY}dial tcp 10.96.0.9:443: connect: connection refused", WebhookFailed),
        (500, f"{NOBODY}context deadline exceeded", WebhookFailed),
        (500, f"{NOBODY}tls: failed to verify certificate: x509: signed by unknown authority", WebhookFailed),
        (500, TYPED, Rejected),
        (500, "failed to create manager for existing fields: no corresponding type", Rejected),
        *(
            (code, 'admission webhook "a.b" denied the request: no', Rejected)
            for code in (400, 401, 403, 409, 429, 503)
        ),
    ],
)
def test_an_answer_is_told_as_what_it_means(code: int, message: str, kind: type[CarbonError]) -> None:
    error = error_for(code, status(message), "apply ConfigMap here/a")
    assert type(error) is kind
    assert message in error.cause
    assert getattr(error, "code", code) == code


def test_a_webhook_that_does_not_answer_is_named_with_the_object() -> None:
    error = error_for(500, status(f"{NOBODY}refused"), "apply ConfigMap here/a")
    assert isinstance(error, WebhookFailed)
    assert error.webhook == "check.policy.example.com"
    assert error.summary == "apply ConfigMap here/a: webhook check.policy.example.com does not answer as it should"
    assert "the API server itself works" in error.fix


def test_a_conversion_that_does_not_answer_is_named_with_its_kind() -> None:
    error = error_for(500, status(f"{CONVERSION} refused"), "list Feeds")
    assert isinstance(error, WebhookFailed)
    assert error.summary.startswith("list Feeds: conversion webhook for prices.example.org/v1, Kind=Feed does not")


def test_what_is_there_twice_is_named_with_its_container() -> None:
    error = error_for(500, status(TYPED), "apply Deployment here/app")
    assert error.cause.startswith("container web has LEVEL twice in env: ")
    assert isinstance(error, Rejected)
    assert not error.immutable


IMMUTABLE = [
    'Invalid value: v1.LabelSelector{MatchLabels:map[string]string{"app":"b"}}: field is immutable',
    "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy'"
    " and 'minReadySeconds' are forbidden",
    "Forbidden: spec is immutable after creation except resources.requests for bound claims\n  {\n  x: 1,\n+ y: 2}",
    'Invalid value: []string{"10.0.0.5"}: may not change once set',
    'Invalid value: rbac.RoleRef{APIGroup:"", Kind:"Role", Name:"b"}: cannot change roleRef',
    "Forbidden: updates to provisioner are forbidden.",
    "Forbidden: field is immutable when `immutable` is set",
    "Forbidden: may not be changed in an update.",
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`: see below",
    'Invalid value: "object": Value is immutable',
]
MENDABLE = [
    "Required value",
    'Invalid value: "immutable": must be a number',
    'Invalid value: "may not change": a lowercase RFC 1123 label must consist of lower case characters',
    'Forbidden: may not be specified when strategy `type` is "Recreate"',
    "Forbidden: field can not be less than status.capacity",
    'Unsupported value: "Sometimes": supported values: "Always", "Never"',
]


@pytest.mark.parametrize("cause", IMMUTABLE)
def test_what_can_only_be_changed_by_making_it_anew_is_told_apart(cause: str) -> None:
    for answer in (invalid(cause), status(f'Thing "a" is invalid: spec: {cause}')):
        error = error_for(422, answer, "apply Thing here/a")
        assert isinstance(error, Rejected)
        assert error.immutable


@pytest.mark.parametrize("cause", MENDABLE)
def test_any_other_refusal_is_not_mended_by_making_it_anew(cause: str) -> None:
    for answer in (invalid(cause), invalid(IMMUTABLE[0], cause), status(f'Thing "a" is invalid: spec: {cause}')):
        error = error_for(422, answer, "apply Thing here/a")
        assert isinstance(error, Rejected)
        assert not error.immutable


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (403, 'things "a" is forbidden: field is immutable'),
        (400, "field is immutable"),
        (422, "ValidatingAdmissionPolicy 'names' with binding 'all' denied request: owners cannot be changed"),
        (422, 'admission webhook "names.example.com" denied the request: the owner is immutable'),
    ],
)
def test_what_a_policy_or_another_answer_calls_immutable_is_no_reason_to_make_anything_anew(
    code: int, message: str
) -> None:
    error = error_for(code, status(message), "apply Thing here/a")
    assert isinstance(error, Rejected)
    assert not error.immutable


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
    assert error_for(422, {"reason": "Invalid", "details": None}, "x").cause == "Invalid"
