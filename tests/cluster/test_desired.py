"""What was applied is desired until an input changes, whatever a chart draws, looks up, or asks of the cluster."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.drift.compare import compare
from carbon_platform.drift.drift import Deed, Drift, Verdict
from carbon_platform.healing.conditions import Deployed, conditions
from carbon_platform.materialization.remedy import Remedy
from carbon_platform.release.desired import desired_of
from carbon_platform.release.helm import HelmFailed
from carbon_platform.release.history import latest, revisions
from carbon_platform.session import Session
from tests.cluster.conftest import Everything
from tests.cluster.made import changes, chart, fields, numbers, seen
from tests.cluster.platform import Platform

CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data: {message: {{ .Values.message | default "hello" | quote }}}
"""
RANDOM = (
    CONFIG
    + """
---
apiVersion: v1
kind: Secret
metadata: {name: {{ .Release.Name }}}
data: {password: {{ randAlphaNum 20 | b64enc }}}
"""
)
KEPT = (
    CONFIG
    + """
---
apiVersion: v1
kind: Secret
metadata: {name: {{ .Release.Name }}}
data:
{{- with lookup "v1" "Secret" .Release.Namespace .Release.Name }}
  password: {{ .data.password }}
{{- else }}
  password: {{ randAlphaNum 20 | b64enc }}
{{- end }}
"""
)
NAMED = (
    CONFIG
    + """
---
apiVersion: v1
kind: Secret
metadata: {name: {{ .Release.Name }}-{{ randAlphaNum 8 | lower }}}
data: {password: c2FtZQ==}
"""
)


async def drift_of(platform: Platform, session: Session, key: str = "app") -> Drift:
    (drift,) = await compare([platform.load().components[key]], session)
    return drift


async def secrets_of(platform: Platform, api: Api) -> dict[str, Object]:
    """The Secrets that the chart makes, by their names: which they are, and what is in them."""
    found = await api.list("v1", "Secret", platform.namespace, labels="app.kubernetes.io/managed-by=Helm")
    return {one["metadata"]["name"]: {"uid": one["metadata"]["uid"], "data": one["data"]} for one in found}


@pytest.mark.parametrize("template", [RANDOM, KEPT, NAMED], ids=["a password", "a password it keeps", "a name"])
async def test_a_chart_that_draws_rests(
    platform: Platform, session: Session, api: Api, everything: Everything, template: str
) -> None:
    platform.define(chart=chart(platform, {"templates/all.yaml": template}))
    assert (await platform.up(session)).verified
    made, before = await secrets_of(platform, api), await everything()
    for _ in range(2):
        assert changes(await seen(platform, session)) == []
        assert (await drift_of(platform, session)).verdict is Verdict.IN_SYNC
        outcome = await platform.up(session)
        assert (outcome.revision, outcome.applied, outcome.verified) == (1, False, True)
    assert await secrets_of(platform, api) == made
    assert await everything() == before


@pytest.mark.parametrize(
    ("template", "planned"),
    [
        (RANDOM, ["data.message: hello → new", "data.password: (hidden) → (hidden)  (drawn anew at each render)"]),
        (KEPT, ["data.message: hello → new"]),
    ],
    ids=["a password", "a password it keeps"],
)
async def test_a_change_tells_what_is_drawn_anew_with_it(
    platform: Platform, session: Session, api: Api, template: str, planned: list[str]
) -> None:
    drawing = chart(platform, {"templates/all.yaml": template})
    platform.define(chart=drawing)
    await platform.up(session)
    platform.define(chart=drawing, values={"message": "new"})
    assert sorted(fields(await seen(platform, session))) == planned
    assert (await platform.up(session)).revision == 2
    made = await secrets_of(platform, api)
    assert (await platform.up(session)).revision == 2
    assert changes(await seen(platform, session)) == []
    assert await secrets_of(platform, api) == made


async def test_a_change_beside_a_drawn_name_makes_the_object_anew(
    platform: Platform, session: Session, api: Api
) -> None:
    drawing = chart(platform, {"templates/all.yaml": NAMED})
    platform.define(chart=drawing)
    await platform.up(session)
    (before,) = await secrets_of(platform, api)
    platform.define(chart=drawing, values={"message": "new"})
    assert (await platform.up(session)).revision == 2
    (after,) = await secrets_of(platform, api)
    assert after != before
    assert changes(await seen(platform, session)) == []


