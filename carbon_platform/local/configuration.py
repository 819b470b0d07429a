"""Certificates, kubeconfigs and the programs of the control plane: what each of them reads, and its command line."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import yaml

from carbon_platform.local import layout as at
from carbon_platform.local.layout import Layout
from carbon_platform.local.pki import Authority, service_account_key

_STAGES = Path(__file__).parent / "simulation.yaml"
_FRUGAL = {
    # A heap may grow by half before it is collected, not by its own size: less memory for a little more work.
    "GOGC": "50",
    "GOMAXPROCS": "2",
}
_NO_PROXY = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "")
"""All that they talk to is on this machine."""


@dataclasses.dataclass(frozen=True)
class Program:
    """A program to supervise."""

    name: str
    command: tuple[str, ...]
    priority: int
    files: tuple[Path, ...] = ()
    """What it reads when it starts; it is started anew when one of them changes."""
    environment: Mapping[str, str] = dataclasses.field(default_factory=lambda: {**_FRUGAL, **_NO_PROXY})


def write(layout: Layout) -> None:
    """Write every certificate and kubeconfig that is not as it should be; those that fit are kept."""
    for folder in (layout.folder, layout.pki, layout.config, layout.logs):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _certificates(layout)
    for user in ("controller-manager", "scheduler", "kwok", "kubelet", "kube-proxy"):
        write_file(_kubeconfig_file(layout, user), _kubeconfig(layout, user))
    write_file(layout.kubeconfig, _kubeconfig(layout, "admin"))


def _certificates(layout: Layout) -> None:
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"]
    names.append(f"kubernetes.default.svc.{at.CLUSTER_DOMAIN}")
    etcd, api = Authority(layout.pki, "etcd-ca"), Authority(layout.pki, "ca")
    etcd.issue("etcd", "etcd", hosts=["127.0.0.1", "localhost"])
    etcd.issue("etcd-client", "kube-apiserver")
    api.issue("apiserver", "kube-apiserver", hosts=[*names, "127.0.0.1", at.API_SERVICE_IP, at.POD_GATEWAY])
    api.issue("apiserver-kubelet-client", "carbon:apiserver-kubelet-client", ["carbon:kubelet-clients"])
    api.issue("admin", "carbon-admin", ["system:masters"])
    api.issue("controller-manager", "system:kube-controller-manager")
    api.issue("scheduler", "system:kube-scheduler")
    api.issue("kube-proxy", "system:kube-proxy")
    api.issue("kwok", "carbon:kwok", ["carbon:simulators"])
    api.issue("kubelet", f"system:node:{layout.node}", ["system:nodes"], hosts=[layout.node, at.POD_GATEWAY])
    Authority(layout.pki, "front-proxy-ca").issue("front-proxy", "front-proxy-client")
    service_account_key(layout.pki)


def _kubeconfig_file(layout: Layout, user: str) -> Path:
    return layout.config / f"{user}.kubeconfig"


def _kubeconfig(layout: Layout, user: str) -> str:
    name, pki = layout.context, layout.pki
    cluster = {"server": layout.server, "certificate-authority": str(pki / "ca.crt")}
    keys = {"client-certificate": str(pki / f"{user}.crt"), "client-key": str(pki / f"{user}.key")}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": name, "user": keys}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        }
    )


def write_file(file: Path, content: str) -> None:
    """Write a file that only its owner reads, unless it says that already."""
    if not file.is_file() or file.read_text(encoding="utf-8") != content:
        file.touch(mode=0o600)
        file.write_text(content, encoding="utf-8")


def flags(values: Mapping[str, object]) -> list[str]:
    """Command line flags."""
    return [f"--{name}={value}" for name, value in values.items()]


def client_files(layout: Layout, user: str) -> tuple[Path, ...]:
    """What a client of the API reads."""
    return (_kubeconfig_file(layout, user), layout.pki / f"{user}.crt", layout.pki / "ca.crt")


def control_plane(layout: Layout, programs: Mapping[str, Path]) -> list[Program]:
    """The programs of the control plane."""
    pki = layout.pki
    controllers = {
        "kubeconfig": _kubeconfig_file(layout, "controller-manager"),
        "service-account-private-key-file": pki / "sa.key",
        "root-ca-file": pki / "ca.crt",
        "use-service-account-credentials": "true",
        "leader-elect": "false",
        "allocate-node-cidrs": "false",
        "secure-port": "0",
    }
    scheduler = {"kubeconfig": _kubeconfig_file(layout, "scheduler"), "leader-elect": "false", "secure-port": "0"}
    etcd_files = (pki / "etcd.crt", pki / "etcd-ca.crt")
    api_files = ("etcd-ca", "etcd-client", "ca", "apiserver", "apiserver-kubelet-client", "front-proxy-ca")
    return [
        Program("etcd", (str(programs["etcd"]), *flags(_etcd(layout))), 10, etcd_files),
        Program(
            "kube-apiserver",
            (str(programs["kube-apiserver"]), *flags(_api_server(layout))),
            20,
            (*(pki / f"{name}.crt" for name in (*api_files, "front-proxy")), pki / "sa.pub"),
        ),
        Program(
            "kube-controller-manager",
            (str(programs["kube-controller-manager"]), *flags(controllers)),
            30,
            (*client_files(layout, "controller-manager"), pki / "sa.pub"),
        ),
        Program(
            "kube-scheduler",
            (str(programs["kube-scheduler"]), *flags(scheduler)),
            30,
            client_files(layout, "scheduler"),
        ),
    ]


def _etcd(layout: Layout) -> dict[str, object]:
    client, peer = f"https://127.0.0.1:{layout.etcd_port}", f"http://127.0.0.1:{layout.etcd_peer_port}"
    return {
        "data-dir": layout.folder / "etcd",
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"default={peer}",
        "cert-file": layout.pki / "etcd.crt",
        "key-file": layout.pki / "etcd.key",
        "trusted-ca-file": layout.pki / "etcd-ca.crt",
        "client-cert-auth": "true",
        # A power loss may cost the last second of a cluster that can be made again; its volumes are not kept here.
        "unsafe-no-fsync": "true",
        "auto-compaction-mode": "periodic",
        "auto-compaction-retention": "1h",
        "log-level": "warn",
    }


def _api_server(layout: Layout) -> dict[str, object]:
    pki = layout.pki
    return {
        "bind-address": layout.address,
        "advertise-address": layout.address,
        # Loopback can't be an endpoint of a Service; without pods nobody looks for one.
        "endpoint-reconciler-type": "lease" if layout.real_node else "none",
        "secure-port": layout.api_port,
        "etcd-servers": f"https://127.0.0.1:{layout.etcd_port}",
        "etcd-cafile": pki / "etcd-ca.crt",
        "etcd-certfile": pki / "etcd-client.crt",
        "etcd-keyfile": pki / "etcd-client.key",
        "client-ca-file": pki / "ca.crt",
        "tls-cert-file": pki / "apiserver.crt",
        "tls-private-key-file": pki / "apiserver.key",
        "kubelet-certificate-authority": pki / "ca.crt",
        "kubelet-client-certificate": pki / "apiserver-kubelet-client.crt",
        "kubelet-client-key": pki / "apiserver-kubelet-client.key",
        "kubelet-preferred-address-types": "InternalIP",
        "service-account-issuer": f"https://kubernetes.default.svc.{at.CLUSTER_DOMAIN}",
        "service-account-key-file": pki / "sa.pub",
        "service-account-signing-key-file": pki / "sa.key",
        "service-cluster-ip-range": at.SERVICE_CIDR,
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "anonymous-auth": "false",
        "requestheader-client-ca-file": pki / "front-proxy-ca.crt",
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-username-headers": "X-Remote-User",
        "proxy-client-cert-file": pki / "front-proxy.crt",
        "proxy-client-key-file": pki / "front-proxy.key",
        # Straight to the pods: before kube-proxy has its rules, a Service address leads out of this machine.
        "enable-aggregator-routing": "true",
        "profiling": "false",
        "event-ttl": "2h",
    }


def simulator(layout: Layout, programs: Mapping[str, Path]) -> Program:
    """The program that plays the kubelets of simulated nodes."""
    values = {
        "kubeconfig": _kubeconfig_file(layout, "kwok"),
        "manage-nodes-with-label-selector": "type=kwok",
        "config": _STAGES,
        # Without a lease a node counts as gone after a minute, and its pods drop out of their Services.
        "node-lease-duration-seconds": "40",
        # Room for more pods than the default's 254 addresses.
        "cidr": "10.160.0.1/12",
        "enable-crds": "",
        "server-address": "",
    }
    return Program("kwok", (str(programs["kwok"]), *flags(values)), 40, (*client_files(layout, "kwok"), _STAGES))
