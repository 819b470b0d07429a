"""Two renders are the same when they differ in nothing but what is drawn at each."""

from typing import Any

import pytest

from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.release.desired import Desired, Rendered, _same, _says, drawn_between
from carbon_platform.release.history import Revision
from carbon_platform.release.inputs import Inputs
from carbon_platform.release.plan import Plan, owned_by


def secret(password: str, name: str = "app", **data: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": "here"},
        "data": {"password": password, **data},
    }


def test_fields_that_differ_between_two_renders_are_drawn() -> None:
    drawn = drawn_between([secret("a", user="x")], [secret("b", user="x")])
    assert drawn == {ObjectName.of(secret("")): frozenset({("data", "password")})}
    assert drawn_between([secret("a")], [secret("a")]) == {}


def test_what_differs_in_drawn_fields_only_is_the_same() -> None:
    drawn = drawn_between([secret("a")], [secret("b")])
    assert _same([secret("a")], [secret("applied")], drawn)
    assert not _same([secret("a", user="new")], [secret("applied", user="old")], drawn)
    assert not _same([secret("a")], [secret("applied")], {})


def test_an_object_with_a_drawn_name_is_the_same_as_the_one_before_it() -> None:
    drawn = drawn_between([secret("a", "app-x")], [secret("a", "app-y")])
    assert _same([secret("a", "app-x")], [secret("a", "app-applied")], drawn)
    assert not _same([secret("a", "app-x"), secret("a", "more")], [secret("a", "app-applied")], drawn)
    assert not _same([secret("a", "app-x")], [], drawn)
    assert not _same([], [secret("a", "app-applied")], drawn)


def test_an_object_with_a_drawn_name_is_another_when_its_content_changed() -> None:
    drawn = drawn_between([secret("a", "app-x", user="x")], [secret("b", "app-y", user="x")])
    assert _same([secret("a", "app-x", user="x")], [secret("c", "app-applied", user="x")], drawn)
    assert not _same([secret("a", "app-x", user="x")], [secret("c", "app-applied", user="old")], drawn)


def test_of_several_with_drawn_names_each_is_compared_with_the_one_most_like_it() -> None:
    now = [secret("a", "app-x", user="x"), secret("b", "app-y", user="y")]
    again = [secret("b", "app-c", user="y"), secret("a", "app-d", user="x")]
    assert _same(now, [secret("b", "app-e", user="y"), secret("a", "app-f", user="x")], drawn_between(now, again))


def test_an_object_of_another_name_that_is_not_drawn_is_another() -> None:
    assert not _same([secret("a", "new")], [secret("a", "old")], {})


def live(labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None) -> Object:
    return {**secret("a"), "metadata": {"name": "app", "labels": labels, "annotations": annotations}}


HELM = {"meta.helm.sh/release-name": "app", "meta.helm.sh/release-namespace": "here"}
NOBODY = "no Helm release: somebody made it by hand or with another tool"
OWNED: dict[str, tuple[Object, str, str]] = {
    "our release": (live(annotations=HELM), "", ""),
    "nobody": (live(), "", NOBODY),
    "another release": (
        live(annotations=HELM | {"meta.helm.sh/release-name": "other"}),
        "Helm release here/other",
        "Helm release here/other",
    ),
    "our name in another namespace": (
        live(annotations=HELM | {"meta.helm.sh/release-namespace": "there"}),
        "Helm release there/app",
        "Helm release there/app",
    ),
    "Argo CD by annotation": (
        live(annotations=HELM | {"argocd.argoproj.io/tracking-id": "a:v1/Secret:here/app"}),
        "Argo CD application a",
        "Argo CD application a",
    ),
    "Argo CD by label": (
        live(labels={"argocd.argoproj.io/instance": "a"}),
        "Argo CD application a",
        "Argo CD application a",
    ),
    "Flux Kustomization": (
        live(labels={"kustomize.toolkit.fluxcd.io/name": "a"}, annotations=HELM),
        "Flux Kustomization a",
        "Flux Kustomization a",
    ),
    "Flux HelmRelease": (
        live(labels={"helm.toolkit.fluxcd.io/name": "a"}),
        "Flux HelmRelease a",
        "Flux HelmRelease a",
    ),
}


@pytest.mark.parametrize(("there", "had", "new"), OWNED.values(), ids=OWNED.keys())
def test_whose_a_live_object_is(there: Object, had: str, new: str) -> None:
    desired: dict[str, Any] = {**secret("a"), "metadata": {"name": "app", "annotations": HELM}}
    assert owned_by(there, desired) == had
    assert owned_by(there, desired, new=True) == new


def test_what_is_no_releases_is_another_programs_only_where_that_says_so() -> None:
    """A namespace or a kind that Carbon applies by itself."""
    desired = {**secret("a"), "metadata": {"name": "app"}}
    other = HELM | {"meta.helm.sh/release-name": "other"}
    assert owned_by(live(annotations=other), desired, new=True) == ""
    assert owned_by(live(), desired, new=True) == ""
    assert owned_by(live(labels={"argocd.argoproj.io/instance": "a"}), desired) == "Argo CD application a"


def job(image: str) -> Object:
    metadata = {"name": "migrate", "namespace": "here", "annotations": {"helm.sh/hook": "pre-upgrade"}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"image": image}}


def test_a_hook_that_changed_is_something_new_and_one_that_the_server_names_is_not() -> None:
    found = Desired((), (), rendered=Rendered("", Inputs("", ""), hooks=(job("a"),)))
    assert _says(found, Desired((), ()), [job("a")], {})
    assert not _says(found, Desired((), ()), [job("b")], {})
    assert not _says(found, Desired((), ()), [], {})
    unnamed = {**job("a"), "metadata": {"generateName": "migrate-"}}
    assert _says(found, Desired((), ()), [unnamed, job("a")], {})


def test_a_plan_with_a_new_render_is_not_empty_even_if_live_is_so_already() -> None:
    revision = Revision(1, "deployed", {})
    assert Plan("app", "", (), revision).empty
    assert not Plan("app", "", (), revision, Rendered("", Inputs("", ""))).empty
