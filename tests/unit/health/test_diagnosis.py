"""Why a workload can't become ready: told when waiting is pointless, and not before."""

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon_platform.cluster.reach import Object
from carbon_platform.health.cause import Kind
from carbon_platform.health.diagnosis import (
    current_pods,
    diagnose,
    outdated_pods,
    owned_pods,
    pod_cause,
    stuck_pods,
)
from tests.objects import conditions, obj, workload
from tests.unit.health.pods import (
    NOW,
    ago,
    container,
    crashed,
    declared,
    deployment,
    event,
    pod,
    replica_set,
    run,
    running,
    stateful_set,
    waiting,
)

NOT_FOUND = (
    'Failed to pull image "registry.example/app:1": rpc error: code = NotFound desc = failed to pull and unpack image'
    ' "registry.example/app:1": registry.example/app:1: not found'
)
TIMEOUT = 'Failed to pull image "registry.example/app:1": net/http: TLS handshake timeout'
MISSING_MAP = 'MountVolume.SetUp failed for volume "config" : configmap "nobody-made-me" not found'


def kind_of(found: Object, *events: Object, now: datetime.datetime = NOW) -> Kind | None:
    cause = pod_cause(found, events, now)
    return cause.kind if cause else None


# Images


def test_an_image_that_does_not_exist_is_told_at_the_first_try_with_the_registrys_words() -> None:
    broken = pod(waiting("ErrImagePull", NOT_FOUND))
    cause = pod_cause(broken, [], NOW)
    assert cause is not None
    assert cause.kind is Kind.IMAGE
    assert "registry.example/app:1" in cause.why
    assert cause.evidence == (NOT_FOUND,)
    assert str(cause.object) == "Pod here/app-7d4b9-x2x4k"


def test_an_image_in_backoff_is_told_with_what_the_events_say() -> None:
    broken = pod(waiting("ImagePullBackOff", 'Back-off pulling image "registry.example/app:1"'))
    cause = pod_cause(broken, [event(broken, "Failed", NOT_FOUND), event(broken, "Failed", "Error: ErrImagePull")], NOW)
    assert cause is not None
    assert cause.evidence == (NOT_FOUND,)


@pytest.mark.parametrize(
    "told",
    [
        "pull access denied, repository does not exist or may require authorization",
        "unexpected status from HEAD request: 401 Unauthorized",
        "dial tcp: lookup registry.example: no such host",
        "dial tcp 192.0.2.1:443: connect: connection refused",
        "manifest unknown",
        'Container image "app:1" is not present with pull policy of Never',
    ],
)
def test_a_pull_that_can_not_succeed_is_told_at_once(told: str) -> None:
    assert kind_of(pod(waiting("ErrImagePull", told))) is Kind.IMAGE


def test_a_pull_that_timed_out_may_succeed_the_next_time() -> None:
    slow = pod(waiting("ErrImagePull", TIMEOUT))
    assert kind_of(slow, event(slow, "Failed", TIMEOUT), event(slow, "Failed", "Error: ErrImagePull")) is None


def test_a_pull_that_timed_out_again_is_told() -> None:
    slow = pod(waiting("ImagePullBackOff", "Back-off"))
    assert kind_of(slow, event(slow, "Failed", TIMEOUT, count=2), event(slow, "Failed", "x", count=2)) is Kind.IMAGE


@pytest.mark.parametrize("reason", ["InvalidImageName", "ErrImageNeverPull"])
def test_a_name_that_is_none_and_an_image_that_must_not_be_pulled_are_told_at_once(reason: str) -> None:
    assert kind_of(pod(waiting(reason, "x"))) is Kind.IMAGE


def test_the_image_of_an_init_container_counts_too() -> None:
    assert kind_of(pod(waiting("PodInitializing"), init=(waiting("ErrImagePull", NOT_FOUND),))) is Kind.IMAGE


# Crashes


@pytest.mark.parametrize(("times", "kind"), [(0, None), (1, None), (2, Kind.CRASH_LOOP), (7, Kind.CRASH_LOOP)])
def test_one_crash_may_be_an_accident_of_starting_and_two_are_a_loop(times: int, kind: Kind | None) -> None:
    assert kind_of(pod(crashed(times, 3))) is kind


def test_a_crash_loop_is_told_with_its_exit_code_and_its_number() -> None:
    cause = pod_cause(pod(crashed(4, 3)), [], NOW)
    assert cause is not None
    assert cause.why == "container main ended with exit code 3 and was restarted 4 times"


