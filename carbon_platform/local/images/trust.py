"""What a build has to trust on a host whose connections go through a proxy with a CA of its own."""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
from cryptography.utils import CryptographyDeprecationWarning

BUNDLE = "ca.crt"
TRUST_STORE = "truststore.p12"
# A Java trust store holds nothing secret; Java reads no certificates from one without a password, though.
TRUST_STORE_PASSWORD = "changeit"  # noqa: S105


def own_bundle(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The CA bundle that the host was told to use (SSL_CERT_FILE), or None where the usual one serves."""
    named = environment.get("SSL_CERT_FILE")
    return Path(named) if named and Path(named).is_file() else None


def write_trust(bundle: Path, folder: Path) -> None:
    """Put the bundle into a folder, as PEM and as a trust store for Java."""
    pem = bundle.read_bytes()
    (folder / BUNDLE).write_bytes(pem)
    with warnings.catch_warnings():
        # Old roots have serial numbers that RFC 5280 forbids; they are trusted all the same.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        certificates = x509.load_pem_x509_certificates(pem)
    entries = [pkcs12.PKCS12Certificate(one, f"ca-{n}".encode()) for n, one in enumerate(certificates)]
    store = pkcs12.serialize_java_truststore(entries, BestAvailableEncryption(TRUST_STORE_PASSWORD.encode()))
    (folder / TRUST_STORE).write_bytes(store)


def build_arguments(mounted: str, trusted: bool) -> dict[str, str]:
    """Build arguments for a build that sees the folder at `mounted`; recipes declare those that they need.

    The folder holds Maven's repository too, so that builds share downloads.
    """
    maven = [f"-Dmaven.repo.local={mounted}/maven"]
    if not trusted:
        return {"MAVEN_OPTS": " ".join(maven)}
    maven.append(f"-Djavax.net.ssl.trustStore={mounted}/{TRUST_STORE}")
    maven.append(f"-Djavax.net.ssl.trustStorePassword={TRUST_STORE_PASSWORD}")
    return {
        "MAVEN_OPTS": " ".join(maven),
        "SSL_CERT_FILE": f"{mounted}/{BUNDLE}",
        "PIP_CERT": f"{mounted}/{BUNDLE}",
    }
