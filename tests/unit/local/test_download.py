import hashlib
import http.server
import io
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from carbon_platform.errors import CarbonError
from carbon_platform.local import download
from carbon_platform.local.catalogue import Source
from carbon_platform.local.ports import free_ports


def archive() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        info = tarfile.TarInfo("helm-v1/helm")
        info.size = 7
        tar.addfile(info, io.BytesIO(b"program"))
    return content.getvalue()


FILES = {"/helm": b"program", "/helm.tar.gz": archive()}


class Handler(http.server.BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        name, _, kind = self.path.rpartition(".sha256")
        if kind == "" and name in FILES:
            body = f"{hashlib.sha256(FILES[name]).hexdigest()}  {name[1:]}\n".encode()
        elif self.path == "/wrong":
            body = b"0" * 64
        elif self.path == "/login":
            body = b"<html>log in first</html>"
        elif self.path in FILES:
            body = FILES[self.path]
        else:
            self.send_error(403 if self.path == "/forbidden" else 404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(download, "_refused", threading.Event())
    Handler.asked = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()
        thread.join()


def fetch(url: str, checksum: str, target: Path) -> bool:
    return download.fetch(Source("helm", "v1", "", "", "", url, checksum), target, lambda _: None)


@pytest.mark.parametrize("file", ["helm", "helm.tar.gz"])
def test_an_official_build_is_kept_when_its_checksum_is_the_published_one(
    server: str, tmp_path: Path, file: str
) -> None:
    target = tmp_path / "helm"
    assert fetch(f"{server}/{file}", f"{server}/{file}.sha256", target)
    assert target.read_bytes() == b"program"


def test_another_file_under_its_name_is_refused(server: str, tmp_path: Path) -> None:
    with pytest.raises(CarbonError, match="wrong checksum"):
        fetch(f"{server}/helm", f"{server}/wrong", tmp_path / "helm")


def test_a_page_instead_of_a_checksum_means_that_it_can_t_be_had(server: str, tmp_path: Path) -> None:
    assert not fetch(f"{server}/helm", f"{server}/login", tmp_path / "helm")
    assert Handler.asked == ["/login"]


def test_a_missing_file_says_nothing_about_the_others(server: str, tmp_path: Path) -> None:
    assert not fetch(f"{server}/missing", f"{server}/missing.sha256", tmp_path / "helm")
    assert fetch(f"{server}/helm", f"{server}/helm.sha256", tmp_path / "helm")


def test_a_refusal_is_not_tried_again(server: str, tmp_path: Path) -> None:
    assert not fetch(f"{server}/helm", f"{server}/forbidden", tmp_path / "helm")
    assert not fetch(f"{server}/helm", f"{server}/helm.sha256", tmp_path / "helm")
    assert Handler.asked == ["/forbidden"]


def test_nobody_at_the_other_end_is_a_refusal(server: str, tmp_path: Path) -> None:
    nobody = f"http://127.0.0.1:{free_ports(1)[0]}"
    assert not fetch(f"{nobody}/helm", f"{nobody}/helm.sha256", tmp_path / "helm")
    assert not fetch(f"{server}/helm", f"{server}/helm.sha256", tmp_path / "helm")


def test_checksums_are_found_in_every_form_that_projects_publish_them_in() -> None:
    one, other = "a" * 64, "b" * 64
    assert download.checksum(f"{one}\n", "kubelet") == one
    assert download.checksum(f"{other}  other.tgz\n{one}  etcd.tgz\n", "etcd.tgz") == one
    assert download.checksum(f"{one} *etcd.tgz\n", "etcd.tgz") == one
    assert download.checksum(f"{other}  other.tgz\n", "etcd.tgz") is None
    assert download.checksum("", "etcd.tgz") is None