def test_a_container_killed_for_its_memory_is_told_with_its_limit() -> None:
    spec = declared("curves", resources={"limits": {"memory": "64Mi"}})
    cause = pod_cause(pod(crashed(2, 137, "OOMKilled", name="curves"), spec=spec), [], NOW)
    assert cause is not None
    assert cause.kind is Kind.OUT_OF_MEMORY
    assert cause.why == "container curves was killed 2 times for using more memory than its limit of 64Mi"
    assert "raise the memory limit of container curves" in cause.fix


def test_a_container_without_a_limit_that_is_killed_for_memory_ran_out_of_the_nodes() -> None:
    cause = pod_cause(pod(crashed(2, 137, "OOMKilled"), spec=declared()), [], NOW)
    assert cause is not None
    assert "more memory than the node could give it" in cause.why


@pytest.mark.parametrize(("code", "meaning"), [(139, "SIGSEGV"), (127, "a command that was not found")])
def test_an_exit_code_with_a_meaning_is_told_with_it(code: int, meaning: str) -> None:
    cause = pod_cause(pod(crashed(2, code)), [], NOW)
    assert cause is not None
    assert cause.why == f"container main ended with exit code {code} ({meaning}) and was restarted 2 times"


def test_who_waits_no_longer_is_told_of_the_first_crash_too() -> None:
    again = pod(container(ready=False, restartCount=1, lastState=run(40, 35, 3)))
    assert kind_of(again) is None
    late = pod_cause(again, [], NOW - datetime.timedelta(seconds=28), late=True)
    assert late is not None
    assert (late.kind, late.why) == (Kind.CRASH_LOOP, "container main ended with exit code 3 and was restarted 1 time")
    assert pod_cause(again, [], NOW, late=True) is None, "it has outlived that"


def test_the_second_pod_of_a_stateful_set_that_ends_is_the_cause_and_the_first_is_not() -> None:
    owner = stateful_set(replicas=2)
    first = pod(running(50), name="shard-0", phase="Running", labels={"controller-revision-hash": "app-new"})
    second = pod(crashed(2, 4, name="shard"), name="shard-1", labels={"controller-revision-hash": "app-new"})
    cause = diagnose(owner, current_pods(owner, [first, second], []), [], NOW)
    assert cause is not None
    assert (str(cause.object), cause.kind) == ("Pod here/shard-1", Kind.CRASH_LOOP)
    assert "exit code 4" in cause.why


def test_a_container_that_runs_again_after_crashes_may_become_ready() -> None:
    ended = {"terminated": {"exitCode": 1, "reason": "Error"}}
    assert kind_of(pod(container(ready=False, restartCount=5, lastState=ended))) is None


def test_an_init_container_that_succeeded_after_crashes_is_no_cause() -> None:
    done = container("init", ready=True, restartCount=3, state={"terminated": {"exitCode": 0, "reason": "Completed"}})
    assert kind_of(pod(waiting("PodInitializing"), init=(done,))) is None


def test_a_container_between_its_crash_and_its_next_start_is_in_a_loop_too() -> None:
    ended = container(ready=False, restartCount=2, state={"terminated": {"exitCode": 1, "reason": "Error"}})
    assert kind_of(pod(ended)) is Kind.CRASH_LOOP


def test_a_crash_long_after_the_last_one_is_no_loop_yet() -> None:
    again = waiting("CrashLoopBackOff", "back-off 10s restarting failed container=main", restartCount=7, lastState=LONG)
    assert kind_of(pod(again)) is None
    between = container(ready=False, state={"terminated": {"exitCode": 1}}, restartCount=7, lastState=LONG)
    assert kind_of(pod(between)) is None


def test_a_container_that_died_with_its_node_is_in_no_loop() -> None:
    gone = {"terminated": {"exitCode": 255, "reason": "Unknown", "startedAt": ago(80), "finishedAt": ago(5)}}
    assert kind_of(pod(container(ready=False, state=gone, restartCount=7))) is None
    assert kind_of(pod(waiting("PodInitializing", restartCount=7, lastState=gone))) is None


LONG = {"terminated": {"exitCode": 137, "reason": "Error", "startedAt": ago(900), "finishedAt": ago(5)}}
"""It ran for a quarter of an hour, and was killed."""


# Configuration, mounts, sandboxes


NO_COMMAND = 'exec: "nobody-made-me": executable file not found in $PATH'
LACKS = [
    ("CreateContainerConfigError", 'configmap "nobody-made-me" not found', Kind.CONFIG_MAP),
    ("CreateContainerConfigError", 'secret "nobody-made-me" not found', Kind.SECRET),
    ("CreateContainerConfigError", "couldn't find key nobody-made-me in Secret here/s", Kind.KEY),
    ("CreateContainerConfigError", "couldn't find key nobody-made-me in ConfigMap here/s", Kind.KEY),
    ("CreateContainerError", NO_COMMAND, Kind.COMMAND),
]


