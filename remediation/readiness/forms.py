"""The forms in which a text can stand in another: percent-encoded, escaped, in base64, compressed, in several layers.

Each layer is undone for the text as a whole, so that their number is small however much is encoded in it. What lies
past a bound is not said to be empty: `Forms.whole` tells that nothing was left unread.
"""

import binascii
import bz2
import html
import lzma
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import unquote

SHORTEST = 6  # characters of base64
_MOST_LAYERS = 4
_MOST_PASSES = 4
_MOST_CHARACTERS = 16 * 1024 * 1024
_MOST_STREAMS = 64

_ESCAPED = re.compile(
    r"\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([0-7]{3})|\r?\n[ \t]*|(.))",
    re.DOTALL,
)
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v"}
_PERCENT = re.compile(r"%[0-9a-fA-F]{2}")
# Texts that are put together: "a" + "b" of programs, a""b of shells; and a[.]b of patterns.
_SUM = re.compile("[\"'`]\\s*(?:[+~]|\\.\\.)\\s*[\"'`]")
_NOTHING = re.compile(r"(?<=[\w.-])(?:\"\"|'')(?=[\w.-])")
_ALPHABET = str.maketrans("-_", "+/")
_WIDE = re.compile(rb"(?:[\x20-\x7e]\0){6}")
_STREAM = re.compile(
    rb"\x1f\x8b\x08|BZh[1-9]1AY&SY|\xfd7zXZ\0|(?<![^\0])\x78[\x01\x5e\x9c\xda]|\x28\xb5\x2f\xfd|\x04\x22\x4d\x18"
)


class _Stream(Protocol):
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


_STREAMS: tuple[tuple[bytes, Callable[[], _Stream]], ...] = (
    (b"\x1f\x8b", lambda: zlib.decompressobj(wbits=31)),
    (b"\x78", zlib.decompressobj),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ", lzma.LZMADecompressor),
)


@dataclass(slots=True)
class Forms:
    """The texts that a text is or holds, the text itself first; `whole` tells that all of it was read.

    `left` are the characters that may still come out, `seen` what was taken for base64.
    """

    texts: list[str] = field(default_factory=list)
    whole: bool = True
    left: int = _MOST_CHARACTERS
    seen: set[str] = field(default_factory=set)


def forms(text: str, shortest: int) -> Forms:
    """Return the forms of a text; `shortest` is how many characters of base64 are looked at."""
    found = Forms()
    layer = [text]
    for _ in range(_MOST_LAYERS):
        known = set(found.texts)
        plain = [form for each in layer for form in _undone(each) if form not in known]
        found.texts += dict.fromkeys(plain)
        layer = [inner for each in dict.fromkeys(plain) for inner in _inside(each, shortest, found)]
        if not layer:
            return found
    found.texts += layer
    found.whole = False
    return found


def _undone(text: str) -> Iterator[str]:
    """Yield a text, and what is left of it as escapes are undone one after the other."""
    yield text
    for _ in range(_MOST_PASSES):
        once = _undone_once(text)
        if once == text:
            return
        yield once
        text = once


def _undone_once(text: str) -> str:
    if "%" in text and _PERCENT.search(text):
        text = unquote(text)
    if "\\" in text:
        text = _ESCAPED.sub(_character, text)
    if "&" in text:
        text = html.unescape(text)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    if "[.]" in text:
        text = text.replace("[.]", ".")
    if "+" in text or "~" in text or ".." in text:
        text = _SUM.sub("", text)
    return _NOTHING.sub("", text) if '""' in text or "''" in text else text


def _character(found: re.Match[str]) -> str:
    if code := found[1] or found[2] or found[3]:
        number = int(code, 16)
        surrogate = 0xD800 <= number < 0xE000
        return chr(number) if number < 0x110000 and not surrogate else "\ufffd"
    if found[4]:
        return chr(int(found[4], 8))
    return _LETTERS.get(found[5], found[5]) if found[5] else ""


def _inside(text: str, shortest: int, found: Forms) -> Iterator[str]:
    """Yield what a text holds in base64, also wrapped, wherever that begins; and what is compressed in there."""
    runs = re.compile(rf"[A-Za-z0-9+/_-]{{{max(shortest, SHORTEST)},}}")
    there = dict.fromkeys(runs.findall(text))
    closed = "".join(text.split())
    if closed != text:
        there |= dict.fromkeys(runs.findall(closed))
    new = there.keys() - found.seen
    found.seen |= new
    if new:
        for shift in range(4):
            yield from _pieces(_decoded(new, shift), shortest * 3 // 4, found)


def _decoded(runs: Iterable[str], shift: int) -> bytes:
    """Return the bytes of all runs, from a character on, with zeros between them."""
    ended = (run[shift:] + "A" * (8 - (len(run) - shift) % 4) for run in runs)
    return binascii.a2b_base64("".join(ended).translate(_ALPHABET))


def _pieces(raw: bytes, least: int, found: Forms) -> Iterator[str]:
    """Yield what is text in some bytes; of what is compressed, the text inside."""
    texts = [raw, *_decompressed(raw, found)]
    texts += [wide.replace(b"\0", b"") for wide in texts if _WIDE.search(wide)]
    printed = re.compile(rf"[^\x00-\x08\x0b\x0e-\x1f\x7f\ufffd]{{{max(least, 1)},}}")
    pieces = [piece for each in texts for piece in printed.findall(each.decode(errors="replace"))]
    if pieces:
        text = "\n".join(pieces)
        found.left -= len(text)
        if found.left >= 0:
            yield text
        else:
            found.whole = False


def _decompressed(raw: bytes, found: Forms) -> Iterator[bytes]:
    for number, start in enumerate(_STREAM.finditer(raw)):
        if number == _MOST_STREAMS:
            found.whole = False
            return
        begun = raw[start.start() :]
        new = next((new for mark, new in _STREAMS if begun.startswith(mark)), None)
        if new is None:
            found.whole = False  # zstd and lz4: there is something that cannot be read
        else:
            yield _read(new(), begun, found)


def _read(stream: _Stream, raw: bytes, found: Forms) -> bytes:
    """Return what comes out of a stream: up to a bound, and up to where it is broken."""
    out = b""
    try:
        out = stream.decompress(raw, found.left + 1)
    except (zlib.error, OSError, lzma.LZMAError, EOFError):
        return out
    if len(out) > found.left:
        found.whole = False
    return out[: found.left]
