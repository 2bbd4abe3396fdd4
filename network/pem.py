"""Certificates in PEM, read as Go reads them."""

import base64
import binascii

_BEGIN = b"-----BEGIN "
_END = b"\n-----END "
_DASHES = b"-----"
_KIND = b"CERTIFICATE"
_SEQUENCE = 0x30
_LONG_LENGTH = 0x80


def certificates(text: bytes) -> tuple[bytes, ...]:
    """Return the DER of each certificate in a bundle.

    Comments, blocks of another kind, with headers, or with broken base64 are passed over, as Go passes over them
    (`encoding/pem.Decode`, `CertPool.AppendCertsFromPEM`). Whether what is left is a certificate, TLS has to say.
    """
    found: list[bytes] = []
    rest = text
    while (end := rest.find(_END)) >= 0:
        # The last begin before the first end: begins without an end are passed over.
        begin = rest.rfind(_BEGIN, 0, end)
        after = rest[end + len(_END) :]
        if begin >= 0 and (begin == 0 or rest[begin - 1 : begin] == b"\n"):
            der = _block(rest[begin + len(_BEGIN) : end + 1], after)
            if der and _whole(der):
                found.append(der)
        rest = after
    return tuple(dict.fromkeys(found))


def _block(inside: bytes, trailer: bytes) -> bytes | None:
    """Return the content of a block: `inside` is from its kind to the line break before its end, `trailer` what
    follows the word END.
    """
    kind_line, _, body = inside.partition(b"\n")
    if _stripped(kind_line) != _KIND + _DASHES:
        return None
    if _stripped(trailer.partition(b"\n")[0]) != _KIND + _DASHES:
        return None
    if b":" in body.partition(b"\n")[0]:  # a header
        return None
    packed = body.translate(None, b" \t\r\n")
    try:
        return base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError):
        return None


def _stripped(line: bytes) -> bytes:
    return line.removesuffix(b"\r").rstrip(b" \t")


def _whole(der: bytes) -> bool:
    """Tell whether this is one DER sequence and nothing after it: a second certificate there is none for Go."""
    if len(der) < 2 or der[0] != _SEQUENCE:
        return False
    if der[1] < _LONG_LENGTH:
        return len(der) == 2 + der[1]
    size = der[1] - _LONG_LENGTH
    return len(der) == 2 + size + int.from_bytes(der[2 : 2 + size])
