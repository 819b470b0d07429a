"""What a definition says of objects holds for those it means, and is told when it means none."""

import pytest

from carbon_platform.errors import ConfigurationError
from carbon_platform.health.diagnosis import outdated_pods
from carbon_platform.health.status import status
from carbon_platform.materialization.apply_remedy import may_run_again
from carbon_platform.release.difference import difference
from carbon_platform.release.managed_fields import additions
from carbon_platform.spec.rules import ReadyRule, Rules
from tests.definitions import Definitions
from tests.objects import conditions, obj, workload

CLUSTER = obj("RayCluster", "main", api_version="ray.io/v1")


@pytest.mark.parametrize(
    ("of", "means"),
    [
        ("RayCluster.ray.io", True),
        ("RayCluster", True),
        ("RayCluster.ray.io/ma*", True),
        ("RayCluster/other", False),
        ("RayCluster.example.org", False),
        ("RayJob.ray.io", False),
    ],
)
def test_objects_are_meant_by_kind_group_and_name(of: str, means: bool) -> None:
    rules = Rules(ready={of: ReadyRule(pods=1)}, left={of: ["spec.a"]}, replaced_by={of: "checksum"})
    assert (rules.ready_of(CLUSTER) is not None) is means
    assert list(rules.left_of(CLUSTER)) == (["spec.a"] if means else [])
    assert (rules.replaced_by_of(CLUSTER) == "checksum") is means
    assert rules.meaningless([CLUSTER]) == ([] if means else [f"ready: {of}", f"leave: {of}", f"replaces_pods: {of}"])


def test_what_names_an_object_counts_before_what_means_all_of_its_kind() -> None:
    rules = Rules(replaced_by={"RayCluster/main": "one", "RayCluster.ray.io": "all"})
    assert rules.replaced_by_of(CLUSTER) == "one"


FIELDS = {
    "as wanted": ({"state": "ready"}, True),
    "another value": ({"state": "failed"}, False),
    "another type": ({"state": True}, False),
    "nothing": ({}, False),
    "no mapping": ("broken", False),
}


@pytest.mark.parametrize(("found", "ready"), FIELDS.values(), ids=FIELDS.keys())
def test_a_field_has_to_have_its_value(found: object, ready: bool) -> None:
    rules = Rules(ready={"RayCluster": ReadyRule(fields={"status.state": "ready"})})
    assert status(CLUSTER | {"status": found}, rules).ready is ready


def test_conditions_of_the_definition_are_those_of_the_annotation() -> None:
    rules = Rules(ready={"RayCluster": ReadyRule(conditions=["HeadPodReady"])})
    annotated = obj("RayCluster", api_version="ray.io/v1", annotations={"carbon/ready-conditions": "HeadPodReady"})
    for told in ({}, conditions(HeadPodReady="False"), conditions(HeadPodReady="True")):
        assert status(CLUSTER | {"status": told}, rules) == status(annotated | {"status": told})


def test_fields_that_are_left_to_others_are_no_difference_and_no_addition() -> None:
    wanted = CLUSTER | {"spec": {"groups": [{"name": "a", "replicas": 1}]}}
    live = CLUSTER | {"spec": {"groups": [{"name": "a", "replicas": 5}]}}
    rules = Rules(left={"RayCluster.ray.io": ["spec.groups*.replicas"]})
    assert difference(live, wanted)
    assert difference(live, wanted, rules) == ()
    wrote = {"manager": "a-person", "operation": "Update", "apiVersion": "ray.io/v1", "fieldsType": "FieldsV1"}
    edited = CLUSTER | {"spec": {"size": 3}}
    edited["metadata"] = edited["metadata"] | {"managedFields": [wrote | {"fieldsV1": {"f:spec": {"f:size": {}}}}]}
    assert additions(edited)
    assert additions(edited, Rules(left={"RayCluster": ["spec.size"]})) == ()


def test_jobs_may_run_again_whose_names_the_definition_tells() -> None:
    rules = Rules(idempotent=["migrate-*"])
    assert may_run_again(workload("Job", "migrate-1"), rules)
    assert not may_run_again(workload("Job", "import"), rules)
    assert rules.meaningless([workload("Job", "import")]) == ["idempotent_jobs: migrate-*"]


def test_pods_of_an_earlier_template_are_told_by_the_definitions_annotation() -> None:
    template = {"metadata": {"annotations": {"checksum": "new"}}}
    cluster = CLUSTER | {"spec": {"head": {"template": template}}}
    owner = [{"apiVersion": "ray.io/v1", "kind": "RayCluster", "name": "main", "uid": "u"}]
    old, new = (obj("Pod", at, annotations={"checksum": at}, ownerReferences=owner) for at in ("old", "new"))
    assert outdated_pods(cluster, [old, new]) == []
    assert outdated_pods(cluster, [old, new], Rules(replaced_by={"RayCluster": "checksum"})) == [old]


def test_rules_are_no_change_of_what_is_applied_and_a_change_of_what_is_verified(definitions: Definitions) -> None:
    definitions.chart()
    definitions.release("app")
    before = definitions.load().components["app"]
    definitions.release("app", ready={"RayCluster.ray.io": {"pods": 1}}, leave={"Deployment": ["spec.replicas"]})
    after = definitions.load().components["app"]
    assert after.rules.ready == {"RayCluster.ray.io": ReadyRule(pods=1)}
    assert after.rules.left == {"Deployment": ["spec.replicas"]}
    assert after.digest == before.digest
    assert after.checks_digest != before.checks_digest


WRONG = {
    "a kind of Kubernetes' own": ({"ready": {"Deployment.apps": {"pods": 1}}}, "Kubernetes' own"),
    "a kind of Kubernetes' own by its name": ({"ready": {"Job": {"pods": 1}}}, "Kubernetes' own"),
    "no rule": ({"ready": {"Thing": {}}}, "at least one of conditions, fields, pods"),
    "a rule of another form": ({"ready": {"Thing": {"cel": "true"}}}, "Allowed: conditions, fields, pods"),
    "no kind": ({"leave": {"things/a": ["spec"]}}, "pattern"),
}


@pytest.mark.parametrize(("attributes", "told"), WRONG.values(), ids=WRONG.keys())
def test_a_rule_that_is_none_is_told(definitions: Definitions, attributes: dict[str, object], told: str) -> None:
    definitions.chart()
    definitions.release("app", **attributes)
    with pytest.raises(ConfigurationError) as caught:
        definitions.load()
    assert told in "\n".join(caught.value.evidence)
