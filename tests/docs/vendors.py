"""Stand-ins that answer as the registries in docs/registries.md do, each private to one login."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from tests.worker.registry_lab import MANIFEST, Reply, Request

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
CONFIG = json.dumps({"architecture": "amd64", "os": "linux"}).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


IMAGE = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG_TYPE, "digest": _digest(CONFIG), "size": len(CONFIG)},
        "layers": [],
    }
).encode()


@dataclass(frozen=True)
class Vendor:
    """How a registry answers: `realm` is its token endpoint (None: it asks for Basic), `post` the answer to a POST.

    `anonymous` is what the token endpoint says to nobody, `wrong` to a wrong login that asks for a scope; `blobs` is
    the host that blobs are redirected to.
    """

    registry: str
    username: str
    realm: str | None = None
    post: int = 405
    anonymous: int = 200
    wrong: int = 401
    scheme: str = "Basic"
    blobs: str = ""
    password: str = field(default="correct-horse-battery", repr=False)

    @property
    def hosts(self) -> set[str]:
        """All hosts that answer, each with its port."""
        realm = {urlsplit(self.realm).netloc} if self.realm else set()
        return {
            host if ":" in host else f"{host}:443"
            for host in {self.registry, *realm, *filter(None, [self.blobs])}
        }

    def answer(self, request: Request) -> Reply:
        """Answer as the registry and its token endpoint."""
        path = urlsplit(request.path).path
        if self.blobs and request.headers["Host"] == self.blobs:
            # Storage takes its own signature only.
            return Reply(400) if "Authorization" in request.headers else Reply(200, body=CONFIG)
        if self.realm and path == urlsplit(self.realm).path:
            return self._token(request)
        if not self._let_in(request.headers.get("Authorization", "")):
            return Reply(401, [("WWW-Authenticate", self._challenge(path))])
        if path.startswith("/v2/team/app/manifests/"):
            return Reply(
                200, [("Content-Type", MANIFEST), ("Docker-Content-Digest", _digest(IMAGE))], IMAGE
            )
        if path.startswith("/v2/team/app/blobs/"):
            if self.blobs:
                return Reply(307, [("Location", f"https://{self.blobs}{path}?signed=1")])
            return Reply(200, [("Content-Type", "application/octet-stream")], CONFIG)
        return Reply(200, body=b"{}") if path == "/v2/" else Reply(404)

    def _challenge(self, path: str) -> str:
        if not self.realm:
            return f'{self.scheme} realm="registry"'
        scope = ',scope="repository:team/app:pull"' if "/team/app/" in path else ""
        return f'Bearer realm="{self.realm}",service="{self.registry}"{scope}'

    def _let_in(self, authorization: str) -> bool:
        right = "Bearer right" if self.realm else self._basic
        return authorization == right

    @property
    def _basic(self) -> str:
        return f"Basic {base64.b64encode(f'{self.username}:{self.password}'.encode()).decode()}"

    def _token(self, request: Request) -> Reply:
        if request.method == "POST":
            return Reply(self.post)
        authorization = request.headers.get("Authorization", "")
        if authorization == self._basic:
            return Reply(200, body=b'{"token": "right"}')
        scoped = "scope" in parse_qs(urlsplit(request.path).query)
        refused = self.wrong if scoped else 401
        status = refused if authorization else self.anonymous
        return Reply(status, body=b'{"token": "empty"}' if status == 200 else b"{}")


VENDORS = {
    "Harbor": Vendor(
        "harbor.example.com",
        "robot$team+pull",
        "https://harbor.example.com/service/token",
        wrong=200,
    ),
    "Nexus": Vendor("nexus.example.com:5000", "puller", scheme="BASIC"),
    "Artifactory": Vendor(
        "artifactory.example.com",
        "puller",
        "https://artifactory.example.com/artifactory/api/docker/docker-local/v2/token",
        post=401,
    ),
    "GitLab": Vendor(
        "registry.example.com", "gitlab+deploy-token-7", "https://gitlab.example.com/jwt/auth"
    ),
    "GitHub": Vendor(
        "ghcr.io",
        "octocat",
        "https://ghcr.io/token",
        anonymous=401,
        wrong=403,
        blobs="pkg-containers.githubusercontent.com",
    ),
    "Amazon ECR": Vendor(
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com", "AWS", blobs="s3.eu-west-1.amazonaws.com"
    ),
    "Google Artifact Registry": Vendor(
        "europe-docker.pkg.dev",
        "_json_key",
        "https://europe-docker.pkg.dev/v2/token",
        post=404,
        password=json.dumps({"type": "service_account", "private_key": "---\nline\n"}, indent=2),
    ),
    "Azure": Vendor(
        "team.azurecr.io", "pull-token", "https://team.azurecr.io/oauth2/token", post=400
    ),
    "Quay": Vendor("quay.example.com", "team+pull", "https://quay.example.com/v2/auth"),
}
