"""Generated questions to the kubelet's keyring: images and Secrets, most of them close to each other.

Random texts would hardly ever match. So keys and images are drawn from one small world of hosts, ports and paths, and
then bent: globs, schemes, other cases, escapes, entries that are malformed.
"""

import base64
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

HOSTS = (
    "registry.example.com",
    "registry.example.com",
    "registry.example.com",
    "reg.io",
    "reg.io",
    "quay.io",
    "docker.io",
    "index.docker.io",
    "registry-1.docker.io",
    "localhost",
    "host",
    "127.0.0.1",
    "[::1]",
    "[2001:db8::a]",
    "a.b.c.d.example.com",
    "Registry.example.com",
    "A",
    "my_reg.example.com",
    "xn--nxasmq6b.example",
)
PORTS = ("",) * 6 + (":5000", ":5000", ":443", ":80")
ODD_PORTS = (":05000", ":", ":x", ":99999")
PATHS = (
    "app",
    "team/app",
    "team",
    "team/apple",
    "team-two/app",
    "library/nginx",
    "nginx",
    "v1/app",
    "v2/app",
    "a/b/c/d",
    "team/app/sub",
)
TAGS = ("", "", ":1", ":latest", ":v1.0_x", "@sha256:" + "a" * 64, ":1@sha256:" + "b" * 64)
ODD_IMAGES = (
    "",
    " nginx",
    "nginx\n",
    "UPPER/case",
    "reg.io/Team/app",
    "https://reg.io/app",
    "reg.io/a..b",
    "reg.io//a",
    "a" * 64,
    "nginx@sha256:abc",
    "reg.io/app:",
    "docker.io",
    "foo:5000",
    "[fe80::1%25eth0]/app",
)
ODD_KEYS = (
    "",
    "/",
    "/team",
    "*",
    "*.*",
    "*.*.*",
    "https://",
    "http:///x",
    "//registry.example.com",
    " registry.example.com",
    "registry.example.com ",
    "registry.example.com?x=1",
    "registry.example.com/team?x",
    "registry.example.com#team",
    "registry.example.com#%zz",
    "registry.example.com/%74eam",
    "registry.example.com/team%2Fapp",
    "registry.example.com/%zz",
    "registry.example.com/%3Fx",
    "registry.example.com/a b",
    "registry.example.com/\x00",
    "registry.example.com\n",
    "regi%73try.example.com",
    "r\u00e9gistry.example.com",
    "r%C3%A9gistry.example.com",
    "user@registry.example.com",
    "user:pass@registry.example.com/team",
    "us er@registry.example.com",
    "a@b@registry.example.com",
    "us%zzer@registry.example.com",
    "registry.example.com:5000:5000",
    "registry.example.com:5000x",
    "[::1",
    "::1",
    "[::1]x",
    "[::1%25eth0]:5000",
    "[::A]",
    "[::z]",
    "[127.0.0.1]",
    "[1.2.3.4]:5000",
    "[::ffff:1.2.3.4]:5000",
    "regist[ry].example.com",
    "registry.example.com\\",
    "registry.exam^ple.com",
    "HTTPS://registry.example.com",
    "ftp://registry.example.com",
    "https:/registry.example.com",
    "https://https://registry.example.com",
    "registry..example.com",
    ".registry.example.com",
    "registry.example.com.",
    "v1/registry.example.com",
    "docker.io/library/",
    "index.docker.io/team",
    "https://index.docker.io/v1/",
    "https://index.docker.io/v1/",
    "https://index.docker.io/v2/",
    "https://index.docker.io/v1",
    "\ud800.example.com",
)
SCHEMES = ("", "", "", "https://", "http://")
SUFFIXES = ("", "", "", "/", "/v1/", "/v2/", "/v1", "/v2", "//")
CONFIG_TYPE = "kubernetes.io/dockerconfigjson"
LEGACY_TYPE = "kubernetes.io/dockercfg"


