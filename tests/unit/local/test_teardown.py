"""What a local cluster leaves behind is told apart from everybody else's."""

import subprocess
import sys
from pathlib import Path

import pytest

from carbon_platform.local.layout import Layout
from carbon_platform.local.teardown import is_shim, mounts_below, own_mounts

TABLE = """25 1 0:24 / /home rw - ext4 /dev/vda rw
26 25 0:25 / /home/cluster rw - ext4 /dev/vdb rw
30 25 0:26 / /home/cluster/kubelet/pods/a\\040b rw - tmpfs tmpfs rw
31 30 0:27 / /home/cluster/kubelet/pods/a\\040b/inner rw - tmpfs tmpfs rw
32 25 0:28 / /home/cluster2/state rw - tmpfs tmpfs rw
"""
CLUSTER = """25 1 0:24 / /home rw - ext4 /dev/vda rw
30 25 0:24 /cluster/kubelet /home/cluster/kubelet rw shared:1 - ext4 /dev/vda rw
31 30 0:26 / /home/cluster/kubelet/pods/a rw shared:2 - tmpfs tmpfs rw
32 25 0:27 / /home/cluster/containerd-state/rootfs rw - overlay overlay rw
33 25 0:24 /cluster/x /home/cluster/containerd/tmpmounts/x rw - ext4 /dev/vda rw
"""
DISKS = """25 1 0:24 / /home rw - ext4 /dev/vda rw
40 25 0:30 / /home/cluster/volumes rw - ext4 /dev/vdb rw
41 40 0:31 / /home/cluster/volumes/deeper rw - ext4 /dev/vdc rw
42 25 0:32 / /home/cluster/containerd rw - ext4 /dev/vdd rw
43 25 0:33 / /home/cluster/kubelet rw - ext4 /dev/vde rw
44 25 0:24 /elsewhere /home/cluster/etcd rw - ext4 /dev/vda rw
"""
CLEAN = """
for elsewhere in /run /var/lib/cni /var/lib/kubelet /var/log/containers; do
    [ ! -d $elsewhere ] || mount -t tmpfs tmpfs $elsewhere
done
cd "$0"
mkdir -p volumes/deeper kubelet/pods/a containerd-state/rootfs
mount --bind kubelet kubelet
mount --make-rshared kubelet
mount -t tmpfs tmpfs kubelet/pods/a
mount -t tmpfs tmpfs containerd-state/rootfs
mount -t tmpfs disk volumes
mkdir volumes/deeper
mount -t tmpfs disk volumes/deeper
"$1" -c "
import pathlib
from carbon_platform.local import layout, teardown
teardown.clean(layout.Layout(pathlib.Path('$0')))
"
cat /proc/self/mountinfo
"""
"""Mounts what a cluster and a person do, and cleans up; in a place of its own, also for what is outside of $0."""
UNMOUNT = """
mkdir -p "$0"/cluster/volumes/covered
ln -s "$0"/cluster "$0"/link
mount -t tmpfs disk "$0"/cluster/volumes/covered
mount -t tmpfs disk "$0"/cluster/volumes
"$1" -c "
import pathlib
from carbon_platform.local import teardown
teardown.unmount(pathlib.Path('$0/link'))
"
cat /proc/self/mountinfo
"""
ASIDE = ["unshare", "--map-root-user", "--mount"]


def test_mounts_below_a_folder_come_innermost_first_and_the_folder_s_own_is_none() -> None:
    assert mounts_below(Path("/home/cluster"), TABLE) == [
        "/home/cluster/kubelet/pods/a b/inner",
        "/home/cluster/kubelet/pods/a b",
    ]


def test_what_pods_and_containers_have_mounted_is_the_cluster_s_own_and_the_kubelet_s_mount_of_its_folder() -> None:
    assert own_mounts(Path("/home/cluster"), CLUSTER) == [
        "/home/cluster/kubelet/pods/a",
        "/home/cluster/kubelet",
        "/home/cluster/containerd/tmpmounts/x",
        "/home/cluster/containerd-state/rootfs",
    ]


def test_disks_that_a_person_gave_the_cluster_are_not_its_own() -> None:
    assert own_mounts(Path("/home/cluster"), DISKS) == []


def test_on_a_disk_for_its_folder_only_the_kubelet_s_own_mount_is_the_cluster_s() -> None:
    table = f"{DISKS}45 43 0:33 / /home/cluster/kubelet rw shared:1 - ext4 /dev/vde rw\n"
    assert own_mounts(Path("/home/cluster"), table) == ["/home/cluster/kubelet"]


def mounts_after(script: str, folder: Path) -> list[str]:
    """What is mounted below a folder when a script is over, in a mount namespace of its own."""
    if subprocess.run([*ASIDE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine gives nobody mounts of their own")
    command = [*ASIDE, "bash", "-euc", script, str(folder), sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return mounts_below(folder, done.stdout)


def test_cleaning_up_unmounts_what_the_cluster_mounted_and_no_disk_of_a_person_s(folder: Path) -> None:
    assert mounts_after(CLEAN, folder) == [f"{folder}/volumes/deeper", f"{folder}/volumes"]


def test_before_data_is_deleted_every_mount_is_gone_also_one_that_another_covers_and_by_way_of_a_link(
    folder: Path,
) -> None:
    assert mounts_after(UNMOUNT, folder) == []


def test_shims_of_another_containerd_are_left_alone() -> None:
    layout = Layout(Path("/home/cluster"))
    shim = "/usr/bin/containerd-shim-runc-v2"
    assert is_shim([shim, "-namespace", "k8s.io", "-address", "/home/cluster/containerd.sock"], layout)
    assert not is_shim([shim, "-namespace", "moby", "-address", "/run/containerd/containerd.sock"], layout)
    assert not is_shim(["vi", "/home/cluster/containerd.sock"], layout)
