"""Whether an object, as it stands, can name a registry: asked of its bytes, before anything is decoded."""

import re
from collections.abc import Iterable

from remediation.readiness.forms import forms
from remediation.readiness.variables import Variables, expansions, may_vary

_LONG = 16384  # of a longer text only what stands around the traces is kept
_AROUND = 512
_SPECIAL = re.compile(r"[\\%&'\"\[]|[^\x00-\x7f]")


class Traces:
    """The texts of which one stands in everything that names the registries, and the forms that they can have."""

    def __init__(self, texts: Iterable[str]) -> None:
        """`texts` are in lower case: `host[:port]`, or a path that goes without a host."""
        self._texts = tuple(dict.fromkeys(texts))
        self._plain = tuple(text.encode() for text in self._texts)
        self._split = tuple(pair for text in self._texts for pair in halves(text))
        self._shortest = min(map(len, self._texts), default=1) * 4 // 3
        self._any = re.compile("|".join(map(re.escape, self._texts)))

    def may_stand_in(self, raw: bytes) -> bool:
        """Tell whether the text of an object can name a registry, or cannot be read."""
        if len(raw) < self._shortest:
            return any(text in raw.lower() for text in self._plain)
        lowered = raw.lower()
        if (
            may_vary(raw)
            or any(text in lowered for text in self._plain)
            or any(
                b'"%b' % first.encode() in lowered and second.encode() in lowered
                for first, second in self._split
            )
        ):
            return True
        text, whole = self.look(raw.decode(errors="replace"))
        return bool(text) or not whole

    def in_text(self, text: str) -> str:
        """Return the forms of a text in which a trace stands, "" for none."""
        return self.look(text)[0]

    def look(self, text: str) -> tuple[str, bool]:
        """Return the forms of a text in which a trace stands, and whether the whole of it was read."""
        if len(text) < self._shortest and not _SPECIAL.search(text):
            return (text if self._any.search(text.lower()) else ""), True
        found = forms(text, self._shortest)
        return "\n".join(filter(None, map(self._around, found.texts))), found.whole

    def look_at(self, text: str, variables: Variables) -> tuple[str, bool]:
        """Do the same with a text that may have variables in it: as it is once they are expanded."""
        found, whole = self.look(text)
        expanded = [self.look(each) for each in expansions(text, variables)]
        texts = dict.fromkeys(each for each, _ in expanded if each)
        return "\n".join(texts) or found, whole and all(whole for _, whole in expanded)

    def _around(self, text: str) -> str:
        """Return a text, if it is long what stands around its traces, "" where none stands in it."""
        lowered = text.lower()
        if not self._any.search(lowered) or len(text) < _LONG:
            return text if self._any.search(lowered) else ""
        spans = (each.span() for each in self._any.finditer(lowered))
        return "\n".join(text[max(0, a - _AROUND) : b + _AROUND] for a, b in spans)

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
