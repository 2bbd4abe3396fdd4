"""Certificates in PEM are read as Go reads them: what each case gives was seen with Go's own `AppendCertsFromPEM`."""

import base64

import pytest

from network.pem import certificates
from tests.network.pki import Issued

ONE, TWO = Issued.make("one", ca=True), Issued.make("two", ca=True)
A, B = ONE.pem, TWO.pem
LINE = base64.b64encode(ONE.der)
BEGIN, END = b"-----BEGIN CERTIFICATE-----\n", b"\n-----END CERTIFICATE-----\n"


def wrapped(content: bytes) -> bytes:
    return BEGIN + content + END


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (A + B, [ONE, TWO]),
        (A + A, [ONE]),
        (
            b"# the CA of example.com\nSubject: CN=one\n" + A + b"more words\n" + B + b"end",
            [ONE, TWO],
        ),
        (A.replace(b"\n", b"\r\n") + B, [ONE, TWO]),
        (wrapped(LINE), [ONE]),  # no line breaks
        (wrapped(b"  ".join((LINE[:40], LINE[40:50] + b"\t\n", LINE[50:]))), [ONE]),
        (BEGIN.replace(b"-\n", b"- \t\n") + LINE + END.replace(b"-\n", b"-  \n"), [ONE]),
        (A.rstrip(b"\n"), [ONE]),
        (b"\n\n" + A, [ONE]),
        # What is broken costs nothing but itself.
        (wrapped(b"!!! no base64") + B, [TWO]),
        (wrapped(LINE.rstrip(b"=")[:-2]) + B, [TWO]),  # its padding is cut
        (BEGIN + LINE + b"\n" + B, [TWO]),  # its end is missing
        (wrapped(b"AAAA") + B, [TWO]),
        (wrapped(b"") + B, [TWO]),
        (wrapped(base64.b64encode(ONE.der + TWO.der)) + B, [TWO]),
        (wrapped(base64.b64encode(ONE.der + b"\0")) + B, [TWO]),
        # Other kinds of block.
        (A.replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE") + B, [TWO]),
        (A.replace(b"CERTIFICATE", b"X509 CERTIFICATE") + B, [TWO]),
        (A.replace(b"CERTIFICATE", b"PRIVATE KEY") + B, [TWO]),
        (BEGIN + b"Proc-Type: 4,ENCRYPTED\n\n" + LINE + END + B, [TWO]),
        # Marks that are none.
        (b" " + A + B, [TWO]),
        (BEGIN + LINE + b"\n-----END CERTIFICATE----- x\n" + B, [TWO]),
        (BEGIN + LINE + b"\n-----END X509 CERTIFICATE-----\n" + B, [TWO]),
        (BEGIN + LINE + b"-----END CERTIFICATE-----\n" + B, [TWO]),
        (b"-----BEGIN CERTIFICATE----\n" + LINE + END + B, [TWO]),
        (b"\xef\xbb\xbf" + A + B, [TWO]),  # a byte order mark
        (ONE.der, []),
        (b"", []),
        (b"no PEM at all", []),
    ],
)
def test_a_bundle_is_read_as_go_reads_it(text: bytes, expected: list[Issued]) -> None:
    assert certificates(text) == tuple(each.der for each in expected)
