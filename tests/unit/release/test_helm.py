"""What is read of what Helm writes."""

import shlex
from pathlib import Path

import pytest
import yaml

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.target import Target
from carbon_platform.errors import Unreachable
from carbon_platform.release.helm import Helm, HelmFailed
from carbon_platform.settings import Settings
from carbon_platform.spec.component import ChartRef
from carbon_platform.spec.platform import Chart, Release

SERVER = "https://10.0.0.1:6443"
APPLY = "server-side apply failed for object default/a /v1, Kind=ConfigMap: "
PATCH = f'{APPLY}Patch "{SERVER}/api/v1/namespaces/default/configmaps/a?fieldManager=helm&force=false": '
WARNING = f'E1126 23:06:46 786 memcache.go:403] "No list" err="Get \\"{SERVER}/apis/x\\": connection refused"\n'
WEBHOOK = 'Internal error occurred: failed calling webhook "check.example.com": failed to call webhook: '
REFUSED = "dial tcp 10.0.0.2:443: connect: connection refused"

API_SERVER_AWAY = {
    "before it began": f'Error: kubernetes cluster unreachable: Get "{SERVER}/version": {REFUSED}',
    "in Helm 3's words": f'Error: UPGRADE FAILED: Kubernetes cluster unreachable: Get "{SERVER}/version": {REFUSED}',
    "refused": f'Error: update: failed to update: Put "{SERVER}/api/v1/namespaces/x/secrets/y": {REFUSED}',
    "closed": f"Error: {PATCH}EOF",
    "reset": f"Error: {PATCH}read tcp 10.0.0.3:51062->10.0.0.1:6443: read: connection reset by peer",
    "lost": f"Error: {PATCH}http2: client connection lost",
    "no handshake": f"Error: {PATCH}net/http: TLS handshake timeout",
    "too slow": f"Error: {PATCH}context deadline exceeded",
    "what is in front of it answers": f"Error: {PATCH}invalid character '<' looking for beginning of value",
    "half an answer": f"Error: {APPLY}unexpected error when reading response body. Please retry."
    " Original error: unexpected EOF",
    "discovery": "Error: unable to retrieve the complete list of server APIs: "
    f'apps/v1: Get "{SERVER}/apis/apps/v1?timeout=32s": {REFUSED}',
    "overloaded": f"Error: {APPLY}the server is currently unable to handle the request (patch configmaps a)",
    "shutting down": f"Error: {APPLY}apiserver is shutting down",
    "starting": f"Error: {APPLY}storage is (re)initializing",
    "late": f"Error: {APPLY}Timeout: request did not complete within requested timeout - context deadline exceeded",
    "etcd elects": f"Error: {APPLY}etcdserver: leader changed",
    "etcd is away": f"Error: {APPLY}rpc error: code = Unavailable desc = connection error: desc = "
    '"transport: Error while dialing: dial tcp 127.0.0.1:2379: connect: connection refused"',
    "for one of several objects": f'Error: {APPLY}{WEBHOOK}Post "https://a.b.svc:443/": {REFUSED}\n{PATCH}EOF',
    "for one of several, in Helm 3's words": f"Error: UPGRADE FAILED: {WEBHOOK}{REFUSED} && {PATCH}EOF",
}
API_SERVER_THERE = {
    "a webhook refuses": f'Error: {APPLY}{WEBHOOK}Post "https://a.b.svc:443/validate?timeout=10s": {REFUSED}',
    "a webhook is slow": f'Error: {APPLY}{WEBHOOK}Post "https://a.b.svc:443/": context deadline exceeded',
    "a webhook can't": f"Error: {APPLY}{WEBHOOK}the server is currently unable to handle the request",
    "a conversion fails": f"Error: {APPLY}conversion webhook for example.com/v1, Kind=X failed: "
    f'Post "https://a.b.svc:443/convert?timeout=30s": {REFUSED}',
    "a repository refuses": 'Error: looks like "https://charts.example.com" is not a valid chart repository or cannot '
    f'be reached: Get "https://charts.example.com/index.yaml": {REFUSED}',
    "a registry refuses": 'Error: failed to perform "FetchReference" on source: '
    f'Get "https://10.0.0.1:64430/v2/x/manifests/1.0.0": {REFUSED}',
}


@pytest.fixture
def release() -> Release:
    return Release("app", "default", ("default",), Chart(ChartRef(path="app"), Path("/charts/app")), {}, False)


def helm_that_says(words: str, folder: Path) -> Helm:
    """A Helm whose program fails with these words, for a cluster at SERVER."""
    program, kubeconfig = folder / "helm", folder / "kubeconfig"
    failing = f"printf '%s\\n' {shlex.quote(words)} >&2; exit 1"
    program.write_text(f'#!/bin/sh\n[ "$1" = version ] && printf v4.3.1 && exit\n{failing}\n', encoding="utf-8")
    program.chmod(0o700)
    config = {
        "clusters": [{"name": "x", "cluster": {"server": SERVER}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "users": [{"name": "x", "user": {}}],
    }
    kubeconfig.write_text(yaml.safe_dump(config), encoding="utf-8")
    return Helm(Settings(helm=program, cache=folder), Api(Target(kubeconfig, "x"), 1))


@pytest.mark.parametrize("words", API_SERVER_AWAY.values(), ids=API_SERVER_AWAY)
async def test_an_api_server_that_went_away_is_told_as_that(words: str, tmp_path: Path, release: Release) -> None:
    with pytest.raises(Unreachable, match="helm upgrade app: the API server can't be reached"):
        await helm_that_says(words, tmp_path).upgrade(release, "a: b", "a=b", "", 60)


@pytest.mark.parametrize("words", API_SERVER_THERE.values(), ids=API_SERVER_THERE)
async def test_a_webhook_or_repository_that_is_away_is_told_in_helm_s_words(
    words: str, tmp_path: Path, release: Release
) -> None:
    with pytest.raises(HelmFailed) as caught:
        await helm_that_says(words, tmp_path).upgrade(release, "a: b", "a=b", "", 60)
    assert caught.value.cause == words
    assert caught.value.fix == "start the chart repository or webhook that it names, or correct its address"


@pytest.mark.parametrize(
    "words",
    [
        f'{WARNING}Error: {APPLY}ConfigMap "a" is invalid: data: must be text',
        f"Error: {APPLY}etcdserver: request is too large",
        f'Error: {APPLY}admission webhook "check.example.com" denied the request: rpc error: code = Unavailable',
        "Error: parse error at (app/templates/a.yaml:3): unexpected EOF",
    ],
    ids=["warned of discovery", "too large", "denied", "broken template"],
)
async def test_what_is_wrong_with_a_chart_is_told_as_that(words: str, tmp_path: Path, release: Release) -> None:
    with pytest.raises(HelmFailed) as caught:
        await helm_that_says(words, tmp_path).upgrade(release, "a: b", "a=b", "", 60)
    assert caught.value.cause == words
    assert caught.value.fix == "correct the chart or its values"
