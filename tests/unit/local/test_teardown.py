"""What a local cluster leaves behind is told apart from everybody else's."""

from pathlib import Path

from carbon_platform.local.layout import Layout
from carbon_platform.local.teardown import is_shim, mounts_below

TABLE = """25 1 0:24 / /home rw - ext4 /dev/vda rw
26 25 0:25 / /home/cluster rw - ext4 /dev/vdb rw
30 25 0:26 / /home/cluster/kubelet/pods/a\\040b rw - tmpfs tmpfs rw
31 30 0:27 / /home/cluster/kubelet/pods/a\\040b/inner rw - tmpfs tmpfs rw
32 25 0:28 / /home/cluster2/state rw - tmpfs tmpfs rw
"""


def test_mounts_below_a_folder_come_innermost_first_and_the_folder_s_own_is_none() -> None:
    assert mounts_below(Path("/home/cluster"), TABLE) == [
        "/home/cluster/kubelet/pods/a b/inner",
        "/home/cluster/kubelet/pods/a b",
    ]


def test_shims_of_another_containerd_are_left_alone() -> None:
    layout = Layout(Path("/home/cluster"))
    shim = "/usr/bin/containerd-shim-runc-v2"
    assert is_shim([shim, "-namespace", "k8s.io", "-address", "/home/cluster/containerd.sock"], layout)
    assert not is_shim([shim, "-namespace", "moby", "-address", "/run/containerd/containerd.sock"], layout)
    assert not is_shim(["vi", "/home/cluster/containerd.sock"], layout)
