"""A certificate for a key that lies elsewhere: the admitted name, never the request's own."""

from pathlib import Path

import pytest

from molecule.model.errors import InvalidConfig, InvalidInput
from molecule.rpc import certificates, identity, signing
from molecule.rpc.certificates import KeyPair

CA = certificates.create_authority("local")


def test_a_signed_request_becomes_a_certificate_that_loads(tmp_path: Path) -> None:
    wanted = signing.request("n1.other")
    made = signing.sign(
        CA, wanted.request_pem, cluster="local", node="n4", addresses=["127.0.0.1:7400"]
    )
    (tmp_path / "ca").write_bytes(CA.certificate_pem)
    certificates.write(KeyPair(made, wanted.key_pem), tmp_path / "c", tmp_path / "k")
    loaded = certificates.load(
        ca=tmp_path / "ca",
        certificate=tmp_path / "c",
        key=tmp_path / "k",
        cluster="local",
        name="n4",
    )
    assert loaded.identity.uri == "spiffe://local/node/n4"


def test_a_certificate_of_the_gateway_is_no_node() -> None:
    wanted = signing.request("n4")
    made = signing.sign(
        CA, wanted.request_pem, cluster="local", node="n4", role=identity.GATEWAY, addresses=[]
    )
    signing.check_signed(CA.certificate_pem, made)
    with pytest.raises(InvalidInput, match="another authority"):
        signing.check_signed(certificates.create_authority("local").certificate_pem, made)


def test_what_is_no_request_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no PEM"):
        signing.sign(CA, b"hello", cluster="local", node="n4", addresses=[])


def test_an_authority_whose_key_is_another_ones_signs_nothing(tmp_path: Path) -> None:
    other = certificates.create_authority("local")
    mixed = KeyPair(CA.certificate_pem, other.key_pem)
    with pytest.raises(InvalidConfig, match="does not belong"):
        signing.sign(
            mixed, signing.request("n4").request_pem, cluster="local", node="n4", addresses=[]
        )
    with pytest.raises(InvalidConfig, match="cannot be read"):
        signing.read_authority(tmp_path / "none", tmp_path / "none")
