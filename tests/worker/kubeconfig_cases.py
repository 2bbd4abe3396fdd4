"""Random kubeconfigs: each dimension is right most of the time, so that what is wrong is wrong alone."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cryptography.hazmat.primitives import serialization

from tests.network.pki import Issued
from tests.worker.kubeconfig_fronts import PROXY_PASSWORD, PROXY_USER, TOKEN, Fronts

Entry = dict[str, Any]
_Pem = serialization.Encoding.PEM
_LOGIN = f"{PROXY_USER}:{quote(PROXY_PASSWORD, safe='')}"
_NO_ISSUER = ("by one that ran out", "by one that is no CA")
_VERSION = "client.authentication.k8s.io/v1"

_PEM_FORMS: dict[str, Callable[[bytes], bytes]] = {
    "windows": lambda pem: pem.replace(b"\n", b"\r\n"),
    "comments": lambda pem: b"subject: CN=x\nissuer-----\n" + pem + b"# the end\n",
    "indented": lambda pem: b"".join(b"  " + line for line in pem.splitlines(keepends=True)),
    "no line break at the end": lambda pem: pem.rstrip(b"\n"),
    "bytes behind": lambda pem: pem + b"\x00\xff garbage",
    "a header": lambda pem: pem.replace(b"CERTIFICATE-----\n", b"CERTIFICATE-----\nA: b\n\n", 1),
    "trusted": lambda pem: pem.replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE"),
    "one line": lambda pem: _one_line(pem),
    "blanks at ends": lambda pem: pem.replace(b"\n", b" \t\n"),
    "a broken one first": lambda pem: b"-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n" + pem,
    "none first": lambda pem: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + pem,
    "empty one first": lambda pem: b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n" + pem,
    "begun twice": lambda pem: b"-----BEGIN CERTIFICATE-----\n" + pem,
    "no end": lambda pem: pem[: pem.rindex(b"-----END")],
    "words behind the end": lambda pem: pem.rstrip(b"\n") + b"x\n",
    "a key first": lambda pem: _key_of(Issued.make("x")) + pem,
    "twice": lambda pem: pem + pem,
    "one dash less": lambda pem: pem.replace(b"-----BEGIN", b"----BEGIN"),
    "two in one block": lambda pem: _der_twice(pem),
    "nothing": lambda pem: b"",
    "blanks": lambda pem: b" \n",
    "DER": lambda pem: base64.b64decode(b"".join(pem.splitlines()[1:-1])[:400]),
}  # fmt: skip
_BASE64_FORMS: dict[str, Callable[[str], str]] = {
    "wrapped": lambda text: "\n".join(text[i : i + 76] for i in range(0, len(text), 76)),
    "wrapped for windows": lambda text: "\r\n".join(
        text[i : i + 64] for i in range(0, len(text), 64)
    ),
    "line breaks around": lambda text: f"\n{text}\n\n",
    "blanks within": lambda text: f"{text[:8]} {text[8:]}",
    "a blank behind": lambda text: f"{text} ",
    "no padding": lambda text: text.rstrip("="),
    "too much padding": lambda text: f"{text}=",
    "something behind": lambda text: f"{text}YQ==",
    "for URLs": lambda text: text.replace("+", "-").replace("/", "_"),
    "twice over": lambda text: _base64(text.encode()),
}


@dataclass
class Case:
    """A kubeconfig in a folder, and what its environment says; `told` is what is special about it."""

    folder: Path
    cluster: Entry
    user: Entry
    told: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    more: dict[str, list[Entry]] = field(default_factory=dict)
    other_file: Entry | None = None
    pinned_before_what_is_no_issuer: bool = False

    def write(self) -> tuple[Path, ...]:
        """Write the files of the case, and return them in order."""
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": self.cluster}],
            "users": [{"name": "u", "user": self.user}],
            "contexts": [{"name": "it", "context": {"cluster": "c", "user": "u"}}],
        }
        for section, items in self.more.items():
            document[section] = [*document[section], *items]
        (self.folder / "config").write_text(json.dumps(document))
        if self.other_file is None:
            return (self.folder / "config",)
        (self.folder / "other").write_text(json.dumps(self.other_file))
        return (self.folder / "config", self.folder / "other")


class Cases:
    """Cases without an end, the same for the same seed."""

    def __init__(self, seed: int, fronts: Fronts, folder: Path) -> None:
        self._random = random.Random(seed)
        self._fronts = fronts
        self._folder = folder
        self._number = 0
        self._client = Issued.make("client", fronts.pki.clients, client_only=True)
        self._rsa = Issued.make("client", fronts.pki.clients, client_only=True, bits=2048)
        self._foreign = Issued.make("client", fronts.pki.stranger, client_only=True)

    def __iter__(self) -> Iterator[Case]:
        return self

    def __next__(self) -> Case:
        self._number += 1
        folder = self._folder / str(self._number)
        folder.mkdir()
        front = "by the root" if self._usual(0.5) else self._pick(*self._fronts.anchors)
        case = Case(folder, {}, {}, [f"front {front}"])
        self._server(case, self._fronts.ports[front])
        self._authority(case, front)
        self._auth(case)
        self._rest(case)
        return case

    def _usual(self, share: float = 0.8) -> bool:
        return self._random.random() < share

    def _pick(self, *choices: Any) -> Any:
        return self._random.choice(choices)

    def _server(self, case: Case, port: int) -> None:
        good = f"https://127.0.0.1:{port}"
        forms: dict[str, object] = {
            "with a slash": f"{good}/",
            "in capitals": good.replace("https", "HTTPS"),
            "by name": f"https://localhost:{port}",
            "by name with a dot": f"https://localhost.:{port}",
            "name in capitals": f"https://LOCALHOST:{port}",
            "with a path": f"{good}/k8s/clusters/c-m-1/",
            "a leading zero": f"https://127.0.0.1:0{port}",
            "by another address": f"https://127.0.0.2:{port}",
            "without a scheme": f"127.0.0.1:{port}",
            "name without a scheme": f"localhost:{port}",
            "plain http": f"http://127.0.0.1:{port}",
            "a query": f"{good}/?a=b",
            "a fragment": f"{good}#a",
            "a login": f"https://u:p@127.0.0.1:{port}",
            "a blank before": f" {good}",
            "a line break behind": f"{good}\n",
            "a large port": "https://127.0.0.1:70000",
            "port that is none": "https://127.0.0.1:abc",
            "empty": "",
            "none": None,
            "a number": port,
            "a list": [good],
        }
        if self._usual(0.85):
            case.cluster["server"] = good
        else:
            name = self._pick(*forms)
            case.cluster["server"] = forms[name]
            case.told.append(f"server {name}")
        self._proxy(case, port)

    def _proxy(self, case: Case, port: int) -> None:
        if self._usual(0.85) or case.told[1:]:
            return
        at = {name: f"127.0.0.1:{self._fronts.ports[name]}" for name in self._fronts.ports}
        forms = {
            "plain": f"http://{at['proxy']}",
            "in capitals": f"HTTP://{at['proxy']}/",
            "by TLS": f"https://{at['proxy by TLS']}",
            "with its login": f"http://{_LOGIN}@{at['proxy with login']}",
            "without its login": f"http://{at['proxy with login']}",
            "with a wrong login": f"http://robot:x@{at['proxy with login']}",
            "a login as it is": f"http://robot:{PROXY_PASSWORD}@{at['proxy with login']}",
            "a login nobody asked for": f"http://{_LOGIN}@{at['proxy']}",
            "that refuses": f"http://{at['proxy that refuses']}",
            "that is down": "http://127.0.0.1:1",
            "SOCKS": f"socks5://{at['proxy']}",
            "of no scheme": at["proxy"],
            "of another scheme": f"ftp://{at['proxy']}",
            "empty": "",
        }
        name = self._pick(*forms)
        case.told.append(f"proxy {name}")
        if self._usual(0.5):
            case.cluster["proxy-url"] = forms[name]
        else:
            case.told[-1] += " from the environment"
            case.environment[self._pick("HTTPS_PROXY", "https_proxy")] = forms[name]
            spared = ("", "", "*", "api.example.com", ".example.com", "example.com:1", "10.0.0.0/8")
            case.environment[self._pick("NO_PROXY", "no_proxy")] = self._pick(*spared)
        if self._usual(0.8):
            # A name that only the proxy knows.
            case.cluster["server"] = f"https://api.example.com:{port}"
            case.cluster["tls-server-name"] = self._pick("localhost", "127.0.0.1")

    def _authority(self, case: Case, front: str) -> None:
        pki, own = self._fronts.pki, self._fronts.anchors[front]
        if self._usual(0.8):
            first = pki.root if front == "by the root" else own[0]
            chosen = [first if self._usual(0.85) else self._pick(*own, pki.root)]
        else:
            pool = (*own, pki.root, pki.stranger, pki.before)
            chosen = self._random.sample(pool, self._random.randint(1, 3))
        case.told.append("CA " + "+".join(_name(one) for one in chosen))
        # OpenSSL judges all that a server sends, even where the server's own certificate is trusted.
        case.pinned_before_what_is_no_issuer = own[-1] in chosen and front in _NO_ISSUER
        pem = b"".join(one.pem for one in chosen)
        if not self._usual(0.8):
            form = self._pick(*_PEM_FORMS)
            pem = _PEM_FORMS[form](pem)
            case.told.append(f"PEM {form}")
        self._material(case, case.cluster, "certificate-authority", pem, "data and file")
        if self._usual(0.03):
            case.cluster.pop("certificate-authority", None)
            case.cluster.pop("certificate-authority-data", None)
            case.told.append("no CA")

    def _material(self, case: Case, entry: Entry, name: str, content: bytes, both: str) -> None:
        text = _base64(content)
        if self._usual(0.6):
            if not self._usual(0.85):
                form = self._pick(*_BASE64_FORMS)
                text = _BASE64_FORMS[form](text)
                case.told.append(f"{name} base64 {form}")
            entry[f"{name}-data"] = text
        else:
            (case.folder / name).write_bytes(content)
            entry[name] = name if self._usual(0.5) else str(case.folder / name)
            if self._usual(0.05):
                entry[name] = self._pick("nowhere", ".", str(case.folder))
                case.told.append(f"{name} file {entry[name]}")
        if self._usual(0.02):
            entry[f"{name}-data"], entry[name] = text, name
            (case.folder / name).write_bytes(content)
            case.told.append(f"{name} {both}")
        elif self._usual(0.1):
            entry.setdefault(f"{name}-data", self._pick("", None))
            entry.setdefault(name, self._pick("", None))

    def _auth(self, case: Case) -> None:
        kind = self._pick(
            "token", "token", "token file", "certificate", "certificate", "exec", "else"
        )
        {
            "token": self._token,
            "token file": self._token_file,
            "certificate": self._certificate,
            "exec": self._exec,
            "else": self._other,
        }[kind](case)

    def _token(self, case: Case) -> None:
        forms: dict[str, object] = {
            "wrong": "x",
            "empty": "",
            "a number": 12345,
            "a blank": " ",
            "within two lines": f"{TOKEN}\nx",
            "none": None,
        }
        case.user["token"] = TOKEN
        if not self._usual():
            name = self._pick(*forms)
            case.user["token"] = forms[name]
            case.told.append(f"token {name}")

    def _token_file(self, case: Case) -> None:
        forms = {"good": TOKEN, "with a line break": f"{TOKEN}\n", "around": f"\n {TOKEN} \n"}
        bad = {"wrong": "x", "empty": "", "blanks": " \n", "missing": None}
        name = self._pick(*forms) if self._usual(0.85) else self._pick(*bad)
        content = (forms | bad)[name]
        case.told.append(f"tokenFile {name}")
        case.user["tokenFile"] = "token" if self._usual(0.5) else str(case.folder / "token")
        if content is not None:
            (case.folder / "token").write_text(content)
        if not self._usual(0.7):
            case.user["token"] = self._pick(TOKEN, "x", "")
            case.told.append(f"with token {case.user['token']}")

    def _certificate(self, case: Case) -> None:
        client = self._client if self._usual(0.6) else self._rsa
        chain, key = client.pem, _key_of(client)
        forms: dict[str, Callable[[], tuple[bytes, bytes]]] = {
            "traditional key": lambda: (chain, _key_of(client, traditional=True)),
            "parameters first": lambda: (chain, _parameters() + _key_of(client, traditional=True)),
            "passphrase": lambda: (chain, _key_of(client, b"hunter2")),
            "passphrase, traditional": lambda: (
                chain,
                _key_of(client, b"hunter2", traditional=True),
            ),
            "another key": lambda: (chain, _key_of(self._foreign)),
            "both in each": lambda: (key + chain, chain + key),
            "with its CA": lambda: (chain + self._fronts.pki.clients.pem, key),
            "the CA first": lambda: (self._fronts.pki.clients.pem + chain, key),
            "of another CA": lambda: (self._foreign.pem, _key_of(self._foreign)),
            "for windows": lambda: (chain.replace(b"\n", b"\r\n"), key.replace(b"\n", b"\r\n")),
            "no key in it": lambda: (chain, chain),
            "no certificate in it": lambda: (key, key),
            "words around": lambda: (b"Bag\n" + chain + b"end", b"Bag\n" + key + b"end"),
        }
        if not self._usual(0.5):
            name = self._pick(*forms)
            chain, key = forms[name]()
            case.told.append(f"client {name}")
        case.told.append(f"client {'RSA' if client is self._rsa else 'EC'}")
        self._material(case, case.user, "client-certificate", chain, "data and file")
        self._material(case, case.user, "client-key", key, "data and file")
        if not self._usual(0.9):
            part = self._pick("client-key", "client-certificate")
            for name in (part, f"{part}-data"):
                case.user.pop(name, None)
            case.told.append(f"no {part}")
        if not self._usual(0.9):
            case.user["token"] = TOKEN
            case.told.append("and a token")

    def _exec(self, case: Case) -> None:
        answer = {"apiVersion": _VERSION, "kind": "ExecCredential", "status": {"token": TOKEN}}
        plugin: Entry = {"apiVersion": _VERSION, "command": "./plugin", "interactiveMode": "Never"}
        check = "true"
        if self._usual(0.3):
            plugin["provideClusterInfo"] = True
            # The server, and a CA where there is one to tell of.
            check = (
                """printf %s "$KUBERNETES_EXEC_INFO" | grep -q '"cluster":.*"server": *"https://'"""
            )
            case.told.append("exec with cluster info")
        forms: dict[str, Entry] = {
            "v1beta1 without mode": {
                "apiVersion": "client.authentication.k8s.io/v1beta1",
                "interactiveMode": None,
            },
            "v1 without mode": {"interactiveMode": None},
            "v1alpha1": {"apiVersion": "client.authentication.k8s.io/v1alpha1"},
            "no version": {"apiVersion": ""},
            "if available": {"interactiveMode": "IfAvailable"},
            "always": {"interactiveMode": "Always"},
            "another mode": {"interactiveMode": "Sometimes"},
            "missing": {"command": "./nowhere"},
            "missing on PATH": {"command": "no-such-plugin-anywhere"},
            "no command": {"command": ""},
            "env": {"env": [{"name": "A", "value": "b"}]},
            "env without a name": {"env": [{"value": "b"}]},
            "no env": {"env": None, "args": None, "installHint": "look around"},
            "a program of the machine": {"command": "sh", "args": ["./plugin"]},
        }
        if not self._usual(0.6):
            name = self._pick(*forms)
            plugin |= forms[name]
            if name == "v1beta1 without mode":
                answer["apiVersion"] = plugin["apiVersion"]
            if name == "a program of the machine":
                plugin["args"] = [str(case.folder / "plugin")]
            case.told.append(f"exec {name}")
        told = json.dumps(answer)
        if not self._usual(0.9):
            told = self._pick("", "no json", json.dumps(answer | {"apiVersion": "x/v1"}))
            case.told.append("exec with another answer")
        script = case.folder / "plugin"
        script.write_text(f"#!/bin/sh\n{check} && printf %s '{told}'\n")
        script.chmod(0o755)
        case.user["exec"] = plugin
        if not self._usual(0.9):
            case.user["token"] = self._pick(TOKEN, "x", "")
            case.told.append(f"exec beside token {case.user['token']}")

    def _other(self, case: Case) -> None:
        token = {"token": TOKEN}
        forms: dict[str, Entry] = {
            "nothing": {},
            "basic": {"username": "admin", "password": "hunter2"},
            "basic and token": token | {"username": "admin", "password": "hunter2"},
            "empty basic": token | {"username": "", "password": None},
            "as": token | {"as": "admin"},
            "as, with groups": token | {"as": "admin", "as-groups": ["x"]},
            "groups alone": token | {"as-groups": ["x"]},
            "empty as": token | {"as": "", "as-groups": [], "as-user-extra": {}, "as-uid": None},
            "provider": {"auth-provider": {"name": "oidc", "config": {"id-token": "x"}}},
            "provider and token": token | {"auth-provider": {"name": "gcp"}},
            "no provider": token | {"auth-provider": None, "exec": None},
            "unknown field": token | {"tokn": "x"},
        }
        name = self._pick(*forms)
        case.user |= forms[name]
        case.told.append(f"user {name}")

    def _rest(self, case: Case) -> None:
        names: tuple[object, ...] = (
            "localhost",
            "127.0.0.1",
            "",
            None,
            "x.example.com",
            "LocalHost",
            7,
        )
        if not self._usual(0.85) and "tls-server-name" not in case.cluster:
            case.cluster["tls-server-name"] = self._pick(*names)
            case.told.append(f"server name {case.cluster['tls-server-name']}")
        if not self._usual(0.94):
            case.cluster["insecure-skip-tls-verify"] = self._pick(False, None, True, "true", 0)
            case.told.append(f"insecure {case.cluster['insecure-skip-tls-verify']}")
            if self._usual(0.3):
                case.cluster.pop("certificate-authority", None)
                case.cluster.pop("certificate-authority-data", None)
        for name in ("proxy-url", "disable-compression", "extensions"):
            if not self._usual(0.95):
                case.cluster.setdefault(name, None)
        if not self._usual(0.94):
            section = self._pick("clusters", "users", "contexts")
            entry: Entry = {"clusters": case.cluster, "users": case.user}.get(section, {})
            if section == "contexts":
                entry = {"cluster": "c", "user": "u"}
            name = {"clusters": "c", "users": "u", "contexts": "it"}[section]
            case.more[section] = [{"name": name, section[:-1]: entry}]
            case.told.append(f"{section} twice")
        elif not self._usual(0.9):
            # kubectl too takes what the first file says.
            case.other_file = {
                "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
                "users": [{"name": "u", "user": {"token": "x"}}],
                "contexts": [],
            }
            case.told.append("the same names in another file")


def _name(one: Issued) -> str:
    return str(one.certificate.subject.rfc4514_string()).removeprefix("CN=")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _one_line(pem: bytes) -> bytes:
    lines = pem.splitlines()
    starts = [at for at, line in enumerate(lines) if line.startswith(b"-----BEGIN")]
    ends = [at for at, line in enumerate(lines) if line.startswith(b"-----END")]
    return b"".join(
        b"\n".join((lines[start], b"".join(lines[start + 1 : end]), lines[end], b""))
        for start, end in zip(starts, ends, strict=True)
    )


def _der_twice(pem: bytes) -> bytes:
    der = base64.b64decode(b"".join(_one_line(pem).splitlines()[1:2]))
    packed = base64.encodebytes(der + der)
    return b"-----BEGIN CERTIFICATE-----\n" + packed + b"-----END CERTIFICATE-----\n"


def _key_of(one: Issued, passphrase: bytes = b"", *, traditional: bool = False) -> bytes:
    form = (
        serialization.PrivateFormat.TraditionalOpenSSL
        if traditional
        else serialization.PrivateFormat.PKCS8
    )
    hidden = (
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption()
    )
    return bytes(one.key.private_bytes(_Pem, form, hidden))


def _parameters() -> bytes:
    return b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