@pytest.mark.parametrize(("reason", "message", "kind"), LACKS)
def test_what_a_container_lacks_is_named(reason: str, message: str, kind: Kind) -> None:
    cause = pod_cause(pod(waiting(reason, message)), [], NOW)
    assert cause is not None
    assert cause.kind is kind
    assert "nobody-made-me" in cause.why
    assert "nobody-made-me" in cause.fix


def test_a_user_that_may_not_be_root_is_told_with_what_to_set() -> None:
    said = "container has runAsNonRoot and image will run as root (pod: app, container: main)"
    cause = pod_cause(pod(waiting("CreateContainerConfigError", said)), [], NOW)
    assert cause is not None
    assert cause.kind is Kind.CONFIGURATION
    assert "runAsUser" in cause.fix


def test_what_the_kubelet_has_not_read_yet_is_no_cause() -> None:
    said = "failed to sync secret cache: timed out waiting for the condition"
    assert kind_of(pod(waiting("CreateContainerConfigError", said))) is None


RUNC = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "


@pytest.mark.parametrize(
    ("said", "times", "kind"),
    [
        (f"{RUNC}{NO_COMMAND}: unknown", 0, Kind.COMMAND),
        (f'{RUNC}exec: "/app/run": permission denied: unknown', 0, Kind.COMMAND),
        (f"{RUNC}exec /app/run: exec format error: unknown", 0, Kind.COMMAND),
        (f'{RUNC}exec: "/late/run": stat /late/run: no such file or directory: unknown', 0, None),
        (f'{RUNC}exec: "/late/run": stat /late/run: no such file or directory: unknown', 1, Kind.COMMAND),
    ],
)
def test_a_command_that_can_not_be_run_is_told_with_the_runtimes_words(
    said: str, times: int, kind: Kind | None
) -> None:
    """As the kubelet tells it at first, and while it pauses before it tries again."""
    ended = {"terminated": {"exitCode": 128, "reason": "StartError", "message": said, "startedAt": ago(9)}}
    pauses = waiting("CrashLoopBackOff", "back-off 10s restarting", restartCount=times, lastState=ended)
    for status in (waiting("RunContainerError", said, restartCount=times), pauses):
        assert kind_of(pod(status)) is kind


MOUNTS = [
    ("FailedMount", MISSING_MAP, Kind.CONFIG_MAP),
    ("FailedMount", 'MountVolume.SetUp failed for volume "tls" : secret "nobody-made-me" not found', Kind.SECRET),
    (
        "FailedMount",
        'MountVolume.SetUp failed for volume "c" : references non-existent config key: nobody-made-me',
        Kind.KEY,
    ),
    ("FailedMount", "MountVolume.MountDevice failed for volume: exit status 32", Kind.MOUNT),
    ("FailedAttachVolume", 'Multi-Attach error for volume "pvc-1": it is used by a pod elsewhere', Kind.MOUNT),
    ("FailedCreatePodSandBox", "plugin type=bridge failed: no IP addresses available in range", Kind.SANDBOX),
]


@pytest.mark.parametrize(("reason", "message", "kind"), MOUNTS)
@pytest.mark.parametrize(("first", "count", "told"), [(5, 4, False), (30, 1, False), (30, 4, True)])
def test_a_mount_that_fails_again_and_again_is_told_after_the_grace(
    reason: str, message: str, kind: Kind, first: float, count: int, told: bool
) -> None:
    creating = pod(waiting("ContainerCreating"))
    found = kind_of(creating, event(creating, reason, message, first=first, count=count))
    assert found is (kind if told else None)


@pytest.mark.parametrize("reason", ["Pulling", "Pulled", "Created", "Started"])
def test_a_mount_that_failed_before_the_pod_went_on_is_over(reason: str) -> None:
    pulling = pod(waiting("ContainerCreating"))
    failed = event(pulling, "FailedMount", MISSING_MAP, count=4, first=60, last=20)
    assert kind_of(pulling, failed, event(pulling, reason, "x", first=15, last=15)) is None
    assert kind_of(pulling, failed, event(pulling, reason, "x", first=50, last=50)) is Kind.CONFIG_MAP


def test_events_of_a_pod_that_runs_are_history() -> None:
    running = pod(container(ready=False))
    assert kind_of(running, event(running, "FailedMount", MISSING_MAP, count=9)) is None


