"""What a chart may write is what is planned, applied and found again, as Helm and the API server read it."""

import base64

import pytest

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.resources import ObjectName
from carbon_platform.drift.compare import compare
from carbon_platform.drift.drift import Verdict
from carbon_platform.errors import Blocked, DataAtRisk
from carbon_platform.inspect.plans import plans_of
from carbon_platform.session import Session
from tests.cluster.platform import Platform
from tests.cluster.waiting import until

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n"


def chart(platform: Platform, text: str, **more: object) -> None:
    charts = platform.folder / "charts"
    if charts.is_symlink():
        charts.unlink()
    platform.chart("odd", objects=text.replace("NAMESPACE", platform.namespace))
    platform.release("app", chart={"path": "charts/odd"}, namespace=platform.namespace, **more)


async def rests(platform: Platform, session: Session) -> None:
    """Fails unless what was deployed is as desired, and deploying it again does nothing."""
    found = (await plans_of(platform.load(), ["app"], session))["app"]
    assert found.error is None
    assert found.plan is not None
    assert [(str(change.object), change.action, change.fields) for change in found.plan.changes] == []
    (drift,) = await compare([platform.load().components["app"]], session)
    assert (drift.verdict, drift.objects) == (Verdict.IN_SYNC, ())
    before = found.plan.revision
    assert (await platform.up(session)).revision == (before.number if before else None)


SHAPES = {
    "numbers, dates and words": """
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: NAMESPACE-numbers}
value: 1e+06
---
apiVersion: v1
kind: Service
metadata: {name: app}
spec: {clusterIP: None, ports: [{port: 0x50, name: http}, {port: 0o120, name: octal, protocol: UDP}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: app}
immutable: no
data: {1: "1e+06", 1.5: "12:30", true: "2001-12-14"}
""",
    "lists": """
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: one}}
- apiVersion: v1
  kind: List
  items: [{apiVersion: v1, kind: ConfigMap, metadata: {name: two}}]
---
apiVersion: v1
kind: ConfigMapList
items: [{metadata: {name: three}}, {metadata: {name: four}, data: {a: b}}]
""",
    "no namespace where one is, and one where none is": """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NAMESPACE-role, namespace: NAMESPACE}
rules: []
---
apiVersion: v1
kind: ConfigMap
metadata: {name: one, namespace: ""}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: two, namespace: NAMESPACE, labels: null, annotations: {a: null}}
""",
    "what controllers fill in": """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NAMESPACE-all}
aggregationRule: {clusterRoleSelectors: [{matchLabels: {for: NAMESPACE}}]}
rules: []
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NAMESPACE-part, labels: {for: NAMESPACE}}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: app}
secrets: []
""",
    "jobs that vanish or are suspended": """
apiVersion: batch/v1
kind: Job
metadata: {name: gone}
spec:
  completions: 0
  ttlSecondsAfterFinished: 0
  template:
    spec:
      restartPolicy: Never
      tolerations: [{key: kwok.x-k8s.io/node, operator: Exists}]
      containers: [{name: main, image: "example.invalid/app:1"}]
---
apiVersion: batch/v1
kind: Job
metadata: {name: later}
spec:
  suspend: true
  template: {spec: {restartPolicy: Never, containers: [{name: main, image: "example.invalid/app:1"}]}}
""",
}


@pytest.mark.parametrize("text", SHAPES.values(), ids=SHAPES)
async def test_what_a_chart_writes_comes_to_rest(text: str, platform: Platform, session: Session) -> None:
    chart(platform, text)
    outcome = await platform.up(session)
    assert (outcome.revision, outcome.verified) == (1, True)
    await rests(platform, session)


async def test_a_label_that_is_no_text_is_refused_with_its_name(platform: Platform, session: Session) -> None:
    chart(platform, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one, labels: {a: 1}}\n")
    with pytest.raises(Blocked, match="nothing was changed") as caught:
        await platform.up(session)
    assert "labels.a: expected string" in caught.value.cause


