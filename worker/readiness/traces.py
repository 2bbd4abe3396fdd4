"""Whether an object, as it stands, can name a registry: asked of its bytes, before anything is decoded."""

import base64
import binascii
import re
from collections.abc import Iterable

_SHORTEST_ENCODED = 12
_ENCODED = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")


class Traces:
    """The texts of which one stands in everything that names the registries, and the forms that they can have."""

    def __init__(self, texts: Iterable[str]) -> None:
        """`texts` are in lower case: `host[:port]`, or a path that goes without a host."""
        self._texts = tuple(dict.fromkeys(texts))
        self._plain = tuple(text.encode() for text in self._texts)
        # Within base64 letters of either case cannot be looked for at once; hosts are written in one of them.
        cases = dict.fromkeys(case for text in self._texts for case in (text, text.upper()))
        self._encoded = tuple(part for text in cases for part in _encodings(text))
        self._split = tuple(pair for text in self._texts for pair in halves(text))

    def may_stand_in(self, raw: bytes) -> bool:
        """Tell whether the text of an object can name a registry."""
        if any(part in raw for part in self._encoded):
            return True
        lowered = raw.lower()
        return any(text in lowered for text in self._plain) or any(
            b'"%b' % first.encode() in lowered and second.encode() in lowered
            for first, second in self._split
        )

    def in_text(self, text: str) -> str:
        """Return the text, decoded if it is base64, if a trace stands in it; else ""."""
        lowered = text.lower()
        if any(trace in lowered for trace in self._texts):
            return text
        if len(text) >= _SHORTEST_ENCODED and any(part.decode() in text for part in self._encoded):
            decoded = " ".join(map(_decoded, _ENCODED.findall(text)))
            if any(trace in decoded.lower() for trace in self._texts):
                return decoded
        return ""

    def joined(self, texts: Iterable[str]) -> str:
        """Return the host[:port] whose halves are among the texts of one object, "" if there is none."""
        there = {text.lower().rpartition("://")[2].rstrip("/") for text in texts}
        return next(
            (
                text
                for text in self._texts
                for first, second in halves(text)
                if first in there and second in there
            ),
            "",
        )


def halves(text: str) -> tuple[tuple[str, str], ...]:
    """Return in which two fields a host can stand: host and port, or name and domain."""
    if "/" in text:
        return ()
    host, colon, port = text.rpartition(":")
    if colon:
        return ((host, port),)
    parts = text.split(".")
    return tuple(
        (".".join(parts[:count]), ".".join(parts[count:])) for count in range(1, len(parts) - 1)
    )


def _encodings(text: str) -> tuple[bytes, ...]:
    """Return what stands in the base64 of anything that the text stands in, wherever it begins there."""
    found = []
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + text.encode())
        # The first characters hold bits of what comes before, the last those of what comes after.
        start = (0, 2, 3)[shift]
        whole = (shift + len(text)) * 8 // 6
        found.append(encoded[start:whole])
    return tuple(part for part in found if len(part) >= _SHORTEST_ENCODED // 2)


def _decoded(text: str) -> str:
    padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
    try:
        return base64.urlsafe_b64decode(padded.replace("+", "-").replace("/", "_")).decode(
            errors="replace"
        )
    except (binascii.Error, ValueError):
        return ""