def test_an_event_without_a_count_or_a_message_is_no_accident() -> None:
    creating = pod(waiting("ErrImagePull", TIMEOUT))
    bare = [event(creating, reason, None, count=None) for reason in ("FailedMount", "Failed", "FailedCreate")]
    assert kind_of(creating, *bare) is None
    assert diagnose(stateful_set(), [creating], [*bare, event(stateful_set(), "FailedCreate", None)], NOW) is not None


# Workloads


def test_the_cause_of_a_workload_is_that_of_a_pod_of_its_own() -> None:
    broken, fine = pod(crashed(3), name="b"), pod(container(), name="a")
    cause = diagnose(deployment(), [broken, fine], [], NOW)
    assert cause is not None
    assert (cause.kind, cause.object.name) == (Kind.CRASH_LOOP, "b")


def test_events_are_those_of_the_pod_and_not_of_its_neighbour() -> None:
    mine, neighbour = pod(waiting("ContainerCreating"), name="a"), pod(waiting("ContainerCreating"), name="b")
    told = [event(neighbour, "FailedMount", MISSING_MAP, count=4)]
    assert diagnose(deployment(), [mine], told, NOW) is None
    assert diagnose(deployment(), [neighbour], told, NOW) is not None


def test_the_pods_of_a_job_are_its_own_though_it_tells_no_observed_generation() -> None:
    labels = {"batch.kubernetes.io/controller-uid": "uid-job"}
    job = workload("Job", spec={"selector": {"matchLabels": labels}}, status={"active": 1}, uid="uid-job", generation=1)
    broken = pod(init=(waiting("ErrImagePull", NOT_FOUND),), labels=labels)
    pods = current_pods(job, owned_pods(job, [broken]), [])
    cause = diagnose(job, pods, [], NOW)
    assert cause is not None
    assert cause.kind is Kind.IMAGE


def test_a_job_that_failed_is_told_with_why() -> None:
    job = workload("Job", spec={}, status=conditions(Failed=("True", "BackoffLimitExceeded", "has reached the limit")))
    cause = diagnose(job, [], [], NOW)
    assert cause is not None
    assert (cause.kind, cause.why) == (Kind.JOB_FAILED, "failed: has reached the limit")


def test_a_rollout_without_progress_is_told() -> None:
    stuck = deployment(**conditions(Progressing=("False", "ProgressDeadlineExceeded", "")))
    cause = diagnose(stuck, [], [], NOW)
    assert cause is not None
    assert cause.kind is Kind.ROLLOUT


WAITING = [waiting("ContainerCreating"), waiting("PodInitializing"), container(ready=False), container(), crashed(1)]


@given(st.lists(st.sampled_from(WAITING), max_size=3), st.integers(0, 3600))
def test_what_may_still_become_ready_has_no_cause(containers: list[dict[str, Any]], seconds: int) -> None:
    later = NOW + datetime.timedelta(seconds=seconds)
    assert diagnose(deployment(), [pod(*containers)], [], later) is None


@pytest.mark.parametrize("over", [pod(crashed(9), deletionTimestamp="x"), pod(crashed(9), phase="Succeeded")])
def test_a_pod_that_goes_or_has_done_its_work_is_no_cause(over: Object) -> None:
    assert kind_of(over) is None


# Which pods count


def test_the_pods_of_a_workload_are_those_its_selector_means_in_its_namespace() -> None:
    mine = pod(name="a")
    others = [pod(name="b", labels={"app": "other"}), pod(name="c", labels={"of": "app"}), pod(name="d")]
    others[2]["metadata"]["namespace"] = "there"
    assert owned_pods(deployment(), [mine, *others]) == [mine]
    assert owned_pods(obj("Service", spec={"selector": {"app": "app"}}), [mine]) == []
    assert owned_pods(workload("Job", spec={}), [mine]) == []


@pytest.mark.parametrize(
    ("operator", "values", "meant"),
    [
        ("In", ["app", "other"], ["a"]),
        ("NotIn", ["app"], ["b", "c"]),
        ("Exists", [], ["a", "b"]),
        ("DoesNotExist", [], ["c"]),
    ],
)
def test_a_selector_of_expressions_means_its_pods_too(operator: str, values: list[str], meant: list[str]) -> None:
    pods = [pod(name="a"), pod(name="b", labels={"app": "web"}), pod(name="c", labels={"of": "app"})]
    owner = deployment()
    owner["spec"]["selector"] = {"matchExpressions": [{"key": "app", "operator": operator, "values": values}]}
    assert [one["metadata"]["name"] for one in owned_pods(owner, pods)] == meant
    owner["spec"]["selector"]["matchLabels"] = {"app": "nobody"}
    assert owned_pods(owner, pods) == []