@pytest.mark.parametrize("template", [RANDOM, KEPT, NAMED], ids=["a password", "a password it keeps", "a name"])
async def test_healing_puts_back_the_very_same(platform: Platform, session: Session, api: Api, template: str) -> None:
    platform.define(chart=chart(platform, {"templates/all.yaml": template}))
    await platform.up(session)
    ((name, made),) = (await secrets_of(platform, api)).items()
    await api.delete(platform.name("Secret", name))
    outcome = await platform.up(session, remedy=Remedy.REAPPLY)
    assert (outcome.revision, outcome.applied, outcome.verified) == (1, True, True)
    ((again, back),) = (await secrets_of(platform, api)).items()
    assert (again, back["data"]) == (name, made["data"])
    assert back["uid"] != made["uid"]
    assert await numbers(platform, api) == [1]
    assert (await drift_of(platform, session)).verdict is Verdict.IN_SYNC
    assert changes(await seen(platform, session)) == []


async def test_what_was_planned_is_what_is_applied(
    platform: Platform, session: Session, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Helm renders once more by itself, and would draw another password."""
    from carbon_platform.inspect import desired as inspected

    rendered: list[str] = []

    async def noted(*args: Any, **named: Any) -> Any:
        found = await desired_of(*args, **named)
        rendered.extend(o["data"]["password"] for o in found.objects if o["kind"] == "Secret")
        return found

    monkeypatch.setattr(inspected, "desired_of", noted)
    platform.define(chart=chart(platform, {"templates/all.yaml": RANDOM}))
    await platform.up(session)
    release = platform.load().components["app"].release
    assert release is not None
    revision = await latest(api, release)
    assert revision is not None
    live = await api.get(platform.name("Secret", "app"))
    assert live is not None
    (stored,) = (o["data"]["password"] for o in revision.applied if o["kind"] == "Secret")
    assert rendered[-1] == stored == live["data"]["password"]


ASKS = (
    CONFIG
    + """
---
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-asks}
data: {has: {{ .Capabilities.APIVersions.Has "carbon.test/v1/Gizmo" | quote }}}
"""
)


def crd(kind: str, **version: Any) -> Object:
    """A CRD of a kind that takes anything."""
    plural = f"{kind.lower()}s"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.carbon.test"},
        "spec": {
            "group": "carbon.test",
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


async def test_what_the_cluster_can_by_now_is_planned(platform: Platform, session: Session, api: Api) -> None:
    platform.define(chart=chart(platform, {"templates/all.yaml": ASKS}))
    platform.define("kinds", values={"objects": [crd("Gizmo")]})
    try:
        await platform.up(session)
        assert changes(await seen(platform, session)) == []
        assert (await platform.up(session, "kinds")).verified
        session.api.forget_capabilities()
        assert fields(await seen(platform, session)) == ["data.has: false → true"]
        assert (await platform.up(session)).revision == 2
        assert changes(await seen(platform, session)) == []
        assert (await platform.up(session)).revision == 2
    finally:
        await api.delete(ObjectName.of(crd("Gizmo")))


async def test_a_chart_for_another_kubernetes_is_refused_before_anything_is_changed(
    platform: Platform, session: Session, everything: Everything
) -> None:
    platform.define(chart=chart(platform, {"templates/all.yaml": CONFIG}, kubeVersion=">=99.0.0"))
    with pytest.raises(HelmFailed, match=r"chart requires kubeVersion: >=99\.0\.0"):
        await platform.up(session)
    assert await everything() == {}


def helm(platform: Platform, *arguments: str | Path) -> None:
    """Helm, as a person runs it."""
    program = max((platform.settings().cache / "programs" / "helm").glob("*/helm"))
    layout = platform.cluster.layout
    reached = ["--kubeconfig", str(layout.kubeconfig), "--kube-context", layout.context]
    command = [program, *arguments, *reached, "--namespace", platform.namespace]
    subprocess.run(command, check=True, capture_output=True)


async def test_what_a_person_installed_is_adopted_as_it_is_and_upgraded_by_hand_is_drift(
    platform: Platform, session: Session, api: Api
) -> None:
    where = chart(platform, {"templates/all.yaml": RANDOM, "values.yaml": "message: hello\n"})
    folder = platform.folder / where["path"]
    platform.define(chart=where)
    helm(platform, "install", "app", folder, "--create-namespace")
    made = await secrets_of(platform, api)
    assert changes(await seen(platform, session)) == []
    outcome = await platform.up(session)
    assert (outcome.revision, outcome.verified, await numbers(platform, api)) == (1, True, [1])
    assert (await drift_of(platform, session)).verdict is Verdict.IN_SYNC
    assert await secrets_of(platform, api) == made

    helm(platform, "upgrade", "app", folder, "--set", "message=by-hand")
    drift = await drift_of(platform, session)
    (one,) = drift.objects
    assert (drift.verdict, one.deed) == (Verdict.DRIFTED, Deed.REVISED)
    release = platform.load().components["app"].release
    assert release is not None
    now = (await revisions(api, release))[-1]
    assert one.reason.startswith("revision 2 was made by Helm at ")
    assert now.secret["metadata"]["creationTimestamp"] in one.reason
    assert "data.message: by-hand → hello" in fields(await seen(platform, session))

    found = conditions(platform.load(), {}, {}, session.records.all(), (), revisions={"app": Deployed.of(now)})
    assert found["app"].exempt == (
        f"revision 2 was made {now.made}, and not by Carbon; carbon up app puts its definition in place"
    )

    assert (await platform.up(session)).revision == 3
    config = await api.get(platform.name("ConfigMap", "app"))
    assert config is not None
    assert config["data"] == {"message": "hello"}
    assert (await drift_of(platform, session)).verdict is Verdict.IN_SYNC
    assert changes(await seen(platform, session)) == []


async def test_a_revision_that_a_person_makes_of_a_revision_of_ours_is_theirs(
    platform: Platform, session: Session, api: Api
) -> None:
    """Helm hands the label on, with the number of the revision that it was."""
    where = chart(platform, {"templates/all.yaml": CONFIG, "values.yaml": "message: hello\n"})
    platform.define(chart=where)
    await platform.up(session)
    release = platform.load().components["app"].release
    assert release is not None
    (ours,) = await revisions(api, release)
    assert ours.inputs is not None
    helm(platform, "upgrade", "app", platform.folder / where["path"], "--set", "message=by-hand")
    theirs = (await revisions(api, release))[-1]
    assert theirs.inputs is None
    assert (await drift_of(platform, session)).objects[0].deed is Deed.REVISED
    helm(platform, "rollback", "app", "1")
    back = (await revisions(api, release))[-1]
    assert (back.number, back.inputs) == (3, None)
    outcome = await platform.up(session)
    assert (outcome.revision, outcome.verified) == (3, True)
    assert (await drift_of(platform, session)).verdict is Verdict.IN_SYNC


def test_what_a_person_made_of_the_same_is_taken_over_by_up(platform: Platform) -> None:
    where = chart(platform, {"templates/all.yaml": CONFIG})
    platform.define(chart=where)
    platform.run("up")
    helm(platform, "upgrade", "app", platform.folder / where["path"])
    assert "revised" in platform.run("drift", code=1).stdout
    (planned,) = platform.json("plan")["components"]
    assert planned["reason"].startswith("revision 2 was made by Helm at ")
    assert planned["changes"] == []
    platform.run("up")
    platform.run("drift")
    (planned,) = platform.json("plan")["components"]
    assert planned["reason"] == ""


async def test_what_was_uninstalled_with_its_history_kept_is_installed_anew(
    platform: Platform, session: Session, api: Api
) -> None:
    platform.define(chart=chart(platform, {"templates/all.yaml": RANDOM}))
    await platform.up(session)
    helm(platform, "uninstall", "app", "--keep-history")
    assert (await seen(platform, session)).reason == "not installed"
    assert (await drift_of(platform, session)).verdict is Verdict.ABSENT
    outcome = await platform.up(session)
    assert (outcome.revision, outcome.verified) == (2, True)
    release = platform.load().components["app"].release
    assert release is not None
    now = await latest(api, release)
    assert now is not None
    assert (now.number, now.inputs is not None) == (2, True)
    assert (await drift_of(platform, session)).verdict is Verdict.IN_SYNC
    assert (await platform.up(session)).revision == 2


NAMESPACE = """
apiVersion: v1
kind: Namespace
metadata: {name: {{ .Release.Namespace }}-own, labels: {team: data}}
"""
IN_IT = (
    NAMESPACE
    + """
