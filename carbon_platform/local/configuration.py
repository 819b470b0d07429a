"""Configuration files of the cluster's programs, and the command line of each."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from carbon_platform.local import layout as at
from carbon_platform.local.layout import Layout
from carbon_platform.local.pki import Authority, service_account_key

PAUSE_IMAGE = "localhost/carbon/pause:1"


@dataclasses.dataclass(frozen=True)
class Program:
    """A program to supervise."""

    name: str
    command: tuple[str, ...]
    priority: int


def write(layout: Layout, programs: Mapping[str, Path], simulated_nodes: int) -> list[Program]:
    """Write every file that is not as it should be; what is to run. Keys and certificates are kept when they fit."""
    for folder in (layout.folder, layout.pki, layout.config, layout.logs):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _certificates(layout)
    _kubeconfigs(layout)
    running = [*_control_plane(layout, programs)]
    if layout.real_node:
        layout.volumes.mkdir(mode=0o755, parents=True, exist_ok=True)
        _node_files(layout)
        running += _node(layout, programs)
    if simulated_nodes:
        running.append(_kwok(layout, programs))
    return running


def _certificates(layout: Layout) -> None:
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"]
    names.append(f"kubernetes.default.svc.{at.CLUSTER_DOMAIN}")
    etcd, api = Authority(layout.pki, "etcd-ca"), Authority(layout.pki, "ca")
    etcd.issue("etcd", "etcd", hosts=["127.0.0.1", "localhost"])
    etcd.issue("etcd-client", "kube-apiserver")
    api.issue("apiserver", "kube-apiserver", hosts=[*names, "127.0.0.1", at.API_SERVICE_IP, layout.address])
    api.issue("apiserver-kubelet-client", "carbon:apiserver-kubelet-client", ["carbon:kubelet-clients"])
    api.issue("admin", "carbon-admin", ["system:masters"])
    api.issue("controller-manager", "system:kube-controller-manager")
    api.issue("scheduler", "system:kube-scheduler")
    api.issue("kube-proxy", "system:kube-proxy")
    api.issue("kwok", "carbon:kwok", ["carbon:simulators"])
    api.issue("kubelet", f"system:node:{layout.node}", ["system:nodes"], hosts=[layout.node, layout.address])
    Authority(layout.pki, "front-proxy-ca").issue("front-proxy", "front-proxy-client")
    service_account_key(layout.pki)


def _kubeconfigs(layout: Layout) -> None:
    users = {"controller-manager": "controller-manager", "scheduler": "scheduler", "kwok": "kwok"}
    users |= {"kubelet": "kubelet", "kube-proxy": "kube-proxy"}
    for user, certificate in users.items():
        _write(layout.config / f"{user}.kubeconfig", _kubeconfig(layout, certificate))
    _write(layout.kubeconfig, _kubeconfig(layout, "admin"))


def _kubeconfig(layout: Layout, certificate: str) -> str:
    name = layout.context
    pki = layout.pki
    cluster = {"server": layout.server, "certificate-authority": str(pki / "ca.crt")}
    user = {"client-certificate": str(pki / f"{certificate}.crt"), "client-key": str(pki / f"{certificate}.key")}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        }
    )


def _write(file: Path, content: str) -> None:
    if not file.is_file() or file.read_text(encoding="utf-8") != content:
        file.touch(mode=0o600)
        file.write_text(content, encoding="utf-8")


def _flags(values: Mapping[str, object]) -> list[str]:
    return [f"--{name}={value}" for name, value in values.items()]


def _control_plane(layout: Layout, programs: Mapping[str, Path]) -> list[Program]:
    pki = layout.pki
    etcd = {
        "data-dir": layout.folder / "etcd",
        "listen-client-urls": f"https://127.0.0.1:{layout.etcd_port}",
        "advertise-client-urls": f"https://127.0.0.1:{layout.etcd_port}",
        "listen-peer-urls": f"http://127.0.0.1:{layout.etcd_peer_port}",
        "initial-advertise-peer-urls": f"http://127.0.0.1:{layout.etcd_peer_port}",
        "initial-cluster": f"default=http://127.0.0.1:{layout.etcd_peer_port}",
        "cert-file": pki / "etcd.crt",
        "key-file": pki / "etcd.key",
        "trusted-ca-file": pki / "etcd-ca.crt",
        "client-cert-auth": "true",
        # A power loss may cost the last second of a cluster that can be made again; its volumes are not kept here.
        "unsafe-no-fsync": "true",
        "auto-compaction-mode": "periodic",
        "auto-compaction-retention": "1h",
        "log-level": "warn",
    }
    controllers = {
        "kubeconfig": layout.config / "controller-manager.kubeconfig",
        "service-account-private-key-file": pki / "sa.key",
        "root-ca-file": pki / "ca.crt",
        "use-service-account-credentials": "true",
        "leader-elect": "false",
        "allocate-node-cidrs": "false",
        "secure-port": "0",
    }
    scheduler = {
        "kubeconfig": layout.config / "scheduler.kubeconfig",
        "leader-elect": "false",
        "secure-port": "0",
    }
    return [
        Program("etcd", (str(programs["etcd"]), *_flags(etcd)), 10),
        Program("kube-apiserver", (str(programs["kube-apiserver"]), *_flags(_api_server(layout))), 20),
        Program("kube-controller-manager", (str(programs["kube-controller-manager"]), *_flags(controllers)), 30),
        Program("kube-scheduler", (str(programs["kube-scheduler"]), *_flags(scheduler)), 30),
    ]


def _api_server(layout: Layout) -> dict[str, object]:
    pki = layout.pki
    return {
        "bind-address": layout.address,
        "advertise-address": layout.address,
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


def _node(layout: Layout, programs: Mapping[str, Path]) -> list[Program]:
    kubelet = {
        "config": layout.config / "kubelet.yaml",
        "kubeconfig": layout.config / "kubelet.kubeconfig",
        "root-dir": layout.folder / "kubelet",
        "cert-dir": layout.pki,
        "hostname-override": layout.node,
        "node-ip": layout.address,
    }
    proxy = {"config": layout.config / "kube-proxy.yaml"}
    containerd = ("containerd", "--config", str(layout.config / "containerd.toml"))
    return [
        Program("containerd", containerd, 10),
        Program("kubelet", (str(programs["kubelet"]), *_flags(kubelet)), 40),
        Program("kube-proxy", (str(programs["kube-proxy"]), *_flags(proxy)), 40),
    ]


def _node_files(layout: Layout) -> None:
    _write(layout.config / "containerd.toml", _containerd(layout))
    cni = layout.config / "cni"
    cni.mkdir(exist_ok=True)
    _write(cni / "10-carbon.conflist", json.dumps(_network(layout), indent=2))
    _write(layout.config / "kubelet.yaml", yaml.safe_dump(_kubelet(layout)))
    _write(layout.config / "kube-proxy.yaml", yaml.safe_dump(_kube_proxy(layout)))
    _write(layout.config / "resolv.conf", _resolv_conf())


def _containerd(layout: Layout) -> str:
    return f"""version = 2
