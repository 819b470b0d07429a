"""The programs of the real node: containerd, kubelet and kube-proxy, and the files that they read."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from carbon_platform.local import layout as at
from carbon_platform.local.configuration import Program, client_files, flags, write_file
from carbon_platform.local.layout import Layout

PAUSE_IMAGE = "localhost/carbon/pause:1"
_CNI_PROGRAMS = ("/usr/lib/cni", "/usr/libexec/cni", "/opt/cni/bin")
"""Where distributions put the programs of CNI."""
_MAX_PODS = 250


def node(layout: Layout, programs: Mapping[str, Path], *, bridged_traffic_seen: bool) -> list[Program]:
    """Write the files of the real node's programs; what is to run."""
    config = layout.config
    layout.volumes.mkdir(mode=0o755, parents=True, exist_ok=True)
    (config / "cni").mkdir(exist_ok=True)
    network = config / "cni" / "10-carbon.conflist"
    write_file(network, json.dumps(_network(layout), indent=2))
    write_file(config / "containerd.toml", _containerd(layout))
    write_file(config / "kubelet.yaml", yaml.safe_dump(_kubelet(layout)))
    write_file(config / "kube-proxy.yaml", yaml.safe_dump(_kube_proxy(layout, bridged_traffic_seen)))
    machine = Path("/etc/resolv.conf")
    text = machine.read_text(encoding="utf-8") if machine.is_file() else ""
    write_file(config / "resolv.conf", name_servers(text))
    kubelet = {
        "config": config / "kubelet.yaml",
        "kubeconfig": config / "kubelet.kubeconfig",
        "root-dir": layout.folder / "kubelet",
        "cert-dir": layout.pki,
        "hostname-override": layout.node,
        "node-ip": layout.address,
    }
    kubelet_files = (config / "kubelet.yaml", config / "resolv.conf", layout.pki / "ca.crt")
    return [
        # Pulls of upstream images go through whatever proxy this machine has.
        Program(
            "containerd",
            ("containerd", "--config", str(config / "containerd.toml")),
            10,
            (config / "containerd.toml", network),
            {"GOGC": "50"},
        ),
        Program(
            "kubelet",
            (str(programs["kubelet"]), *flags(kubelet)),
            40,
            (*kubelet_files, *client_files(layout, "kubelet")),
        ),
        Program(
            "kube-proxy",
            (str(programs["kube-proxy"]), *flags({"config": config / "kube-proxy.yaml"})),
            40,
            (config / "kube-proxy.yaml", *client_files(layout, "kube-proxy")),
        ),
    ]


def _containerd(layout: Layout) -> str:
    cni = next((folder for folder in _CNI_PROGRAMS if Path(folder, "bridge").is_file()), _CNI_PROGRAMS[0])
    return f"""version = 2
root = "{layout.folder}/containerd"
state = "{layout.containerd_state}"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs"]

[grpc]
  address = "{layout.containerd_socket}"

[ttrpc]
  address = "{layout.containerd_socket}.ttrpc"

[plugins."io.containerd.internal.v1.opt"]
  path = "{layout.folder}/containerd/opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  # Without CAP_SYS_RESOURCE a lower score than one's own is refused, and every sandbox with it.
  restrict_oom_score_adj = true
  disable_hugetlb_controller = true
  stream_server_address = "127.0.0.1"
  # With the other mounts of this cluster, where they are found and taken down together.
  netns_mounts_under_state_dir = true

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni}"
    conf_dir = "{layout.config}/cni"

  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
      Root = "{layout.containerd_state}/runc"
"""


def _network(layout: Layout) -> dict[str, Any]:
    addresses = {
        "type": "host-local",
        "dataDir": str(layout.folder / "cni-addresses"),
        "ranges": [[{"subnet": at.POD_CIDR, "gateway": at.POD_GATEWAY}]],
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
        "port": at.KUBELET_PORT,
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
        # A kubelet ends what it does not know in its cgroup: the pods of another Kubernetes must not be there.
        "cgroupRoot": f"/{layout.cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        # Else the eviction manager looks for an image filesystem that it can't tell apart here.
        "localStorageCapacityIsolation": False,
        "clusterDNS": [at.DNS_IP],
        "clusterDomain": at.CLUSTER_DOMAIN,
        "resolvConf": str(layout.config / "resolv.conf"),
        "healthzPort": 0,
        "maxPods": _MAX_PODS,
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


def _kube_proxy(layout: Layout, bridged_traffic_seen: bool) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "bindAddress": layout.address,
        "healthzBindAddress": f"127.0.0.1:{at.PROXY_HEALTH_PORT}",
        "metricsBindAddress": "",
        "clientConnection": {"kubeconfig": str(layout.config / "kube-proxy.kubeconfig")},
        "clusterCIDR": at.POD_CIDR,
        "mode": "iptables",
        # Where answers between pods would bypass the firewall, they have to come back through this machine.
        "iptables": {"masqueradeAll": not bridged_traffic_seen},
        "hostnameOverride": layout.node,
        # The limits belong to the machine; changing them is not ours.
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def name_servers(machine: str) -> str:
    """A resolv.conf for pods: the machine's name servers, but none on loopback, as a pod has another loopback."""
    servers = [words[1] for words in map(str.split, machine.splitlines()) if words[:1] == ["nameserver"] and words[1:]]
    lines = [f"nameserver {server}" for server in servers if not server.startswith(("127.", "::1"))]
    return "\n".join([*lines, "options ndots:1"]) + "\n"
