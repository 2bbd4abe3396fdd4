"""PEM and base64, read as Go reads them."""

import re
from binascii import a2b_base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", re.ASCII)
_BEGIN = b"-----BEGIN "
_END = b"\n-----END "
_DASHES = b"-----"
_BLANK = b" \t"
_CERTIFICATE = "CERTIFICATE"
_SEQUENCE = 0x30
_LONG_LENGTH = 0x80


@dataclass(frozen=True, slots=True)
class Block:
    """One PEM block: its type, such as CERTIFICATE, its headers and what it holds."""

    type: str
    headers: Mapping[str, str]
    content: bytes = field(repr=False)


def certificates(text: bytes) -> tuple[bytes, ...]:
    """Return the DER of each certificate in a bundle.

    Comments, blocks of another kind, with headers, or with broken base64 are passed over, as Go passes over them
    (`encoding/pem.Decode`, `CertPool.AppendCertsFromPEM`). Whether what is left is a certificate, TLS has to say.
    """
    found = (
        block.content
        for block in blocks(text)
        if block.type == _CERTIFICATE and not block.headers and _whole(block.content)
    )
    return tuple(dict.fromkeys(found))


def base64_as_go(text: bytes) -> bytes:
    """Return what Go's base64.StdEncoding reads: line breaks count nowhere, padding must be right, nothing may follow.

    Raises ValueError.
    """
    compact = text.replace(b"\n", b"").replace(b"\r", b"")
    if not _BASE64.fullmatch(compact):
        raise ValueError("not base64")
    return a2b_base64(compact)


def blocks(data: bytes) -> Iterator[Block]:
    """Yield the blocks that Go's pem.Decode finds one after the other; it passes over all the rest."""
    position = 0
    while (end := data.find(_END, position)) >= 0:
        after = end + len(_END)
        begin = data.rfind(_BEGIN, position, end)
        block = None
        if begin == position or (begin > 0 and data[begin - 1 : begin] == b"\n"):
            block, after = _block(data, begin + len(_BEGIN), end, after)
        if block:
            yield block
        position = after


def _block(data: bytes, start: int, end: int, trailer: int) -> tuple[Block | None, int]:
    """Return the block whose type begins at `start`, and where to go on; `trailer` is behind the words of its end."""
    line, content = _line(data, start)
    if not line.endswith(_DASHES):
        return None, trailer
    kind = line.removesuffix(_DASHES)
    headers: dict[str, str] = {}
    while content < len(data):
        header, following = _line(data, content)
        name, colon, value = header.partition(b":")
        if not colon:
            break
        headers[name.strip().decode("latin-1")] = value.strip().decode("latin-1")
        content = following
    # Without a line between, the line break before the end is that of the line of the beginning.
    if content > end + 1 or (headers and content > end):
        return None, trailer
    last, following = _line(data, trailer)
    if last != kind + _DASHES:
        return None, trailer
    try:
        body = base64_as_go(data[content:end].translate(None, _BLANK))
    except ValueError:
        return None, trailer
    return Block(kind.decode("latin-1"), headers, body), following


def _line(data: bytes, start: int) -> tuple[bytes, int]:
    """Return a line without blanks at its end, and where the next one begins."""
    end = data.find(b"\n", start)
    if end < 0:
        return data[start:].rstrip(_BLANK), len(data)
    return data[start:end].removesuffix(b"\r").rstrip(_BLANK), end + 1


def _whole(der: bytes) -> bool:
    """Tell whether this is one DER sequence and nothing after it: a second certificate there is none for Go."""
    if len(der) < 2 or der[0] != _SEQUENCE:
        return False
    if der[1] < _LONG_LENGTH:
        return len(der) == 2 + der[1]
    size = der[1] - _LONG_LENGTH
    return len(der) == 2 + size + int.from_bytes(der[2 : 2 + size])
