"""The registry's host in every form of a text: what is looked at before and after an object is decoded."""

import base64
import bz2
import gzip
import json
import lzma
import zlib
from urllib.parse import quote

import pytest

from remediation.readiness.target import parse_target
from worker.readiness.traces import Traces

HOST = "registry.example.com"
IMAGE = f"image: {HOST}/team/app:1"


def encoded(text: str | bytes) -> str:
    """Return a text in base64."""
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def wrapped(text: str) -> str:
    """Return a text in base64 with lines of 76 characters."""
    return base64.encodebytes(text.encode()).decode()


FORMS = {
    "percent": f"data:,image%3A%20{HOST}%2Fteam%2Fapp",
    "percent twice": "docker%253A%252F%252Fregistry%252Eexample.com%252Fteam",
    "escaped newline": f"list:\\n{HOST}/team/app:1\\n",
    "escaped quote": f"\\u0022{HOST}/team\\u0022",
    "escaped dot": "registry\\u002eexample\\x2ecom/team",
    "pattern": r"registry\.example\.com/team/.*",
    "pattern in JSON": r"registry\\.example\\.com/team/.*",
    "class of one": "registry[.]example[.]com/team",
    "octal": r"registry\056example\056com",
    "entity": "registry&#46;example.com&#x2F;team",
    "sum": "'registry.' + \"example.com\" + '/team'",
    "quotes of a shell": "regi''stry.exam\"\"ple.com/team",
    "wide letters": "\uff52egistry\uff0eexample\uff0ecom/team",
    "base64": encoded(IMAGE),
    "base64 in capitals": encoded(IMAGE.upper()),
    "base64 of urls": base64.urlsafe_b64encode(f"?>?>{IMAGE}?>".encode()).decode().rstrip("="),
    "base64 of a wide text": encoded(IMAGE.encode("utf-16-le")),
    "base64 behind a word": f"blob/{encoded(IMAGE)}",
    "base64 twice": encoded(encoded(IMAGE)),
    "base64 thrice": encoded(encoded(encoded(IMAGE))),
    "base64 wrapped twice": wrapped(wrapped("x" * 70 + IMAGE + "y" * 90)),
    "base64 with escaped newlines": json.dumps(wrapped("x" * 70 + IMAGE + "y" * 90)),
    "base64 with percents": quote(encoded(IMAGE + "?"), safe=""),
    "data URL": f"data:text/plain;charset=utf-8;base64,{encoded(IMAGE)}",
    "gzip": encoded(gzip.compress(IMAGE.encode())),
    "gzip wrapped": base64.encodebytes(gzip.compress(bytes(range(99)) + IMAGE.encode())).decode(),
    "gzip twice": encoded(gzip.compress(encoded(gzip.compress(IMAGE.encode())).encode())),
    "zlib": encoded(zlib.compress(IMAGE.encode())),
    "bzip2": encoded(bz2.compress(IMAGE.encode())),
    "xz": encoded(lzma.compress(IMAGE.encode())),
    **{
        f"base64 wrapped, {shift} before": wrapped("x" * (34 + 2 * shift) + f" {IMAGE}")
        for shift in range(12)
    },
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_the_registry_is_seen_in_every_form_of_a_text(text: str) -> None:
    target = parse_target(HOST)

    assert target.mentioned_in(text)
    assert Traces(target.traces).may_stand_in(json.dumps({"spec": text}).encode())
    assert target.mentioned_in(Traces(target.traces).in_text(text))


@pytest.mark.parametrize(
    ("raw", "whole"),
    [
        (gzip.compress(b"a" * 40_000_000), False),
        (gzip.compress(b"a" * 1000), True),
        (b"\x28\xb5\x2f\xfd" + bytes(range(99)), False),
        (b"\x04\x22\x4d\x18" + bytes(range(99)), False),
        (encoded(encoded(encoded(encoded(encoded("x" * 40))))).encode(), False),
        (bytes(range(256)) * 40, True),
        (b"see https://quay.io/team/app for more", True),
    ],
    ids=["large", "small", "zstd", "lz4", "deep", "anything", "text"],
)
def test_what_is_not_read_to_its_end_is_told(raw: bytes, whole: bool) -> None:
    traces = Traces([HOST])

    assert traces.look(encoded(raw)) == ("", whole)
    assert traces.may_stand_in(encoded(raw).encode()) is not whole
