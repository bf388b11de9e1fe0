"""Certificates are made right, and every wrong one is refused with what is wrong."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from molecule.model.errors import InvalidConfig
from molecule.rpc import certificates
from molecule.rpc.certificates import Credentials, KeyPair
from tests.adapters.rpc.cluster_of_two import CLUSTER, Files, authority, node_pair, written

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def load(files: Files, **changed: object) -> Credentials:
    wanted: dict[str, object] = {"cluster": CLUSTER, "name": "n1", **changed}
    return certificates.load(
        ca=files.ca,
        certificate=files.certificate,
        key=files.key,
        **wanted,  # type: ignore[arg-type]  # named by each test
    )


def refusal(files: Files, **changed: object) -> str:
    with pytest.raises(InvalidConfig) as told:
        load(files, **changed)
    return told.value.message


def test_authority_is_a_p256_certificate_of_ten_years() -> None:
    made = x509.load_pem_x509_certificate(
        certificates.create_authority("c", now=NOW).certificate_pem
    )
    key = made.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    assert made.not_valid_after_utc - NOW == timedelta(days=3650)
    assert made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_node_certificate_names_cluster_node_and_addresses_for_ninety_days() -> None:
    pair = certificates.issue_node(
        authority(),
        cluster=CLUSTER,
        node="n1",
        addresses=("127.0.0.1:7400", "[::1]:7400", "n1.example.org:7400", "n1.example.org"),
        now=NOW,
    )
    made = x509.load_pem_x509_certificate(pair.certificate_pem)
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://flights/node/n1"]
    assert names.get_values_for_type(x509.DNSName) == ["n1.flights.molecule", "n1.example.org"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    assert made.not_valid_after_utc - NOW == timedelta(days=90)


def test_good_files_give_identity_expiry_and_fingerprint(tmp_path: Path) -> None:
    loaded = load(written(tmp_path, node_pair("n1")))
    assert loaded.identity.uri == "spiffe://flights/node/n1"
    assert loaded.fingerprint == certificates.fingerprint(node_pair("n1").certificate_pem)
    assert loaded.expires_at == certificates.expires_at(node_pair("n1").certificate_pem)


def test_private_key_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    files = written(tmp_path, node_pair("n1"))
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ca.pem", "node.key", "node.pem"]


@pytest.mark.parametrize("name", ["ca", "certificate", "key"])
def test_missing_file_is_named(tmp_path: Path, name: str) -> None:
    files = written(tmp_path, node_pair("n1"))
    path: Path = getattr(files, name)
    path.unlink()
    assert f"{path} cannot be used: it cannot be read: No such file" in refusal(files)


@pytest.mark.parametrize("name", ["ca", "certificate", "key"])
def test_file_without_pem_is_named(tmp_path: Path, name: str) -> None:
    files = written(tmp_path, node_pair("n1"))
    path: Path = getattr(files, name)
    path.write_bytes(b"not a certificate")
    assert f"{path} cannot be used: it holds no PEM" in refusal(files)


def test_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    swapped = KeyPair(node_pair("n1").certificate_pem, node_pair("n2").key_pem)
    assert "does not belong to the certificate" in refusal(written(tmp_path, swapped))


def test_certificate_of_another_authority_is_refused(tmp_path: Path) -> None:
    other = certificates.create_authority(CLUSTER)
    pair = certificates.issue_node(other, cluster=CLUSTER, node="n1")
    assert "not signed by the authority" in refusal(written(tmp_path, pair))


def test_certificate_of_another_cluster_is_refused(tmp_path: Path) -> None:
    pair = certificates.issue_node(authority(), cluster="trains", node="n1")
    assert "is of cluster 'trains', this one is 'flights'" in refusal(written(tmp_path, pair))


def test_certificate_of_another_node_is_refused(tmp_path: Path) -> None:
    assert "needed is spiffe://flights/node/n1" in refusal(written(tmp_path, node_pair("n2")))


def test_certificate_of_a_gateway_is_no_nodes(tmp_path: Path) -> None:
    pair = certificates.issue_gateway(authority(), cluster=CLUSTER, name="n1", addresses=())
    files = written(tmp_path, pair)
    assert "needed is spiffe://flights/node/n1" in refusal(files)
    assert load(files, role="gateway").identity.role == "gateway"


def test_authority_itself_is_no_node(tmp_path: Path) -> None:
    assert "one URI and has 0" in refusal(written(tmp_path, authority()))


def test_expired_certificate_is_refused_with_the_time(tmp_path: Path) -> None:
    pair = certificates.issue_node(authority(), cluster=CLUSTER, node="n1", now=NOW, days=1)
    files = written(tmp_path, pair)
    assert "it expired at 2030-01-02T" in refusal(files, now=NOW + timedelta(days=2))
    assert "valid only from 2029-12-31T" in refusal(files, now=NOW - timedelta(days=2))


def test_https_context_takes_a_gateway_certificate_and_names_a_bad_one(tmp_path: Path) -> None:
    pair = certificates.issue_gateway(
        authority(), cluster=CLUSTER, name="n1", addresses=("localhost",)
    )
    files = written(tmp_path, pair)
    certificates.https_context(files.certificate, files.key)
    files.key.write_bytes(node_pair("n2").key_pem)
    with pytest.raises(InvalidConfig, match="cannot be used for HTTPS"):
        certificates.https_context(files.certificate, files.key)
