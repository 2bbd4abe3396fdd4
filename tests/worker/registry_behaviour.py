"""Registries that behave as they are told, hundreds of them in three servers, and behaviours drawn at random."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qs, urlsplit

from controlplane.image import tiny_image
from remediation.registry.rules import RegistryRules
from tests.worker.registry_lab import IMAGE, Reply, Request, Server, Tls, served

USER, PASSWORD = "robot", "correct-horse-battery"


@dataclass(frozen=True)
class Behaviour:
    """How one registry answers.

    `challenge` are the header lines of a 401: `{realm}` and `{scope}` are filled in. `takes` are the kinds of
    `Authorization` that it looks at, `public` says who may pull without one. `needs` is the scope that a token must
    have been asked for, "{own}" is that of the path; a token endpoint refuses scopes that are not in `knows`, if it
    is not empty. `post` and `get` are the statuses of the token endpoint to the right login, `*_answer` what it then
    answers; `anonymous` is its status without a login and `checks` whether it looks at passwords. `first` is the status
    of the first request, before any login, if it is no challenge; `served` the statuses by stage with a login. `hop` is
    a redirect: status, stage, where, and what is asked for there; "storage" is elsewhere and has TLS, which nodes do
    not trust with "strange", and what it asks for may be the status that it refuses with. `limited` is the status for a
    token that was got without a login, with which `open_by_token` lets everybody pull. `busy` is the number of 429
    before each answer.
    """

    challenge: tuple[str, ...] = ('Bearer realm="{realm}",service="lab",scope="{scope}"',)
    realm: str = "{tokens}/token/{name}"
    takes: tuple[str, ...] = ("bearer",)
    public: bool = False
    scope: str = "{own}"
    needs: str = "{own}"
    knows: tuple[str, ...] = ()
    post: int = 200
    post_answer: str = '{"access_token": {token}, "expires_in": 300}'
    get: int = 200
    get_answer: str = '{"token": {token}}'
    anonymous: int = 200
    checks: bool = True
    first: int = 401
    limited: int = 0
    open_by_token: bool = False
    served: Mapping[str, int] = field(default_factory=dict)
    headers: tuple[tuple[str, str], ...] = ()
    after: str = ""
    hop: tuple[int, str, str, str] | None = None
    declared: bool = True
    password: str = PASSWORD
    busy: int = 0
    no_digest: bool = False
    media_type: str = ""


class Stage:
    """Registry, token endpoint and another host; repositories are `{name}/app`, one for each behaviour and asker.

    With `apart` each has an image of its own: nodes do not ask for what they have.
    """

    def __init__(self, *, apart: bool) -> None:
        self.apart = apart
        self.door: tuple[str, ...] = ('Basic realm="front door"',)
        self.behaviours: dict[str, Behaviour] = {}
        self.busy: dict[tuple[str, str, str], int] = {}
        self.registry: Server
        self.tokens: Server
        self.other: Server
        self.storage: Server
        self.strange: Server
        self.ca: Path

    @classmethod
    @contextmanager
    def open(cls, *, apart: bool = False) -> Iterator[Stage]:
        stage = cls(apart=apart)
        with (
            TemporaryDirectory() as folder,
            TemporaryDirectory() as elsewhere,
            Server(lambda request: stage._registry(request, "own")) as stage.registry,
            Server(stage._token) as stage.tokens,
            Server(lambda request: stage._registry(request, "other")) as stage.other,
            Server(stage._storage, Tls.make(Path(folder))) as stage.storage,
            Server(stage._storage, Tls.make(Path(elsewhere))) as stage.strange,
        ):
            stage.ca = Path(folder) / "ca.pem"
            yield stage

    def rules(self, behaviour: Behaviour) -> RegistryRules:
        """Return what the operator says of it."""
        other = self.other.host.replace("127.0.0.1", "localhost")
        hosts = (self.tokens.host, self.tokens.host.replace("127.0.0.1", "localhost"))
        return RegistryRules(
            plain_http=True,
            realm_hosts=hosts,
            redirect_hosts=(other, self.other.host) if behaviour.declared else (),
        )

    def _registry(self, request: Request, host: str) -> Reply:
        path = urlsplit(request.path).path
        if path == "/v2/":
            if _basic(request.headers.get("Authorization", ""))[0] == USER:
                return Reply(body=b"{}")
            lines = [("WWW-Authenticate", line) for line in self.door]
            return Reply(401, lines) if lines else Reply(body=b"{}")
        name = path.split("/")[2]
        it = self.behaviours[name]
        stage = "blob" if "/blobs/" in path else "get" if request.method == "GET" else "head"
        key = (name, host, f"{request.method} {path} {request.headers.get('Authorization', '')}")
        if self.busy.setdefault(key, 0) < it.busy:
            self.busy[key] += 1
            return Reply(429, [("Retry-After", "0")])
        sent = request.headers.get("Authorization", "")
        hop = it.hop
        if hop and host == "own" and hop[1] in (stage, "all") and (sent or hop[3] != "after"):
            target = {
                "port": self.other.url,
                "storage": self._localhost(self.storage.url),
                "strange": self._localhost(self.strange.url),
                "storage port": self.storage.url,
            }.get(hop[2], self._localhost(self.other.url))
            if hop[2] == "here" and not path.startswith("/v2/" + name + "/moved"):
                moved = path.replace(f"/v2/{name}/app/", f"/v2/{name}/moved/", 1)
                return Reply(hop[0], [("Location", moved)])
            if hop[2] != "here":
                return Reply(hop[0], [("Location", target + request.path)])
        if hop and host == "other":
            if hop[3] == "nothing" or (hop[3] == "after" and not sent):
                return self._image(it, path)
            if hop[3] == "no login at all":
                return Reply(400) if sent else self._image(it, path)
            if hop[3] == "basic":
                wanted = _basic(sent) == (USER, it.password)
                lines = [("WWW-Authenticate", 'Basic realm="inner"')]
                return self._image(it, path) if wanted else Reply(401, lines)
        return self._answer(it, name, path, stage, sent)

    def _storage(self, request: Request) -> Reply:
        it = self.behaviours[request.path.split("/")[2]]
        asks = it.hop[3] if it.hop else ""
        if asks.isdigit():
            return Reply(int(asks))
        if asks == "a page":
            return Reply(200, [("Content-Type", "text/html")], b"<html></html>")
        if asks == "basic" and "Authorization" not in request.headers:
            return Reply(401, [("WWW-Authenticate", 'Basic realm="inner"')])
        if asks == "no login at all" and "Authorization" in request.headers:
            return Reply(400)
        return self._image(it, urlsplit(request.path).path)

    def _answer(self, it: Behaviour, name: str, path: str, stage: str, sent: str) -> Reply:
        own = f"repository:{name}/app:pull"
        lines = [("WWW-Authenticate", self._filled(line, it, name)) for line in it.challenge]
        if it.public and not sent:
            return self._image(it, path)
        kind, _, value = sent.partition(" ")
        who = None
        if kind == "Bearer" and "bearer" in it.takes:
            claims = _claims(value)
            if claims and it.needs.format(own=own) in claims["scopes"]:
                who = claims["user"]
                if not who and it.limited:
                    return Reply(it.limited, [("Retry-After", "0")])
                if not who and not (it.public or it.open_by_token):
                    who = None
        elif kind == "Basic" and "basic" in it.takes:
            user, password = _basic(sent)
            if not it.checks or (user, password) == (USER, it.password):
                who = user
        if who is not None:
            status = it.served.get(stage, 200) if who else 200
            if status != 200:
                return Reply(status, lines if status == 401 else [("Retry-After", "0")])
            return self._image(it, path)
        if not sent and it.first != 401:
            return Reply(it.first, [("Retry-After", "0")])
        if sent and it.after:
            lines = [("WWW-Authenticate", self._filled(it.after, it, name))]
        return Reply(401, lines)

    def _image(self, it: Behaviour, path: str) -> Reply:
        reply = served(path, tiny_image(path.split("/")[2]) if self.apart else IMAGE)
        headers = [*reply.headers, *it.headers]
        if it.no_digest:
            headers = [each for each in headers if each[0] != "Docker-Content-Digest"]
        if it.media_type and "/manifests/" in path:
            headers = [each for each in headers if each[0] != "Content-Type"]
            headers.append(("Content-Type", it.media_type))
        return Reply(reply.status, headers, reply.body)

    def _token(self, request: Request) -> Reply:
        address = urlsplit(request.path)
        name = address.path.split("/")[2]
        it = self.behaviours[name]
        if request.method == "POST":
            query = parse_qs(request.body.decode(), keep_blank_values=True)
            login = (query.get("username", [""])[0], query.get("password", [""])[0])
            scopes = query.get("scope", [""])[0].split(" ")
            status, answer = it.post, it.post_answer
        else:
            query = parse_qs(address.query, keep_blank_values=True)
            login = _basic(request.headers.get("Authorization", ""))
            scopes = query.get("scope", [])
            status, answer = it.get, it.get_answer
            if not login[0]:
                status = it.anonymous
        known = [scope.format(own=f"repository:{name}/app:pull") for scope in it.knows]
        if known and set(scopes) - set(known):
            status = 400
        moved = [("Location", f"{self.tokens.url}/token/{name}")]
        if login[0] and it.checks and login != (USER, it.password) and status == 200:
            return Reply(401, body=b'{"errors":[{"code":"UNAUTHORIZED","message":"wrong"}]}')
        if status != 200:
            return Reply(status, moved if 300 <= status < 400 else [("Retry-After", "0")])
        claims = json.dumps({"user": login[0], "scopes": scopes}).encode()
        token = json.dumps(base64.urlsafe_b64encode(claims).decode())
        return Reply(body=answer.replace("{token}", token).encode())

    def _filled(self, line: str, it: Behaviour, name: str) -> str:
        own = f"repository:{name}/app:pull"
        local = self._localhost(self.tokens.url)
        realm = it.realm.format(tokens=self.tokens.url, local=local, name=name)
        return line.replace("{realm}", realm).replace("{scope}", it.scope.format(own=own))

    @staticmethod
    def _localhost(url: str) -> str:
        return url.replace("127.0.0.1", "localhost")


def _basic(header: str) -> tuple[str, str]:
    scheme, _, value = header.partition(" ")
    if scheme != "Basic":
        return "", ""
    user, _, password = base64.b64decode(value).decode().partition(":")
    return user, password


def _claims(token: str) -> dict[str, Any] | None:
    try:
        claims = json.loads(base64.urlsafe_b64decode(token))
    except ValueError:
        return None
    return claims if isinstance(claims, dict) else None


_BEARER = 'Bearer realm="{realm}",service="lab",scope="{scope}"'
_BASIC = 'Basic realm="lab"'
_CHALLENGES: tuple[tuple[str, ...], ...] = (
    (_BEARER,),
    (_BASIC,),
    (_BASIC, _BEARER),
    (_BEARER, _BASIC),
    (f"{_BASIC}, {_BEARER}",),
    (f"{_BEARER}, {_BASIC}",),
    (f"Negotiate, {_BASIC}",),
    (f"Negotiate, {_BEARER}",),
    ("Negotiate", _BASIC),
    ("Negotiate", _BEARER),
    ("Negotiate",),
    ('Digest realm="d", nonce="n"', _BASIC),
    ('Digest realm="d", nonce="n"',),
    ('bearer realm="{realm}"',),
    ('BEARER realm="{realm}" , service="lab" , scope="{scope}"',),
    ('BASIC realm="lab"',),
    ("Basic",),
    ("basic\trealm=lab",),
    ('Bearer realm = "{realm}",service="lab"',),
    ('Bearer realm= "{realm}"',),
    ('Bearer realm="{realm}" service="lab"',),
    ("Bearer realm={realm},service=lab",),
    ('Bearer realm="{realm}",service=lab',),
    ('Bearer service="lab",realm="{realm}"',),
    ('Bearer service="lab"',),
    ('Bearer scope="{scope}",Realm="{realm}"',),
    ('Bearer realm="{realm}',),
    ('Bearer realm="{realm}",service="a \\"b\\" c",scope="{scope}"',),
    ('Bearer ,realm="{realm}"',),
    ('Bearer  realm="{realm}",,service="lab"',),
    (_BEARER + ',error="insufficient_scope"',),
    (_BEARER + ',error="invalid_token",error_description="x"',),
    ('Bearer realm="{realm}",scope=""',),
    ("", _BASIC),
    (_BASIC, _BASIC),
    (_BEARER, _BEARER),
    (),
)
_TOKEN_ANSWERS = (
    '{"access_token": {token}}',
    '{"token": {token}}',
    '{"token": {token}, "access_token": {token}}',
    '{"token": "nothing", "access_token": {token}}',
    '{"token": {token}, "access_token": ""}',
    '{"token": {token}, "access_token": null}',
    '{"Access_Token": {token}, "TOKEN": {token}}',
    '{"token": {token}, "access_token": {token}, "expires_in": 300}',
    '{"token": {token}, "access_token": {token}, "expires_in": "300"}',
    '{"token": {token}, "access_token": {token}, "expires_in": 300.5}',
    '{"token": {token}, "access_token": {token}, "expires_in": 0}',
    '{"token": {token}, "access_token": {token}, "expires_in": null}',
    '{"token": {token}, "access_token": {token}, "issued_at": "2026-01-02T03:04:05Z"}',
    '{"token": {token}, "access_token": {token}, "issued_at": ""}',
    '{"token": {token}, "access_token": {token}, "issued_at": "2026-01-02 03:04:05"}',
    '{"token": {token}, "access_token": {token}, "refresh_token": "r"}',
    '{"token": {token}, "access_token": {token}, "refresh_token": 1}',
    '{"token": {token}, "access_token": {token}, "scope": "a b"}',
    '{"token": {token}, "access_token": {token}, "scope": ["a"]}',
    '{"token": {token}, "access_token": {token}} trailing',
    '\n {"token": {token}, "access_token": {token}}',
    '[{"token": {token}}]',
    "{}",
    "null",
    "",
    "<html></html>",
)
_REALMS = (
    "{tokens}/token/{name}",
    "{local}/token/{name}",
    "{tokens}/token/{name}?account=a",
    "{tokens}/token/{name}?service=other",
    "{tokens}/token/{name}#part",
    "/token/{name}",
    "",
)
_SCOPES = (
    "{own}",
    "repository:other/app:pull",
    "repository:other/app:pull {own}",
    "{own} {own}",
    "repository:user/image:pull",
    " ",
    "registry:catalog:*",
)
_REFUSED = ("401", "403", "404", "500")


def draw(random_: random.Random) -> Behaviour:
    """Return a behaviour: most of it usual, two or three things out of the ordinary."""
    pick = random_.choice

    def odd(chance: float) -> bool:
        return random_.random() < chance

    values: dict[str, Any] = {
        "challenge": pick(_CHALLENGES) if odd(0.6) else pick(_CHALLENGES[:2]),
        "takes": pick((("bearer",), ("basic",), ("bearer", "basic"), ("bearer", "basic"))),
        "public": odd(0.12),
        "open_by_token": odd(0.1),
        "scope": pick(_SCOPES) if odd(0.35) else "{own}",
        "needs": pick(("{own}", "repository:other/app:pull")) if odd(0.3) else "{own}",
        "knows": pick(((), ("{own}",), ("{own}", "repository:other/app:pull")))
        if odd(0.25)
        else (),
        "realm": pick(_REALMS) if odd(0.3) else _REALMS[0],
        "post": pick((400, 401, 403, 404, 405, 422, 429, 500, 501, 302, 307)) if odd(0.35) else 200,
        "get": pick((400, 401, 403, 404, 429, 500, 302)) if odd(0.12) else 200,
        "post_answer": pick(_TOKEN_ANSWERS) if odd(0.3) else _TOKEN_ANSWERS[0],
        "get_answer": pick(_TOKEN_ANSWERS) if odd(0.3) else _TOKEN_ANSWERS[1],
        "anonymous": pick((401, 403, 429, 500)) if odd(0.3) else 200,
        "checks": not odd(0.15),
        "first": pick((403, 404, 429, 500, 200)) if odd(0.08) else 401,
        "limited": pick((429, 503)) if odd(0.1) else 0,
        "password": "another" if odd(0.2) else PASSWORD,
        "busy": pick((1, 6)) if odd(0.06) else 0,
        "no_digest": odd(0.08),
        "declared": odd(0.7),
    }
    if odd(0.2):
        values["served"] = {
            pick(("head", "get", "blob")): pick((400, 401, 403, 404, 405, 429, 500, 502))
        }
    if odd(0.06):
        values["headers"] = (
            ("RateLimit-Limit", "100;w=21600"),
            ("RateLimit-Remaining", pick(("76;w=21600", "0;w=21600"))),
        )
    if odd(0.12):
        values["after"] = pick((_BASIC, _BEARER, _BEARER + ',error="insufficient_scope"'))
    if odd(0.25):
        values["hop"] = (
            pick((301, 302, 303, 307, 308)),
            pick(("head", "get", "blob", "all")),
            pick(("host", "host", "port", "here")),
            pick(("basic", "the same", "nothing", "after", "no login at all")),
        )
    if odd(0.15):
        values["hop"] = (
            pick((301, 302, 307, 308)),
            pick(("blob", "blob", "all")),
            pick(("storage", "storage", "storage port", "strange")),
            pick(("nothing", "no login at all", "no login at all", "basic", "a page", *_REFUSED)),
        )
    if odd(0.06):
        values["media_type"] = pick(
            (
                "application/octet-stream",
                "application/vnd.oci.image.manifest.v1+json; charset=utf-8",
                "application/json",
                "text/plain",
            )
        )
    return Behaviour(**values)