@dataclass(frozen=True)
class Secret:
    """A Secret's type and data."""

    type: str
    data: dict[str, bytes]


@dataclass(frozen=True)
class Case:
    """One question."""

    image: str
    secrets: tuple[Secret, ...]


class Cases:
    """An endless row of questions, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def __next__(self) -> Case:
        host, port, path = self._place()
        image = self._image(host, port, path)
        secrets = tuple(
            self._secret(host, port, path)
            for _ in range(self._random.choice((0, 1, 1, 2, 2, 3, 5)))
        )
        return Case(image, secrets)

    def _pick(self, among: tuple[Any, ...]) -> Any:
        return self._random.choice(among)

    def _rarely(self, share: float) -> bool:
        return self._random.random() < share

    def _place(self) -> tuple[str, str, str]:
        port = self._pick(ODD_PORTS if self._rarely(0.05) else PORTS)
        return self._pick(HOSTS), port, self._pick(PATHS)

    def _image(self, host: str, port: str, path: str) -> str:
        if self._rarely(0.04):
            return str(self._pick(ODD_IMAGES))
        if self._rarely(0.1):
            return path + str(self._pick(TAGS))
        return f"{host}{port}/{path}{self._pick(TAGS)}"

    def _secret(self, host: str, port: str, path: str) -> Secret:
        entries = [
            (self._key(host, port, path), self._entry())
            for _ in range(self._random.choice((0, 1, 1, 1, 2, 3, 6)))
        ]
        form = self._random.random()
        if form < 0.15:
            return self._typed(LEGACY_TYPE, ".dockercfg", self._bent(_object(entries)))
        content = self._bent(self._document(entries))
        if form < 0.19:  # the content is right where nobody looks
            elsewhere: Secret = self._pick(
                (
                    Secret("Opaque", {".dockerconfigjson": content}),
                    Secret(LEGACY_TYPE, {".dockerconfigjson": content}),
                    Secret(CONFIG_TYPE, {".dockercfg": content}),
                    Secret(CONFIG_TYPE, {".dockerconfigjson": b""}),
                    Secret(CONFIG_TYPE, {}),
                    Secret("", {".dockerconfigjson": content}),
                )
            )
            return elsewhere
        return self._typed(CONFIG_TYPE, ".dockerconfigjson", content)

    def _typed(self, type_: str, key: str, content: bytes) -> Secret:
        return Secret(type_, {key: content})

    def _key(self, host: str, port: str, path: str) -> str:
        if self._rarely(0.15):
            return str(self._pick(ODD_KEYS))
        if self._rarely(0.2):
            host, port, path = self._place()
        if self._rarely(0.25):
            host = self._globbed(host)
        if self._rarely(0.1):
            port = self._pick(PORTS)
        ending = self._pick(SUFFIXES)
        if self._rarely(0.4):
            parts = path.split("/")
            prefix = "/".join(parts[: self._random.randint(1, len(parts))])
            ending = f"/{prefix[: self._random.randint(1, len(prefix))] if self._rarely(0.3) else prefix}"
            ending += self._pick(("", "", "/", ":1", "/*"))
            if self._rarely(0.1):
                ending = self._pick(("/v1", "/v2")) + ending
        return f"{self._pick(SCHEMES)}{host}{port}{ending}"

    def _globbed(self, host: str) -> str:
        labels = host.split(".")
        at = self._random.randrange(len(labels))
        label = labels[at]
        cut = self._random.randint(0, len(label))
        labels[at] = self._pick(
            ("*", label[:cut] + "*", "*" + label[cut:], label[:cut] + "**" + label[cut:])
        )
        if self._rarely(0.1):
            labels = labels[1:] or labels
        return ".".join(labels)

    def _entry(self) -> str:
        """Return an entry as JSON text."""
        user, password = (
            self._pick(("u", "team", "", "\u00fc")),
            self._pick(("p", "s3:cret", "", "\u20ac")),
        )
        auth = base64.b64encode(f"{user}:{password}".encode()).decode()
        draw = self._random.random()
        if draw < 0.03:  # what makes the kubelet give up
            return str(self._pick(BROKEN_ENTRIES))
        if draw < 0.13:
            return str(self._pick(ODD_ENTRIES))
        made: dict[str, Any] = self._pick(
            (
                {"auth": auth},
                {"auth": auth.rstrip("=")},
                {"username": user, "password": password},
                {"auth": auth, "username": "other", "password": "other"},
                {"auth": auth, "email": "a@b.c", "identitytoken": "x", "more": {"a": [1, None]}},
                {"Auth": auth},
                {"USERNAME": user, "Password": password, "auth": None},
            )
        )
        return json.dumps(made, ensure_ascii=self._rarely(0.5))

    def _document(self, entries: list[tuple[str, str]]) -> str:
        draw = self._random.random()
        if draw < 0.9:
            return _object([("auths", _object(entries))])
        return str(
            self._pick(
                (
                    _object([("auths", _object(entries)), ("HttpHeaders", '{"User-Agent": "x"}')]),
                    _object([("auths", _object(entries)), ("HttpHeaders", '{"X": 1}')]),
                    _object([("auths", _object(entries)), ("httpheaders", "null")]),
                    _object([("auths", _object(entries)), ("HTTPHEADERS", '"x"')]),
                    _object([("AUTHS", _object(entries))]),
                    _object([("auth\u017f", _object(entries))]),
                    _object([("auths", _object(entries[:1])), ("Auths", _object(entries[1:]))]),
                    _object([("auths", _object(entries)), ("auths", "null")]),
                    _object([("auths", "null"), ("auths", _object(entries))]),
                    _object([("auths", '"x"'), ("auths", _object(entries))]),
                    _object([("auths", _object(entries)), ("credHelpers", '{"x": 1}')]),
                    _object(entries),
                    "{}",
                    "null",
                    " null\n",
                    "[]",
                    '"x"',
                    '{"auths": []}',
                    '{"auths": null}',
                    "",
                    "{",
                )
            )
        )

    def _bent(self, text: str) -> bytes:
        content = text.encode(errors="surrogatepass")
        if self._rarely(0.985):
            return content
        bend: Callable[[bytes], bytes] = self._pick(
            (
                lambda content: content[: len(content) // 2],
                lambda content: content + b"x",
                lambda content: content + b"\n ",
                lambda content: b"\xef\xbb\xbf" + content,
                lambda content: content.replace(b"u", b"\xff", 1),
                lambda content: content.replace(b'":', b'" :', 1),
                lambda content: content.replace(b"e", b"\\u0065", 1),
            )
        )
        return bend(content)


def _object(members: list[tuple[str, str]]) -> str:
    """Return a JSON object of names and values that are JSON already; names may come twice."""
    return "{" + ", ".join(f"{json.dumps(name)}: {value}" for name, value in members) + "}"


BROKEN_ENTRIES = (
    "[]",
    '"x"',
    "1",
    '{"auth": "%%%"}',
    '{"auth": "bm9jb2xvbg=="}',
    '{"auth": "dTpw="}',
    '{"auth": "dTpw dTpw"}',
    '{"auth": 1}',
    '{"username": 1}',
    '{"email": {}}',
    '{"username": 1, "username": "u"}',
    '{"auth": "\\n"}',
)
ODD_ENTRIES = (
    "null",
    "{}",
    '{"auth": ""}',
    '{"identitytoken": "x"}',
    '{"username": "a", "username": "b", "password": "c"}',
    '{"username": "a", "Username": null}',
    '{"u\u017fername": "long s", "password": "p"}',
    '{"username": "\\ud800", "password": "half"}',
    '{"username": "\\ud83d\\ude00", "password": "whole"}',
    '{"auth": "dTpw\\n"}',
    '{"auth": "dT\\r\\npw"}',
    '{"auth": "/zr+"}',
    '{"auth": "dTp="}',
    '{"auth": "OnA="}',
)
