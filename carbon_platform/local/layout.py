"""Where the parts of a local cluster are, and which addresses they use."""

import dataclasses
import socket
from pathlib import Path

from carbon_platform.cluster.target import LOCAL_CONTEXT

SERVICE_CIDR = "10.96.0.0/16"
POD_CIDR = "10.244.0.0/16"
API_SERVICE_IP = "10.96.0.1"
DNS_IP = "10.96.0.10"
BRIDGE = "carbon0"
NETWORK = "carbon"
KUBERNETES = "v1.34.4"
CLUSTER_DOMAIN = "cluster.local"


def machine_address() -> str:
    """An address of this machine that pods reach: that of the default route, else the first that is not loopback."""
    for probe in ("192.0.2.1", "10.255.255.255"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            try:
                sock.connect((probe, 9))  # sends nothing: a UDP connect only chooses a route
            except OSError:
                continue
            address = str(sock.getsockname()[0])
            if not address.startswith("127."):
                return address
    return "127.0.0.1"


@dataclasses.dataclass(frozen=True)
class Layout:
    """A local cluster: its folder, its ports, and whether real pods run on it."""

    folder: Path
    address: str = dataclasses.field(default_factory=machine_address)
    api_port: int = 6443
    etcd_port: int = 2379
    etcd_peer_port: int = 2380
    real_node: bool = True
    """False: a control plane alone, for simulated nodes."""
    context: str = LOCAL_CONTEXT

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
    def ports(self) -> dict[int, str]:
        """Ports that must be free before a start, and what uses them."""
        ports = {self.api_port: "kube-apiserver", self.etcd_port: "etcd", self.etcd_peer_port: "etcd"}
        return ports | ({10250: "kubelet", 10256: "kube-proxy"} if self.real_node else {})
