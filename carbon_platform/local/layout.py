"""Where the parts of a local cluster are, and which addresses they use."""

import dataclasses
import hashlib
import json
import re
from pathlib import Path

from carbon_platform.environment import LOCAL_CONTEXT
from carbon_platform.errors import ConfigurationError

SERVICE_CIDR = "10.96.0.0/16"
POD_CIDR = "10.244.0.0/16"
POD_GATEWAY = "10.244.0.1"
API_SERVICE_IP = "10.96.0.1"
DNS_IP = "10.96.0.10"
BRIDGE = "carbon0"
NETWORK = "carbon"
CLUSTER_DOMAIN = "cluster.local"
API_PORT = 6443
KUBELET_PORT = 10250
PROXY_HEALTH_PORT = 10256

_FOLDER = re.compile(r"^/[\w ./+@,=-]*$")
_SOCKET_PATH_LIMIT = 107
"""Bytes that the path of a unix socket may have (unix(7))."""
_LONGEST_SOCKET = "/kubelet/plugins_registry/kubelet.sock"


@dataclasses.dataclass(frozen=True)
class Layout:
    """A local cluster: its folder, its ports, and whether real pods run on it."""

    folder: Path
    api_port: int = API_PORT
    etcd_port: int = 2379
    etcd_peer_port: int = 2380
    real_node: bool = True
    """False: a control plane alone, for simulated nodes."""
    context: str = LOCAL_CONTEXT

    def __post_init__(self) -> None:
        if not _FOLDER.match(str(self.folder)):
            raise ConfigurationError(
                f"{self.folder} can't be the folder of a cluster",
                "its path has a sign in it that the configuration files of the cluster's programs give a meaning",
                "choose one of letters, digits, spaces and _ . - + @ , = with CARBON_HOME",
            )
        if len(f"{self.folder}{_LONGEST_SOCKET}".encode()) > _SOCKET_PATH_LIMIT:
            limit = _SOCKET_PATH_LIMIT - len(_LONGEST_SOCKET)
            raise ConfigurationError(
                f"{self.folder} can't be the folder of a cluster",
                f"its path is longer than {limit} bytes, so the sockets in it would have no valid path",
                "choose a shorter one with CARBON_HOME",
            )

    @property
    def address(self) -> str:
        """Where the API server and the kubelet listen.

        On the bridge of the pods: they must reach it, nobody outside of this machine has to, and it stays the same
        when the machine changes its network.
        """
        return POD_GATEWAY if self.real_node else "127.0.0.1"

    @property
    def pki(self) -> Path:
        """Certificates and keys."""
        return self.folder / "pki"

    @property
    def config(self) -> Path:
        """Configuration files of the programs."""
        return self.folder / "config"

    @property
    def logs(self) -> Path:
        """A log file for each program."""
        return self.folder / "logs"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.folder / "kubeconfig"

    @property
    def volumes(self) -> Path:
        """Where the data of local volumes is."""
        return self.folder / "volumes"

    @property
    def containerd_state(self) -> Path:
        """What containerd keeps while it runs."""
        return self.folder / "containerd-state"

    @property
    def containerd_socket(self) -> Path:
        """Socket of the cluster's own containerd."""
        return self.folder / "containerd.sock"

    @property
    def supervisor_socket(self) -> Path:
        """Socket of the supervisor."""
        return self.folder / "supervisor.sock"

    @property
    def server(self) -> str:
        """URL of the API server."""
        return f"https://{self.address}:{self.api_port}"

    @property
    def node(self) -> str:
        """Name of the real node."""
        return "carbon-local"

    @property
    def cgroup(self) -> str:
        """Name of the cgroup of all its pods; another Kubernetes on this machine has another one."""
        return f"carbon-{hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]}"

    @property
    def ports(self) -> list[tuple[str, int, str]]:
        """Addresses and ports that must be free before a start, and what uses them."""
        ports = [
            (self.address, self.api_port, "kube-apiserver"),
            ("127.0.0.1", self.etcd_port, "etcd"),
            ("127.0.0.1", self.etcd_peer_port, "etcd"),
        ]
        if self.real_node:
            ports.append((self.address, KUBELET_PORT, "kubelet"))
            ports.append(("127.0.0.1", PROXY_HEALTH_PORT, "kube-proxy"))
        return ports

    def keep(self) -> None:
        """Remember in the folder what cluster is in it."""
        text = json.dumps({name: getattr(self, name) for name in _KEPT})
        (self.folder / "cluster.json").write_text(text, encoding="utf-8")


_KEPT = ("api_port", "etcd_port", "etcd_peer_port", "real_node", "context")


def kept(folder: Path) -> Layout | None:
    """The cluster that was last brought up in a folder; None when there was none."""
    try:
        return Layout(folder, **json.loads((folder / "cluster.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
