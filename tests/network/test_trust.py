"""Where the system's certificates come from, as Go looks for them; what is trusted is judged in tests/worker."""

import ssl
from pathlib import Path

import pytest

from network import trust
from tests.network.pki import Issued, refusal

ROOT, OTHER = Issued.make("root", ca=True), Issued.make("other", ca=True)


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return an empty folder in which the system's places are."""
    monkeypatch.setattr(trust, "_FILES", (str(tmp_path / "a.pem"), str(tmp_path / "b.pem")))
    monkeypatch.setattr(trust, "_FOLDERS", (str(tmp_path / "certs"), str(tmp_path / "none")))
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    return tmp_path


def test_the_first_file_that_is_there_and_all_folders_count(nowhere: Path) -> None:
    assert trust.system_roots() == ()
    (nowhere / "b.pem").write_bytes(ROOT.pem)
    assert trust.system_roots() == (ROOT.der,)
    (nowhere / "a.pem").write_bytes(b"no certificate")
    assert trust.system_roots() == ()  # it could be read, so the next is not looked at
    (nowhere / "certs").mkdir()
    (nowhere / "certs" / "any-name").write_bytes(OTHER.pem)  # no hash of its subject
    (nowhere / "certs" / "folder").mkdir()
    (nowhere / "certs" / "1234.0").symlink_to("any-name")
    (nowhere / "certs" / "gone").symlink_to(nowhere / "gone")

    assert trust.system_roots() == (OTHER.der,)


def test_variables_replace_files_and_folders_each_for_itself(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (nowhere / "a.pem").write_bytes(ROOT.pem)
    own = nowhere / "own.pem"
    own.write_bytes(OTHER.pem)
    for name in ("one", "two"):
        (nowhere / name).mkdir()
    (nowhere / "two" / "ca.crt").write_bytes(OTHER.pem)

    monkeypatch.setenv("SSL_CERT_FILE", str(own))
    assert trust.system_roots() == (OTHER.der,)
    monkeypatch.setenv("SSL_CERT_FILE", str(nowhere / "missing"))
    assert trust.system_roots() == ()
    monkeypatch.setenv("SSL_CERT_FILE", "")  # counts as not set
    assert trust.system_roots() == (ROOT.der,)
    monkeypatch.setenv("SSL_CERT_DIR", f"{nowhere / 'one'}::{nowhere / 'two'}")
    assert trust.system_roots() == (ROOT.der, OTHER.der)


def test_a_certificate_that_is_none_costs_no_other(nowhere: Path) -> None:
    (nowhere / "a.pem").write_bytes(
        b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n" + ROOT.pem
    )
    server = Issued.make("localhost", ROOT).server(nowhere).context()

    assert refusal(trust.system_context(), server) is None
    assert trust.usable((nowhere / "a.pem").read_bytes()) == (ROOT.der,)
    with pytest.raises(trust.NoCertificates):
        trust.usable(b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n")


def test_a_file_of_its_own_does_not_bring_the_system_in(nowhere: Path) -> None:
    (nowhere / "a.pem").write_bytes(ROOT.pem)
    server = Issued.make("localhost", ROOT).server(nowhere).context()

    assert refusal(trust.context([OTHER.der]), server)
    assert refusal(trust.context([]), server)
    assert refusal(trust.system_context([OTHER.der]), server) is None


def test_the_name_in_the_subject_is_no_name_of_the_server(tmp_path: Path) -> None:
    server = Issued.make("localhost", ROOT, names=False).server(tmp_path).context()

    assert refusal(ssl.create_default_context(cadata=ROOT.pem.decode()), server) is None
    assert refusal(trust.context([ROOT.der]), server)


def test_what_python_3_13_asks_for_is_not_asked_for(tmp_path: Path) -> None:
    server = Issued.make("localhost", ROOT).server(tmp_path).context()  # its CA has no key usage
    made = ssl.create_default_context(cadata=ROOT.pem.decode())
    made.verify_flags |= ssl.VERIFY_X509_STRICT  # as 3.13 and later do

    assert refusal(made, server)
    trust.as_go(made)
    assert refusal(made, server) is None
