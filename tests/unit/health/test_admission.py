"""Why the API server does not let a workload's pods be made: each reason with the fix that mends it."""

import pytest

from carbon_platform.cluster.reach import Object
from carbon_platform.health.cause import Cause, Kind
from carbon_platform.health.diagnosis import diagnose
from tests.objects import conditions
from tests.unit.health.pods import NOW, ago, deployment, event, stateful_set

QUOTA = 'pods "app-" is forbidden: exceeded quota: small, requested: pods=1, used: pods=0, limited: pods=0'
SECURITY = (
    'pods "app-x" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false'
    ' (container "main" must set securityContext.allowPrivilegeEscalation=false)'
)
KYVERNO = (
    'admission webhook "validate.kyverno.svc-fail" denied the request: \n\nresource Pod/here/app-x was blocked due to'
    " the following policies \n\nlabels:\n  required: 'validation error: label team is required'"
)
REFUSALS = [
    (QUOTA, Kind.QUOTA, "small", "raise quota small"),
    ('pods "a" is forbidden: failed quota: small: must specify limits.cpu for: main', Kind.QUOTA, "small", "limits"),
    (
        'pods "a" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi',
        Kind.LIMIT_RANGE,
        "1Gi",
        "LimitRange",
    ),
    (
        'pods "a" is forbidden: [minimum cpu usage per Pod is 100m, but request is 10m]',
        Kind.LIMIT_RANGE,
        "100m",
        "LimitRange",
    ),
    (
        'pods "a" is forbidden: memory max limit to request ratio per Container is 2, but provided ratio is 4.0',
        Kind.LIMIT_RANGE,
        "ratio",
        "LimitRange",
    ),
    (SECURITY, Kind.POD_SECURITY, "allowPrivilegeEscalation", "securityContext"),
    (
        'pods "a" is forbidden: error looking up service account here/runner: serviceaccount "runner" not found',
        Kind.SERVICE_ACCOUNT,
        "runner",
        "make service account runner",
    ),
    (KYVERNO, Kind.POLICY, "label team is required", "webhook validate.kyverno.svc-fail"),
    (
        "pods \"a\" is forbidden: ValidatingAdmissionPolicy 'tags' with binding 'all' denied request: no tag",
        Kind.POLICY,
        "no tag",
        "ValidatingAdmissionPolicy tags",
    ),
    (
        'Internal error occurred: failed calling webhook "inject.mesh.io": failed to call webhook: Post'
        ' "https://mesh.mesh.svc:443/inject?timeout=10s": no endpoints available for service "mesh"',
        Kind.WEBHOOK,
        "no endpoints available",
        "pods behind webhook inject.mesh.io",
    ),
    ('Pod "a" is invalid: spec.containers[0].image: Required value', Kind.REFUSED, "Required value", "correct the pod"),
]


def told(obj: Object, *events: Object) -> Cause | None:
    return diagnose(obj, [], events, NOW)


@pytest.mark.parametrize(("said", "kind", "named", "fix"), REFUSALS)
def test_each_refusal_is_told_as_what_it_is_where_a_condition_or_only_an_event_says_so(
    said: str, kind: Kind, named: str, fix: str
) -> None:
    owner = stateful_set()
    in_event = told(owner, event(owner, "FailedCreate", f"create Pod app-1 in StatefulSet app failed error: {said}"))
    in_condition = told(deployment(**conditions(ReplicaFailure=("True", "FailedCreate", said))))
    for cause in (in_event, in_condition):
        assert cause is not None
        assert cause.kind is kind
        assert named in cause.why
        assert fix in cause.fix
        assert said in cause.evidence[0]


def test_the_refusals_of_a_webhook_are_its_own_whatever_words_it_uses() -> None:
    said = 'admission webhook "a.b" denied the request: exceeded quota: mine; serviceaccount "x" not found'
    cause = told(deployment(**conditions(ReplicaFailure=("True", "FailedCreate", said))))
    assert cause is not None
    assert cause.kind is Kind.POLICY


def test_a_refusal_that_was_overcome_since_is_over() -> None:
    owner = stateful_set()
    refused, made = event(owner, "FailedCreate", QUOTA, last=60), event(owner, "SuccessfulCreate", "x", last=5)
    assert told(owner, refused, made) is None
    assert told(owner, event(owner, "FailedCreate", QUOTA, last=2), made) is not None


def test_a_refusal_from_before_the_last_change_of_the_spec_is_over() -> None:
    owner = stateful_set()

    def written(seconds: float, fields: str, **more: str) -> dict[str, object]:
        return {"manager": "helm", "time": ago(seconds), "fieldsV1": {fields: {}}, **more}

    owner["metadata"]["managedFields"] = [written(30, "f:spec")]
    assert told(owner, event(owner, "FailedCreate", QUOTA, first=90, last=40)) is None
    assert told(owner, event(owner, "FailedCreate", QUOTA, first=90, last=20)) is not None
    # Its status is no change, and neither is a label.
    owner["metadata"]["managedFields"] = [written(1, "f:status", subresource="status"), written(1, "f:metadata")]
    assert told(owner, event(owner, "FailedCreate", QUOTA, first=90, last=40)) is not None


def test_pods_refused_before_a_new_namespace_has_its_service_account_are_no_cause() -> None:
    early = (
        'pods "app-" is forbidden: error looking up service account here/default: serviceaccount "default" not found'
    )
    assert told(deployment(**conditions(ReplicaFailure=("True", "FailedCreate", early)))) is None
    owner = stateful_set()
    assert told(owner, event(owner, "FailedCreate", early)) is None
    assert told(owner, event(owner, "FailedCreate", early.replace('"default"', '"mine"'))) is not None


def test_a_pod_refused_while_its_claim_goes_with_the_one_before_is_no_cause() -> None:
    said = "create Pod app-1 in StatefulSet app failed error: pvc data-app-1 is being deleted"
    owner = stateful_set()
    assert told(owner, event(owner, "FailedCreate", said)) is None


def test_a_refusal_is_no_cause_before_the_controller_has_seen_the_new_spec() -> None:
    owner = stateful_set(observedGeneration=1)
    assert told(owner, event(owner, "FailedCreate", QUOTA)) is None