root = "{layout.folder}/containerd"
state = "{layout.folder}/containerd-state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs"]

[grpc]
  address = "{layout.containerd_socket}"

[ttrpc]
  address = "{layout.containerd_socket}.ttrpc"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  # Without CAP_SYS_RESOURCE a lower score than one's own is refused, and every sandbox with it.
  restrict_oom_score_adj = true
  disable_hugetlb_controller = true
  stream_server_address = "127.0.0.1"

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{layout.config}/cni"

  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
"""


def _network(layout: Layout) -> dict[str, Any]:
    addresses = {
        "type": "host-local",
        "dataDir": str(layout.folder / "cni-addresses"),
        "ranges": [[{"subnet": at.POD_CIDR}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {
        "type": "bridge",
        "bridge": at.BRIDGE,
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": addresses,
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}
    return {"cniVersion": "0.4.0", "name": at.NETWORK, "plugins": [bridge, ports]}


def _kubelet(layout: Layout) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": layout.address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(layout.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(layout.pki / "kubelet.crt"),
        "tlsPrivateKeyFile": str(layout.pki / "kubelet.key"),
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        # Else the eviction manager looks for an image filesystem that it can't tell apart here.
        "localStorageCapacityIsolation": False,
        "clusterDNS": [at.DNS_IP],
        "clusterDomain": at.CLUSTER_DOMAIN,
        "resolvConf": str(layout.config / "resolv.conf"),
        "healthzPort": 0,
        "registryPullQPS": 0,
        "serializeImagePulls": False,
        # Images that were built here can't be pulled again: the disk's owner decides, not the kubelet.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "200Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "kubeReserved": {"memory": "512Mi"},
        "shutdownGracePeriod": "0s",
        "volumePluginDir": str(layout.folder / "volume-plugins"),
        "podLogsDir": str(layout.logs / "pods"),
    }


def _kube_proxy(layout: Layout) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "bindAddress": layout.address,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "",
        "clientConnection": {"kubeconfig": str(layout.config / "kube-proxy.kubeconfig")},
        "clusterCIDR": at.POD_CIDR,
        "mode": "iptables",
        "hostnameOverride": layout.node,
        # The limits belong to the machine; changing them is not ours.
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def _resolv_conf() -> str:
    """The machine's name servers, but none on loopback: a pod has another loopback."""
    lines = []
    for line in Path("/etc/resolv.conf").read_text(encoding="utf-8").splitlines():
        server = line.removeprefix("nameserver").strip()
        if line.startswith("nameserver") and not server.startswith(("127.", "::1")):
            lines.append(line)
    return "\n".join([*lines, "options ndots:1"]) + "\n"


def _kwok(layout: Layout, programs: Mapping[str, Path]) -> Program:
    flags = {
        "kubeconfig": layout.config / "kwok.kubeconfig",
        "manage-nodes-with-label-selector": "type=kwok",
        "config": Path(__file__).parent / "simulation.yaml",
        # Without a lease a node counts as gone after a minute, and its pods drop out of their Services.
        "node-lease-duration-seconds": "40",
        "enable-crds": "",
        "server-address": "",
    }
    return Program("kwok", (str(programs["kwok"]), *_flags(flags)), 40)
