"""The charts of a folder, what is left of one, and the table that tells it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.corpus.carbon import Done
from benchmarks.corpus.charts import Chart, find, write_definitions
from benchmarks.corpus.cluster import Trace, left_of
from benchmarks.corpus.result import COLUMNS, Row, renewed, summary, table
from carbon_platform.errors import ConfigurationError
from carbon_platform.settings import Settings
from carbon_platform.spec.load import load_platform

CHART = Chart("my-store", Path("/charts/my-store"), "1.2.3", {})


def _chart(folder: Path, name: str, version: str = "1.0.0") -> None:
    (folder / name).mkdir()
    told = {"apiVersion": "v2", "name": name, "version": version}
    (folder / name / "Chart.yaml").write_text(yaml.safe_dump(told), encoding="utf-8")


def _object(kind: str, name: str, namespace: str | None = CHART.namespace, **annotations: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "annotations": annotations}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata | ({"namespace": namespace} if namespace else {})}


def _row(name: str, **steps: Any) -> Row:
    return Row(name, "1.0.0", **(dict.fromkeys(COLUMNS, True) | steps))


def test_every_folder_with_a_chart_is_one_with_the_values_that_stand_beside_it(tmp_path: Path) -> None:
    _chart(tmp_path, "b-store", "2.0.0")
    _chart(tmp_path, "a")
    (tmp_path / "none").mkdir()
    (tmp_path / "b-store.values.yaml").write_text("size: 3\n", encoding="utf-8")
    first, second = find(tmp_path)
    assert (first.name, first.version, first.values) == ("a", "1.0.0", {})
    assert (second.key, second.version, second.values) == ("b_store", "2.0.0", {"size": 3})


def test_a_run_can_be_of_some_charts_and_a_name_that_is_none_is_told(tmp_path: Path) -> None:
    _chart(tmp_path, "a")
    _chart(tmp_path, "b")
    assert [chart.name for chart in find(tmp_path, ["b"])] == ["b"]
    with pytest.raises(ConfigurationError, match="no chart c"):
        find(tmp_path, ["b", "c"])
    with pytest.raises(ConfigurationError):
        find(tmp_path / "a")


def test_each_chart_gets_a_definition_that_loads_in_a_namespace_of_its_own(tmp_path: Path) -> None:
    for name in ("a", "b-store"):
        _chart(tmp_path, name)
    defs = write_definitions(find(tmp_path), tmp_path / "defs")
    loaded = load_platform(Settings(defs=(str(defs),))).components
    assert {one.namespace for one in loaded.values()} == {"corpus-a", "corpus-b-store"}
    assert loaded["b_store"].release is not None
    assert loaded["b_store"].checks == {}
    write_definitions(find(tmp_path, ["a"]), defs)
    assert set(load_platform(Settings(defs=(str(defs),))).components) == {"a"}


def test_a_new_revision_and_pods_that_are_others_or_began_again_are_told() -> None:
    before = Trace(frozenset({"sh.helm.release.v1.a.v1"}), {"one": 0, "two": 0})
    assert before.changes(before) == []
    later = Trace(frozenset({"sh.helm.release.v1.a.v1", "sh.helm.release.v1.a.v2"}), {"two": 1, "three": 0})
    told = before.changes(later)
    assert told == ["a new revision: v2", "pods replaced or removed: 1", "pods restarted: 1"]


def test_what_is_left_is_what_is_in_its_namespace_or_marked_as_its_release() -> None:
    marks = {"meta.helm.sh/release-name": CHART.release, "meta.helm.sh/release-namespace": CHART.namespace}
    others = {"meta.helm.sh/release-name": CHART.release, "meta.helm.sh/release-namespace": "elsewhere"}
    found = left_of(
        CHART,
        [
            _object("ConfigMap", "of-a-controller"),
            _object("ClusterRole", "forgotten", None, **marks),
            _object("ClusterRole", "of-another", None, **others),
            _object("ConfigMap", "elsewhere", "elsewhere"),
            _object("ConfigMap", "kube-root-ca.crt"),
            _object("ServiceAccount", "default"),
            _object("Event", "told"),
        ],
    )
    assert {str(one) for one in found.unexpected} == {
        f"ConfigMap {CHART.namespace}/of-a-controller",
        "ClusterRole forgotten",
    }
    assert found.hooks == found.stays == ()


def test_volumes_crds_what_is_to_be_kept_and_what_hooks_made_are_told_apart() -> None:
    marks = {"meta.helm.sh/release-name": CHART.release, "meta.helm.sh/release-namespace": CHART.namespace}
    ledger = _object("ConfigMap", "carbon-my-store")
    ledger["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "carbon"}
    found = left_of(
        CHART,
        [
            ledger,
            _object("PersistentVolumeClaim", "data-0"),
            _object("CustomResourceDefinition", "stores", None, **marks),
            _object("Secret", "key", **{"helm.sh/resource-policy": "keep"}),
            _object("Job", "migrate", **{"helm.sh/hook": "pre-install"}),
        ],
    )
    assert {one.kind for one in found.stays} == {
        "ConfigMap",
        "PersistentVolumeClaim",
        "CustomResourceDefinition",
        "Secret",
    }
    assert [one.kind for one in found.hooks] == ["Job"]
    assert found.unexpected == ()


def test_what_has_a_living_owner_is_not_told_beside_it() -> None:
    hook = _object("Job", "migrate", **{"helm.sh/hook": "pre-install"})
    hook["metadata"]["uid"] = "1"
    pods = [_object("Pod", "migrate-x"), _object("Pod", "of-what-is-gone")]
    for pod, owner in zip(pods, ("1", "2"), strict=True):
        pod["metadata"]["ownerReferences"] = [{"kind": "Job", "name": "migrate", "uid": owner}]
    found = left_of(CHART, [hook, *pods])
    assert [one.name for one in found.unexpected] == ["of-what-is-gone"]
    assert [one.name for one in found.hooks] == ["migrate"]


def test_an_error_that_nobody_foresaw_is_a_crash_and_its_last_line_is_told() -> None:
    done = Done(1, {}, "Traceback (most recent call last):\n  File …\nKeyError: 'spec'\n")
    assert done.crashed
    assert done.why == "KeyError: 'spec'"


def test_an_error_of_the_whole_command_is_told_with_its_cause() -> None:
    error = {"summary": "the chart can't be rendered", "cause": "a value is missing", "fix": "give it"}
    done = Done(1, {"error": error}, "")
    assert not done.crashed
    assert done.why == "the chart can't be rendered: a value is missing"
    assert done.component("a") == {}


def test_a_chart_is_right_when_all_went_well_or_it_was_told_why_it_can_not_be_deployed() -> None:
    assert _row("a").right
    assert not _row("a", plan_empty=False).right
    assert not _row("a", nothing_healed=None).right
    assert Row("a", "1", planned=True, deployed=False, down_clean=True).right
    assert not Row("a", "1", planned=True, deployed=False, down_clean=False).right
    assert not Row("a", "1", planned=True, deployed=False, told=False, down_clean=True).right


def test_the_table_has_a_line_for_each_chart_with_its_notes() -> None:
    bad = _row("b", plan_empty=False, second_up_idle=None)
    bad.note("plan after up:  update Secret a/b\n (data.key | <hidden>)")
    head, rule, first, second = table([_row("a"), bad]).splitlines()
    assert head.startswith("| chart | version | planned | deployed |")
    assert rule.count("---") == head.count("|") - 1 == len(COLUMNS) + 3
    assert first == "| a | 1.0.0 | yes | yes | yes | yes | yes | yes | yes |  |"
    assert "| yes | yes | no | yes | – | yes | yes |" in second
    assert second.endswith("| plan after up: update Secret a/b (data.key \\| &lt;hidden>) |")


def test_what_became_of_all_is_counted() -> None:
    refused, waiting = Row("c", "1", deployed=False, refused=True), Row("d", "1", deployed=False)
    told = summary([_row("a"), _row("b", no_drift=False), refused, waiting])
    assert told == "4 charts: 2 deployed, 1 of them without a flaw; 1 refused, 1 not ready"


def test_a_page_keeps_everything_but_what_is_between_its_marks() -> None:
    mark = "<!-- corpus: made by python -m benchmarks.corpus FOLDER --page FILE -->"
    page = f"# Charts\n{mark}\nold\n<!-- end of corpus -->\nafter\n"
    once = renewed(page, [_row("a")], 30)
    assert once.startswith(f"# Charts\n{mark}\n1 charts")
    assert "old" not in once
    assert "30 minutes" in once
    assert once.endswith("<!-- end of corpus -->\nafter\n")
    assert renewed(once, [_row("a")], 30) == once
    with pytest.raises(ValueError, match="no place"):
        renewed("# Charts\n", [], 30)