---
apiVersion: v1
kind: ConfigMap
metadata: {name: there, namespace: {{ .Release.Namespace }}-own}
data: {message: {{ .Values.message | default "hello" | quote }}}
"""
)


@pytest.fixture
def own_namespace(platform: Platform) -> Any:
    """The name of the namespace that a chart brings; gone afterwards."""
    import asyncio

    name = ObjectName("v1", "Namespace", "", f"{platform.namespace}-own")
    yield name

    async def forget() -> None:
        async with platform.api() as api:
            await api.delete(name)

    asyncio.run(forget())


@pytest.mark.parametrize("there", [False, True], ids=["fresh", "made by a person"])
async def test_a_chart_may_bring_its_namespace_which_stays_when_it_goes(
    platform: Platform, session: Session, api: Api, own_namespace: ObjectName, there: bool
) -> None:
    if there:
        await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": own_namespace.name}})
    platform.define(chart=chart(platform, {"templates/all.yaml": IN_IT}))
    action = "update" if there else "create"
    assert changes(await seen(platform, session)) == [
        f"{action} Namespace/{own_namespace.name}",
        "create ConfigMap/there",
    ]
    assert (await platform.up(session)).verified
    live = await api.get(own_namespace)
    assert live is not None
    assert live["metadata"]["labels"]["team"] == "data"
    assert changes(await seen(platform, session)) == []
    assert (await platform.up(session)).revision == 1
    await api.patch(own_namespace, {"metadata": {"labels": {"team": "other"}}}, manager="kubectl-label")
    (one,) = (await drift_of(platform, session)).objects
    assert [field.path for field in one.fields] == ["metadata.labels.team"]
    assert (await platform.up(session)).revision == 1
    assert (await drift_of(platform, session)).verdict is Verdict.IN_SYNC
    platform.run("down", "app", "--yes")
    live = await api.get(own_namespace)
    assert live is not None
    assert "deletionTimestamp" not in live["metadata"]


async def test_a_chart_of_nothing_but_a_namespace_can_be_deployed(
    platform: Platform, session: Session, api: Api, own_namespace: ObjectName
) -> None:
    platform.define(chart=chart(platform, {"templates/all.yaml": NAMESPACE}))
    assert (await platform.up(session)).verified
    assert await api.get(own_namespace) is not None
    assert (await platform.up(session)).revision == 1
    assert changes(await seen(platform, session)) == []
    platform.run("down", "app", "--yes")
    assert await api.get(own_namespace) is not None


COUNTED = """
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-{{ .Release.Revision }}}
data: {message: {{ .Values.message | default "hello" | quote }}, upgrade: {{ .Release.IsUpgrade | quote }}}
"""


async def test_a_chart_that_counts_revisions_gets_the_number_of_its_own(
    platform: Platform, session: Session, api: Api
) -> None:
    where = chart(platform, {"templates/all.yaml": COUNTED})

    async def there() -> dict[str, dict[str, str]]:
        found = await api.list("v1", "ConfigMap", platform.namespace, labels="app.kubernetes.io/managed-by=Helm")
        return {one["metadata"]["name"]: one["data"] for one in found}

    platform.define(chart=where)
    assert (await platform.up(session)).verified
    assert await there() == {"app-1": {"message": "hello", "upgrade": "false"}}
    assert changes(await seen(platform, session)) == []
    platform.define(chart=where, values={"message": "new"})
    assert changes(await seen(platform, session)) == ["create ConfigMap/app-2", "delete ConfigMap/app-1"]
    assert (await platform.up(session)).revision == 2
    assert await there() == {"app-2": {"message": "new", "upgrade": "true"}}
    assert changes(await seen(platform, session)) == []
    assert (await platform.up(session)).revision == 2
    assert (await platform.up(session, redeploy=True)).revision == 3
    assert list(await there()) == ["app-3"]
    helm(platform, "rollback", "app", "2")
    assert (await seen(platform, session)).plan is not None
    assert (await platform.up(session)).verified


async def test_what_a_person_did_before_the_definition_said_so_is_no_drift_afterwards(
    platform: Platform, session: Session, api: Api
) -> None:
    """Nothing is to change, but the revision has to say what is desired now."""
    where = chart(platform, {"templates/all.yaml": CONFIG})
    platform.define(chart=where)
    await platform.up(session)
    await api.patch(platform.name("ConfigMap", "app"), {"data": {"message": "new"}}, manager="kubectl-edit")
    platform.define(chart=where, values={"message": "new"})
    assert changes(await seen(platform, session)) == []
    assert (await platform.up(session)).revision == 2
    assert (await drift_of(platform, session)).verdict is Verdict.IN_SYNC
    assert (await platform.up(session)).revision == 2
