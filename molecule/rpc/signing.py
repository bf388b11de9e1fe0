"""Certificates for others: a request made where the key stays, and its signature by the authority.

What must stay true: the private key never leaves the machine that made it, and the authority signs
only the name that was admitted, never a name of the request's own choice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from molecule.model.errors import InvalidConfig, InvalidInput
from molecule.rpc import certificates, identity
from molecule.rpc.certificates import KeyPair
from molecule.rpc.identity import Identity


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request for a certificate and the private key that stays here, PEM."""

    request_pem: bytes
    key_pem: bytes


def request(name: str) -> Wanted:
    """A new key and a request for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return Wanted(
        made.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def read_authority(ca: Path, key: Path) -> KeyPair:
    """The authority's certificate and key; `InvalidConfig` says what is wrong with the files."""
    try:
        return KeyPair(ca.read_bytes(), key.read_bytes())
    except OSError as error:
        raise InvalidConfig(f"{error.filename} cannot be read: {error.strerror}") from error


def sign(
    authority: KeyPair,
    request_pem: bytes,
    *,
    cluster: str,
    node: str,
    role: str = identity.NODE,
    addresses: Sequence[str],
    now: datetime | None = None,
) -> bytes:
    """The certificate (PEM) for the key of a request, in the name that the cluster admitted."""
    try:
        asked = x509.load_pem_x509_csr(request_pem)
    except ValueError as error:
        raise InvalidInput("the request for a certificate is no PEM of that kind") from error
    key = asked.public_key()
    if not asked.is_signature_valid or not isinstance(key, ec.EllipticCurvePublicKey):
        raise InvalidInput("the request for a certificate is not signed by an elliptic curve key")
    member = Identity(cluster, role, node)
    return certificates.issue_for(
        authority, member, key, addresses=addresses, now=now or datetime.now(UTC)
    )


def check_signed(ca_pem: bytes, certificate_pem: bytes) -> None:
    """`InvalidInput` when this authority did not sign the certificate."""
    leaf = x509.load_pem_x509_certificate(certificate_pem)
    try:
        leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(ca_pem))
    except (InvalidSignature, ValueError, TypeError) as error:
        raise InvalidInput("another authority signed the certificate") from error
