"""From a kind to its path in the API."""

import dataclasses

import pytest

from carbon_platform.cluster.resources import BUILT_IN, ObjectName, Resource, group_kind, is_custom, pod_specs
from tests.objects import obj

PATHS = {
    ("v1", "Pod"): "/api/v1/namespaces/here/pods/a",
    ("v1", "Endpoints"): "/api/v1/namespaces/here/endpoints/a",
    ("v1", "Namespace"): "/api/v1/namespaces/a",
    ("apps/v1", "StatefulSet"): "/apis/apps/v1/namespaces/here/statefulsets/a",
    ("networking.k8s.io/v1", "NetworkPolicy"): "/apis/networking.k8s.io/v1/namespaces/here/networkpolicies/a",
    ("networking.k8s.io/v1", "Ingress"): "/apis/networking.k8s.io/v1/namespaces/here/ingresses/a",
    ("storage.k8s.io/v1", "StorageClass"): "/apis/storage.k8s.io/v1/storageclasses/a",
    ("rbac.authorization.k8s.io/v1", "ClusterRole"): "/apis/rbac.authorization.k8s.io/v1/clusterroles/a",
}


@pytest.mark.parametrize(("kind", "path"), PATHS.items(), ids=[kind for _, kind in PATHS])
def test_a_known_kind_has_the_path_that_kubernetes_gives_it(kind: tuple[str, str], path: str) -> None:
    assert BUILT_IN[kind].path("here", "a") == path


def test_a_collection_is_that_of_one_namespace_or_of_all() -> None:
    pods = Resource("v1", "Pod", "pods", namespaced=True)
    assert pods.path("here") == "/api/v1/namespaces/here/pods"
    assert pods.path() == "/api/v1/pods"
    assert (pods.group, BUILT_IN["apps/v1", "Deployment"].group) == ("", "apps")


def test_an_object_is_told_by_kind_namespace_and_name() -> None:
    named = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "here"}}
    assert str(ObjectName.of(named)) == "Pod here/a"
    assert str(ObjectName.of({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}})) == "Node n"


def test_pod_specs_are_found_wherever_a_kind_has_them() -> None:
    def template(image: str) -> dict[str, object]:
        return {"metadata": {}, "spec": {"initContainers": [{"image": "wait"}], "containers": [{"image": image}]}}

    def images(found: dict[str, object]) -> list[str]:
        return [spec["containers"][0]["image"] for spec in pod_specs({"apiVersion": "v1", **found})]

    assert images({"kind": "Pod", "spec": template("a")["spec"]}) == ["a"]
    assert images({"kind": "Deployment", "spec": {"replicas": 1, "template": template("a")}}) == ["a"]
    assert images({"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": template("a")}}}}) == ["a"]
    groups = {"head": {"template": template("a")}, "workers": [{"template": template(x)} for x in "bc"]}
    assert images({"kind": "Thing", "spec": groups}) == ["a", "b", "c"]
    assert images({"kind": "ConfigMap", "data": {}}) == images({"kind": "Thing", "spec": {"containers": ["a"]}}) == []


def test_a_definition_that_describes_pods_has_none() -> None:
    assert pod_specs(obj("CustomResourceDefinition", spec={"containers": [{"image": "a"}]})) == []


def test_a_container_whose_image_an_operator_fills_in_is_there_without_one() -> None:
    pod = {"containers": [{"name": "main", "resources": None}, {"name": "side", "image": "a"}, "odd"]}
    (found,) = pod_specs(obj("Cluster", api_version="db.example/v1", spec={"template": {"spec": pod}}))
    assert found["containers"] == [{"name": "main"}, {"name": "side", "image": "a"}]


def test_kinds_of_kubernetes_are_not_custom() -> None:
    assert not is_custom("apps/v1", "Deployment")
    assert not is_custom("networking.k8s.io/v1", "IngressClass")
    assert not is_custom("policy/v1beta1", "PodDisruptionBudget")
    assert is_custom("example.org/v1", "Deployment")
    assert is_custom("snapshot.storage.k8s.io/v1", "VolumeSnapshot")


def test_an_object_is_the_same_in_all_versions_and_another_in_another_group() -> None:
    old, new = (ObjectName(f"example.org/{version}", "Thing", "here", "a") for version in ("v1beta1", "v1"))
    assert old == new
    assert {old: 1}[new] == 1
    assert ObjectName("example.com/v1", "Thing", "here", "a") != new
    assert dataclasses.replace(new, namespace="there") != new


def test_a_kind_is_told_with_its_group() -> None:
    assert group_kind(obj("Service")) == ObjectName.of(obj("Service")).group_kind == "Service"
    assert group_kind(obj("Service", api_version="serving.knative.dev/v1")) == "Service.serving.knative.dev"
