import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from carbon_platform.local import pki
from carbon_platform.local.pki import Authority, service_account_key


def _certificate(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def test_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    Authority(tmp_path, "ca").issue("admin", "admin")
    service_account_key(tmp_path)
    assert {file.stat().st_mode & 0o777 for file in tmp_path.glob("*.key")} == {0o600}
    assert not list(tmp_path.glob("*.part"))


def test_a_certificate_says_who_and_in_which_groups(tmp_path: Path) -> None:
    Authority(tmp_path, "ca").issue("kubelet", "system:node:a", ["system:nodes"])
    subject = _certificate(tmp_path / "kubelet.crt").subject
    assert [a.value for a in subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["system:node:a"]
    assert [a.value for a in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == ["system:nodes"]


def test_certificate_and_key_belong_together_and_to_their_authority(tmp_path: Path) -> None:
    Authority(tmp_path, "ca").issue("apiserver", "api", hosts=["localhost", "10.96.0.1"])
    context = ssl.create_default_context(cafile=tmp_path / "ca.crt")
    context.load_cert_chain(tmp_path / "apiserver.crt", tmp_path / "apiserver.key")
    _certificate(tmp_path / "apiserver.crt").verify_directly_issued_by(_certificate(tmp_path / "ca.crt"))


def test_what_fits_is_kept(tmp_path: Path) -> None:
    Authority(tmp_path, "ca").issue("a", "a", hosts=["localhost"])
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    Authority(tmp_path, "ca").issue("a", "a", hosts=["localhost"])
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("spoil", ["hosts", "authority", "broken", "expiring"])
def test_what_does_not_fit_any_more_is_made_anew(tmp_path: Path, spoil: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if spoil == "expiring":
        monkeypatch.setattr(pki, "_DAYS", 20)
    Authority(tmp_path, "ca").issue("a", "a", hosts=["localhost"])
    before = (tmp_path / "a.crt").read_bytes()
    monkeypatch.undo()
    if spoil == "authority":
        (tmp_path / "ca.key").unlink()
    if spoil == "broken":
        (tmp_path / "a.crt").write_text("half a certificate", encoding="utf-8")
    hosts = ["localhost", "other"] if spoil == "hosts" else ["localhost"]
    Authority(tmp_path, "ca").issue("a", "a", hosts=hosts)
    assert (tmp_path / "a.crt").read_bytes() != before
    made = _certificate(tmp_path / "a.crt")
    made.verify_directly_issued_by(_certificate(tmp_path / "ca.crt"))
    assert made.not_valid_after_utc > datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=300)
