"""Certificates of a cluster, its nodes and its HTTPS front: made, written, loaded, checked.

Every leaf names its holder in a SPIFFE URI and carries the host name under which a node is checked
when dialled. What must stay true: `load` hands out nothing that another node of the cluster would
refuse.
"""

import ipaddress
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from molecule.model.errors import Forbidden, InvalidConfig
from molecule.rpc import identity as identities
from molecule.rpc.identity import Identity

AUTHORITY_DAYS: Final = 3650
LEAF_DAYS: Final = 90
# Clocks of a cluster differ a little; a certificate made now must work everywhere now.
_BACKDATED: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, PEM."""

    certificate_pem: bytes
    key_pem: bytes


@dataclass(frozen=True, slots=True)
class Credentials:
    """Checked material of one member: what TLS needs, and who it makes us."""

    ca_pem: bytes
    certificate_pem: bytes
    key_pem: bytes
    identity: Identity
    expires_at: datetime
    fingerprint: str


def create_authority(
    cluster: str, *, now: datetime | None = None, days: int = AUTHORITY_DAYS
) -> KeyPair:
    """The certificate authority of one cluster. Its key signs members, so keep it off the nodes."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"Molecule CA of {cluster}")
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _builder(name, name, key.public_key(), now or datetime.now(UTC), days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    return _pair(certificate, key)


def issue_node(
    authority: KeyPair,
    *,
    cluster: str,
    node: str,
    addresses: Sequence[str] = (),
    now: datetime | None = None,
    days: int = LEAF_DAYS,
) -> KeyPair:
    """A node's certificate, for serving and dialling; `addresses` may carry ports."""
    member = Identity(cluster, identities.NODE, node)
    return _issue(authority, member, addresses, now=now, days=days)


def issue_gateway(
    authority: KeyPair,
    *,
    cluster: str,
    name: str,
    addresses: Sequence[str],
    now: datetime | None = None,
    days: int = LEAF_DAYS,
) -> KeyPair:
    """A certificate for HTTPS towards people and programs; the internal port refuses it."""
    member = Identity(cluster, identities.GATEWAY, name)
    return _issue(authority, member, addresses, now=now, days=days)


def write(pair: KeyPair, certificate: Path, key: Path) -> None:
    """Both files, replaced whole; the key is never readable by anybody but its owner."""
    for path, content, mode in (
        (certificate, pair.certificate_pem, 0o644),
        (key, pair.key_pem, 0o600),
    ):
        making = path.with_name(path.name + ".new")
        making.unlink(missing_ok=True)
        descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        making.rename(path)


def load(
    *,
    ca: Path,
    certificate: Path,
    key: Path,
    cluster: str,
    name: str,
    role: str = identities.NODE,
    now: datetime | None = None,
) -> Credentials:
    """The material in three files, checked as others will; `InvalidConfig` says what is wrong."""
    contents = {path: _read(path) for path in (ca, certificate, key)}
    authority, leaf = (
        _certificate(ca, contents[ca]),
        _certificate(certificate, contents[certificate]),
    )
    _check_key(certificate, leaf, key, contents[key])
    try:
        leaf.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError) as error:
        raise _refused(certificate, f"it was not signed by the authority in {ca}") from error
    wanted = Identity(cluster, role, name)
    found = _identity(certificate, leaf)
    if found.cluster != cluster:
        raise _refused(certificate, f"it is of cluster {found.cluster!r}, this one is {cluster!r}")
    if found != wanted:
        raise _refused(certificate, f"it names {found.uri}, needed is {wanted.uri}")
    for path, checked in ((ca, authority), (certificate, leaf)):
        _check_time(path, checked, now or datetime.now(UTC))
    return Credentials(
        ca_pem=contents[ca],
        certificate_pem=contents[certificate],
        key_pem=contents[key],
        identity=found,
        expires_at=leaf.not_valid_after_utc,
        fingerprint=fingerprint(contents[certificate]),
    )