def test_pods_of_a_custom_resource_are_those_that_name_it_as_owner_in_its_namespace() -> None:
    def owned(name: str, kind: str = "Thing", owner: str = "a", **more: Any) -> Object:
        return pod(name=name, ownerReferences=[{"apiVersion": "a.b/v1beta1", "kind": kind, "name": owner}], **more)

    mine = owned("mine")
    others = [pod(name="nobodys"), owned("of another", owner="b"), owned("of another kind", kind="Other")]
    elsewhere = owned("elsewhere", labels={"app": "a"})
    elsewhere["metadata"]["namespace"] = "there"
    thing = obj("Thing", api_version="a.b/v1")
    assert owned_pods(thing, [mine, *others, elsewhere]) == [mine]
    assert owned_pods(obj("Thing", api_version="c.d/v1"), [mine]) == []


def test_pods_of_a_custom_resource_count_unless_its_controller_says_that_it_is_behind() -> None:
    mine = pod(name="mine")
    silent = obj("Thing", api_version="a.b/v1", generation=2)
    behind = obj("Thing", api_version="a.b/v1", generation=2, status={"observedGeneration": 1})
    assert current_pods(silent, [mine], []) == [mine]
    assert current_pods(behind, [mine], []) == []


def hashed(name: str, hash_: str) -> Object:
    return pod(crashed(9), name=name, labels={"app": "app", "pod-template-hash": hash_})


def test_old_pods_of_a_deployment_say_nothing_of_the_new_ones() -> None:
    old, new, foreign = hashed("old", "one"), hashed("new", "two"), hashed("foreign", "three")
    sets = [replica_set("one", 1), replica_set("two", 2), replica_set("three", 2, owner="uid-other")]
    assert current_pods(deployment(), [old, new, foreign], sets) == [new]


def test_no_pod_is_current_before_the_controller_has_seen_the_new_spec() -> None:
    behind = deployment(observedGeneration=1)
    assert current_pods(behind, [hashed("new", "two")], [replica_set("two", 2)]) == []


def revised(revision: str, **rest: Any) -> Object:
    return pod(crashed(9), name=f"app-{revision}", labels={"controller-revision-hash": revision}, **rest)


def test_old_pods_of_a_stateful_set_say_nothing_of_the_new_ones() -> None:
    old, new = revised("app-old"), revised("app-new")
    assert current_pods(stateful_set(), [old, new], []) == [new]


def test_a_broken_old_pod_that_a_stateful_set_waits_for_is_stuck() -> None:
    old, new = revised("app-old"), revised("app-new")
    assert stuck_pods(stateful_set(), [old, new], [], NOW) == [old]


def test_an_old_pod_that_works_or_goes_or_is_not_known_to_be_old_is_not_stuck() -> None:
    works = pod(container(), name="app-0", labels={"controller-revision-hash": "app-old"})
    goes = revised("app-old", deletionTimestamp="x")
    assert stuck_pods(stateful_set(), [works, goes], [], NOW) == []
    assert stuck_pods(stateful_set(observedGeneration=1), [revised("app-old")], [], NOW) == []
    assert stuck_pods(deployment(), [revised("app-old")], [], NOW) == []


def marked(name: str, mark: str | None, **more: Any) -> Object:
    annotations = {} if mark is None else {"checksum": mark}
    return pod(
        name=name,
        annotations=annotations,
        ownerReferences=[{"apiVersion": "a.b/v1", "kind": "Thing", "name": "a"}],
        **more,
    )


def test_pods_of_an_earlier_template_are_outdated_where_the_chart_says_how_they_are_told_apart() -> None:
    templates = [{"template": {"metadata": {"annotations": {"checksum": mark}}}} for mark in ("head", "worker")]
    thing = obj("Thing", api_version="a.b/v1", spec={"head": templates[0], "groups": [templates[1]]})
    new = [marked("new head", "head"), marked("new worker", "worker")]
    old = [marked("old", "before"), marked("older", None)]
    ending = marked("ending", "before", deletionTimestamp="2026-01-01T00:00:00Z")
    pods = [*new, *old, ending, pod(name="foreign", annotations={"checksum": "before"})]
    assert outdated_pods(thing, pods) == []
    thing["metadata"]["annotations"] = {"carbon/replaces-pods-by": "checksum"}
    assert outdated_pods(thing, pods) == old
    assert outdated_pods(thing, pods, every=True) == [*new, *old]