async def test_a_job_that_vanished_is_not_run_again(platform: Platform, session: Session, api: Api) -> None:
    chart(platform, SHAPES["jobs that vanish or are suspended"])
    await platform.up(session)
    await until(lambda: api.get(platform.name("Job", "gone")), None, 60)
    await rests(platform, session)
    assert await api.get(platform.name("Job", "gone")) is None


async def test_a_ca_bundle_that_others_put_in_is_theirs(platform: Platform, session: Session, api: Api) -> None:
    chart(
        platform,
        """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: NAMESPACE-hook}
webhooks:
- name: a.example.com
  clientConfig: {url: "https://127.0.0.1:1/", caBundle: ""}
  rules: [{apiGroups: [none.example.com], apiVersions: [v1], operations: [CREATE], resources: [nothing]}]
  admissionReviewVersions: [v1]
  sideEffects: None
""",
    )
    await platform.up(session)
    name = ObjectName(
        "admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "", f"{platform.namespace}-hook"
    )
    live = await api.get(name)
    assert live is not None
    ca = (platform.cluster.layout.pki / "ca.crt").read_bytes()
    live["webhooks"][0]["clientConfig"]["caBundle"] = base64.b64encode(ca).decode()
    await api.replace(live, manager="some-injector")
    await rests(platform, session)


async def test_what_can_not_be_changed_in_place_is_told_before_anything_is(
    platform: Platform, session: Session, api: Api
) -> None:
    level = "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: NAMESPACE-level}\nvalue: %s\n"
    chart(platform, f"{CONFIG}data: {{a: '1'}}\n---\n{level % 1}")
    await platform.up(session)
    chart(platform, f"{CONFIG}data: {{a: '2'}}\n---\n{level % 2}")
    with pytest.raises(Blocked, match="nothing was changed") as caught:
        await platform.up(session)
    assert f"PriorityClass {platform.namespace}-level can't be changed in place" in caught.value.cause
    assert "value" in caught.value.cause
    assert "give PriorityClass" in caught.value.fix
    live = await api.get(platform.name("ConfigMap", "one"))
    assert live is not None
    assert live["data"] == {"a": "1"}


KIND = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: vaults.GROUP.NAMESPACE.example.com, annotations: {helm.sh/resource-policy: keep}}
spec:
  group: GROUP.NAMESPACE.example.com
  scope: Namespaced
  names: {kind: Vault, plural: vaults, singular: vault, listKind: VaultList}
  versions: [{name: v1, served: true, storage: true,
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
---
"""
VAULT = "apiVersion: GROUP.NAMESPACE.example.com/v1\nkind: Vault\nmetadata: {name: money}\n"


async def test_an_object_that_moves_to_another_group_is_deleted_with_a_word_only(
    platform: Platform, session: Session, api: Api
) -> None:
    def moved_to(group: str) -> None:
        kinds = "".join(KIND.replace("GROUP", one) for one in ("old", "new"))
        chart(platform, kinds + VAULT.replace("GROUP", group), stateful=True)

    moved_to("old")
    await platform.up(session)
    old, new = (
        ObjectName(f"{g}.{platform.namespace}.example.com/v1", "Vault", platform.namespace, "money")
        for g in ("old", "new")
    )
    before = await api.get(old)
    moved_to("new")
    with pytest.raises(DataAtRisk) as caught:
        await platform.up(session)
    word = f"delete:Vault/{platform.namespace}/money"
    assert word in caught.value.fix
    assert await api.get(old) == before
    await platform.up(session, confirm=[word])
    assert await api.get(old) is None
    assert await api.get(new) is not None
    await rests(platform, session)


@pytest.mark.parametrize(
    "status",
    [{"observedGeneration": "1"}, {"conditions": {"Ready": "False"}}, {"conditions": None}, {"conditions": ["odd"]}],
    ids=str,
)
async def test_a_status_of_any_shape_says_nothing_wrong(
    status: object, platform: Platform, session: Session, api: Api
) -> None:
    chart(platform, KIND.replace("GROUP", "any") + VAULT.replace("GROUP", "any"))
    await platform.up(session)
    name = ObjectName(f"any.{platform.namespace}.example.com/v1", "Vault", platform.namespace, "money")
    await api.patch(name, {"status": status}, manager="its-controller")
    await rests(platform, session)
