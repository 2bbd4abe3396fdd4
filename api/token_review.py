"""Tokens of Kubernetes ServiceAccounts, by asking an API server: a TokenReview with our own audience."""

import hashlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import httpx
import orjson

from api.access_file import Kubernetes
from api.fetch import SECONDS, FetchError, fetch
from api.identity import Identity, IdentityUnavailable, Method
from api.oidc import TokenRefused, read_claims
from network import trust
from remediation.permission import Requester

KEPT_SECONDS = 10.0
# Of each process, which has 64 threads: while the API server is slow, API keys go on working.
MOST_AT_A_TIME = 16
_MOST_KEPT = 1024
_PATH = "/apis/authentication.k8s.io/v1/tokenreviews"
_PREFIX = "system:serviceaccount:"

log = logging.getLogger(__name__)
Verdict = Identity | str  # who it is, or why nobody


class TokenReviewer:
    """Asks the API server whose token it is; an answer counts for at most KEPT_SECONDS."""

    def __init__(self, settings: Kubernetes, now: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._now = now
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, tuple[float, Verdict]] = OrderedDict()
        self._places = threading.BoundedSemaphore(MOST_AT_A_TIME)

    def identify(self, token: str) -> Identity:
        """Return whose token it is. Raises TokenRefused and IdentityUnavailable."""
        verdict = self._verdict(token)
        if isinstance(verdict, Identity):
            return verdict
        raise TokenRefused(verdict)

    def _verdict(self, token: str) -> Verdict:
        # What is no token for us is not worth a question.
        _, claims = read_claims(token)
        audience = claims.get("aud")
        if self._settings.audience not in (audience if isinstance(audience, list) else [audience]):
            raise TokenRefused("it is for another audience")
        name = hashlib.sha256(token.encode()).digest()  # a token is not kept
        with self._lock:
            since, verdict = self._known.get(name, (None, None))
        if since is not None and verdict is not None and self._now() - since < KEPT_SECONDS:
            return verdict
        asked = self._now()
        if not self._places.acquire(blocking=False):
            raise IdentityUnavailable("too many tokens are being asked about already")
        try:
            fresh = self._judged(self._asked(token))
        finally:
            self._places.release()
        with self._lock:
            self._known[name] = (asked, fresh)
            self._known.move_to_end(name)
            while len(self._known) > _MOST_KEPT:
                self._known.popitem(last=False)
        return fresh

    def _judged(self, status: dict[str, Any]) -> Verdict:
        if status.get("authenticated") is not True:
            return "the API server does not know it"
        if self._settings.audience not in (status.get("audiences") or ()):
            return "it is for another audience"
        user = status.get("user")
        name = str(user.get("username", "")) if isinstance(user, dict) else ""
        namespace, colon, account = name.removeprefix(_PREFIX).partition(":")
        if not name.startswith(_PREFIX) or not colon or not namespace or not account:
            return "it is not the token of a ServiceAccount"
        # No groups: those of a cluster must not be taken for those of the access file.
        requester = Requester(f"serviceaccount:{namespace}/{account}")
        return Identity(requester, Method.KUBERNETES)

    def _asked(self, token: str) -> dict[str, Any]:
        """Return the status of a review. Raises IdentityUnavailable."""
        settings = self._settings
        review = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [settings.audience]},
        }
        try:
            # Both files are replaced from time to time.
            own = settings.token_file.read_text("ascii").strip()
            tls = trust.context(trust.usable(settings.ca_file.read_bytes()))
            with httpx.Client(verify=tls, timeout=SECONDS, trust_env=False) as client:
                answer = fetch(
                    client,
                    "POST",
                    settings.server.rstrip("/") + _PATH,
                    json=review,
                    headers={"Authorization": f"Bearer {own}"},
                )
            status = orjson.loads(answer)["status"]
        except (FetchError, OSError, ValueError, KeyError, TypeError) as error:
            why = str(error) if isinstance(error, FetchError) else type(error).__name__
            log.warning("no token review at %s: %s", settings.server, why)
            raise IdentityUnavailable(
                f"the API server {settings.server} cannot be asked whose token it is: {why}"
            ) from None
        return status if isinstance(status, dict) else {}
