"""Whose token it is, by what the access file says: API keys, an OpenID Connect issuer, Kubernetes ServiceAccounts."""

import hmac
import logging
from collections.abc import Mapping
from datetime import UTC, datetime

from api.access_file import AccessFile, Key
from api.identity import Identity, Method
from api.oidc import OidcVerifier, TokenRefused, read_claims
from api.token_review import TokenReviewer
from remediation.api_key import PREFIX, digest, parse_api_key
from remediation.permission import Requester

# What an unknown key id is compared with, so that it takes as long as a known one.
_NOBODY = digest("")

log = logging.getLogger(__name__)


class Identities:
    """All ways in that one access file knows.

    What was learned for the file `before` is kept where nothing changed: the issuer may be away just now.
    """

    def __init__(self, file: AccessFile, before: "Identities | None" = None) -> None:
        self._file = file
        self._keys: Mapping[str, Key] = file.keys
        self._oidc = OidcVerifier(file.oidc) if file.oidc else None
        self._reviewer = TokenReviewer(file.kubernetes) if file.kubernetes else None
        if before and before._file.oidc == file.oidc:
            self._oidc = before._oidc
        if before and before._file.kubernetes == file.kubernetes:
            self._reviewer = before._reviewer

    def identify(self, token: str) -> Identity | None:
        """Return whose token it is, None if it is nobody's. Raises IdentityUnavailable."""
        if token.startswith(PREFIX):
            return self._by_key(token)
        try:
            return self._by_issuer(token)
        except TokenRefused as refused:
            log.info("a token is refused: %s", refused)
            return None

    def named_key(self, token: str) -> str | None:
        """Return the id of the key in the file that a token says it is, valid or not; None if there is none."""
        key_id = parse_api_key(token)
        return key_id if key_id in self._keys else None

    def _by_key(self, token: str) -> Identity | None:
        key_id = parse_api_key(token)
        if key_id is None:
            return None
        key = self._keys.get(key_id)
        matches = hmac.compare_digest(digest(token), key.sha256 if key else _NOBODY)
        if key is None or not matches:
            return None
        if key.expires_at and key.expires_at <= datetime.now(UTC):
            log.info("the key %s of %s has expired", key.id, key.subject)
            return None
        requester = Requester(f"client:{key.subject}", key.groups)
        return Identity(requester, Method.API_KEY, key.id, key.expires_at, key.owner)

    def _by_issuer(self, token: str) -> Identity | None:
        """Ask the one that the token says it is from; that one decides whether it is. Raises TokenRefused."""
        if not (self._oidc or self._reviewer):
            return None
        _, claims = read_claims(token)
        if self._oidc and (claims.get("iss") == self._oidc.issuer or not self._reviewer):
            return self._oidc.identify(token)
        return self._reviewer.identify(token) if self._reviewer else None