def fingerprint(certificate_pem: bytes) -> str:
    """sha256 of the certificate in hex, as people compare it."""
    return x509.load_pem_x509_certificate(certificate_pem).fingerprint(hashes.SHA256()).hex()


def expires_at(certificate_pem: bytes) -> datetime:
    """The end of its validity."""
    return x509.load_pem_x509_certificate(certificate_pem).not_valid_after_utc


def https_context(pair_certificate: Path, pair_key: Path) -> ssl.SSLContext:
    """A context for the HTTPS server of these files, TLS 1.2 and newer as the world expects."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(pair_certificate, pair_key)
    except (OSError, ssl.SSLError) as error:
        raise _refused(pair_certificate, f"it cannot be used for HTTPS: {error}") from error
    return context


def issue_for(
    authority: KeyPair,
    member: Identity,
    public_key: ec.EllipticCurvePublicKey,
    *,
    addresses: Sequence[str],
    now: datetime,
    days: int = LEAF_DAYS,
) -> bytes:
    """The certificate (PEM) of a member whose private key lies elsewhere."""
    issuer = x509.load_pem_x509_certificate(authority.certificate_pem)
    issuer_key = serialization.load_pem_private_key(authority.key_pem, password=None)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        raise InvalidConfig("the key of the authority is not an elliptic curve key")
    if issuer_key.public_key() != issuer.public_key():
        raise InvalidConfig("the key of the authority does not belong to its certificate")
    usages = [ExtendedKeyUsageOID.SERVER_AUTH]
    if member.role == identities.NODE:
        usages.append(ExtendedKeyUsageOID.CLIENT_AUTH)
    subject = _name(f"{member.name}.{member.cluster}")
    names: list[x509.GeneralName] = [
        x509.UniformResourceIdentifier(member.uri),
        x509.DNSName(member.host),
    ]
    names.extend(name for address in addresses if (name := _address_name(address)) not in names)
    certificate = (
        _builder(subject, issuer.subject, public_key, now, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def _issue(
    authority: KeyPair,
    member: Identity,
    addresses: Sequence[str],
    *,
    now: datetime | None,
    days: int,
) -> KeyPair:
    key = ec.generate_private_key(ec.SECP256R1())
    made = issue_for(
        authority,
        member,
        key.public_key(),
        addresses=addresses,
        now=now or datetime.now(UTC),
        days=days,
    )
    return KeyPair(made, _pem(key))


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    now: datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=days))
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _address_name(address: str) -> x509.GeneralName:
    host = address
    if address.startswith("["):
        host = address[1:].partition("]")[0]
    elif address.count(":") == 1:
        host = address.partition(":")[0]
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    return KeyPair(certificate.public_bytes(serialization.Encoding.PEM), _pem(key))


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _refused(path, f"it cannot be read: {error.strerror}") from error


def _certificate(path: Path, content: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(content)
    except ValueError as error:
        raise _refused(path, "it holds no PEM certificate") from error


def _check_key(path: Path, leaf: x509.Certificate, key_path: Path, content: bytes) -> None:
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError) as error:
        raise _refused(key_path, "it holds no PEM private key without password") from error
    if key.public_key() != leaf.public_key():
        raise _refused(key_path, f"it does not belong to the certificate in {path}")


def _identity(path: Path, leaf: x509.Certificate) -> Identity:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except x509.ExtensionNotFound:
        uris = []
    if len(uris) != 1:
        raise _refused(path, f"it must name its holder in one URI and has {len(uris)}")
    try:
        return identities.parse(uris[0])
    except Forbidden as error:
        raise _refused(path, error.message) from error


def _check_time(path: Path, certificate: x509.Certificate, now: datetime) -> None:
    if now > certificate.not_valid_after_utc:
        raise _refused(path, f"it expired at {certificate.not_valid_after_utc.isoformat()}")
    if now < certificate.not_valid_before_utc:
        raise _refused(
            path, f"it is valid only from {certificate.not_valid_before_utc.isoformat()}"
        )


def _refused(path: Path, what: str) -> InvalidConfig:
    return InvalidConfig(f"{path} cannot be used: {what}", path=str(path))
