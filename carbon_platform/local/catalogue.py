"""The programs of the local cluster: version, where its official build is, and how it is built from Go modules."""

import dataclasses
import platform

KUBERNETES = "v1.34.4"


@dataclasses.dataclass(frozen=True)
class Source:
    """One program."""

    name: str
    version: str
    module: str
    """Folder below go/ whose go.mod pins it."""
    package: str
    ldflags: str = "-s -w"
    download: str = ""
    """URL of the official build: the plain program, or a .tar.gz with it inside; `{arch}` stands for the machine's."""
    checksum: str = ""
    """URL of its published SHA-256: lines of sum and file, or the bare sum."""
    files: str = ""
    """Folder of its module whose files an image of the program needs beside it."""
    needed_by: str = "cluster"


_KUBERNETES_FLAGS = " ".join(
    [
        "-s -w",
        f"-X k8s.io/component-base/version.gitVersion={KUBERNETES}",
        "-X k8s.io/component-base/version.gitMajor=1",
        "-X k8s.io/component-base/version.gitMinor=34",
        "-X k8s.io/component-base/version.gitTreeState=clean",
        f"-X k8s.io/client-go/pkg/version.gitVersion={KUBERNETES}",
    ]
)


def _kubernetes(name: str) -> Source:
    url = f"https://dl.k8s.io/release/{KUBERNETES}/bin/linux/{{arch}}/{name}"
    package = f"k8s.io/kubernetes/cmd/{name}"
    return Source(name, KUBERNETES, "kubernetes", package, _KUBERNETES_FLAGS, url, f"{url}.sha256")


_HELM = "v4.3.1"
_ETCD = "v3.6.11"
_GITHUB = "https://github.com"

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        # The order is that of the builds: what shares most comes first.
        *(
            _kubernetes(name)
            for name in (
                "kube-apiserver",
                "kube-controller-manager",
                "kube-scheduler",
                "kubelet",
                "kube-proxy",
                "kubectl",
            )
        ),
        Source(
            "etcd",
            _ETCD,
            "kubernetes",
            "go.etcd.io/etcd/server/v3",
            "-s -w",
            f"{_GITHUB}/etcd-io/etcd/releases/download/{_ETCD}/etcd-{_ETCD}-linux-{{arch}}.tar.gz",
            f"{_GITHUB}/etcd-io/etcd/releases/download/{_ETCD}/SHA256SUMS",
        ),
        Source(
            "coredns",
            "v1.12.4",
            "kubernetes",
            "github.com/coredns/coredns",
            _KUBERNETES_FLAGS,
            f"{_GITHUB}/coredns/coredns/releases/download/v1.12.4/coredns_1.12.4_linux_{{arch}}.tgz",
            f"{_GITHUB}/coredns/coredns/releases/download/v1.12.4/coredns_1.12.4_linux_{{arch}}.tgz.sha256",
        ),
        Source(
            "local-path-provisioner",
            "v0.0.30",
            "kubernetes",
            "github.com/rancher/local-path-provisioner",
            _KUBERNETES_FLAGS,
        ),
        Source(
            "helm",
            _HELM,
            "helm",
            "helm.sh/helm/v4/cmd/helm",
            f"-s -w -X helm.sh/helm/v4/internal/version.version={_HELM}",
            f"https://get.helm.sh/helm-{_HELM}-linux-{{arch}}.tar.gz",
            f"https://get.helm.sh/helm-{_HELM}-linux-{{arch}}.tar.gz.sha256sum",
        ),
        Source("metrics-server", "v0.9.0", "helm", "sigs.k8s.io/metrics-server/cmd/metrics-server"),
        Source("pause", "1", "pause", "."),
        Source("versitygw", "v1.8.0", "versitygw", "github.com/versity/versitygw/cmd/versitygw", needed_by="images"),
        Source(
            "kuberay-operator",
            "v1.4.2",
            "kuberay",
            "github.com/ray-project/kuberay/ray-operator",
            files="config/crd/bases",
            needed_by="images",
        ),
        Source("kwok", "v0.8.0", "helm", "sigs.k8s.io/kwok/cmd/kwok", needed_by="simulation"),
        Source(
            "helmfile",
            "v1.8.0",
            "helmfile",
            "github.com/helmfile/helmfile",
            "-s -w -X go.szostok.io/version.version=1.8.0",
            needed_by="benchmarks",
        ),
    )
}


def architecture() -> str:
    """The processor of this machine, in the words of Go and of image registries."""
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd")
NODE = ("kubelet", "kube-proxy", "coredns", "local-path-provisioner", "metrics-server", "pause")
TOOLS = ("kubectl", "helm")
