import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12
from cryptography.x509.oid import NameOID

from carbon_platform.local.images.trust import (
    BUNDLE,
    TRUST_STORE,
    TRUST_STORE_PASSWORD,
    build_arguments,
    own_bundle,
    write_trust,
)


def bundle(path: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A proxy's CA")])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(certificate.public_bytes(Encoding.PEM))
    return path


def test_a_host_with_a_bundle_of_its_own_has_it_used(tmp_path: Path) -> None:
    own = bundle(tmp_path / "ca.pem")
    assert own_bundle({"SSL_CERT_FILE": str(own)}) == own
    assert own_bundle({"SSL_CERT_FILE": str(tmp_path / "gone.pem")}) is None
    assert own_bundle({}) is None


def test_java_finds_the_same_certificates_in_its_own_format(tmp_path: Path) -> None:
    own = bundle(tmp_path / "own.pem")
    write_trust(own, tmp_path)
    assert (tmp_path / BUNDLE).read_bytes() == own.read_bytes()
    store = pkcs12.load_pkcs12((tmp_path / TRUST_STORE).read_bytes(), TRUST_STORE_PASSWORD.encode())
    assert [one.certificate.subject.rfc4514_string() for one in store.additional_certs] == ["CN=A proxy's CA"]


def test_builds_are_told_of_trust_only_where_the_host_has_its_own() -> None:
    assert build_arguments("/mnt", trusted=False) == {"MAVEN_OPTS": "-Dmaven.repo.local=/mnt/maven"}
    arguments = build_arguments("/mnt", trusted=True)
    assert "-Djavax.net.ssl.trustStore=/mnt/truststore.p12" in arguments["MAVEN_OPTS"]
    assert arguments["SSL_CERT_FILE"] == arguments["PIP_CERT"] == "/mnt/ca.crt"
