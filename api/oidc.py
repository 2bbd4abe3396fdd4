"""JSON Web Tokens of an OpenID Connect issuer, checked as RFC 8725 says: what decides is our own setting."""

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import jwt

from api.access_file import Oidc
from api.identity import Identity, Method
from api.jwks import KeyAddress, KeyFile, KeySource
from remediation.permission import Requester

MAX_TOKEN = 8 * 1024  # the HTTP server takes no longer headers either
_LEEWAY_SECONDS = 60
_PARTS = 3
_MAX_NAME = 200
_MAX_GROUPS = 500
# By these a token would bring the key that it is to be checked with, or ask for what we do not know.
_REFUSED_HEADERS = ("jku", "jwk", "x5u", "x5c", "crit")


class TokenRefused(Exception):
    """The token is not to be believed; the message says why, for the log, and quotes nothing of it."""


def read_claims(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return header and claims of a token of the right form, unproven as they are. Raises TokenRefused.

    A member that is there twice is refused: two readers could read two values.
    """
    parts = token.split(".")
    if len(token) > MAX_TOKEN or len(parts) != _PARTS:
        raise TokenRefused("it is no JSON Web Token of a reasonable size")
    return _object(parts[0]), _object(parts[1])


class OidcVerifier:
    """Tells whose token it is."""

    def __init__(self, settings: Oidc, keys: KeySource | None = None) -> None:
        self._settings = settings
        self._keys = keys or _source(settings)

    @property
    def issuer(self) -> str:
        """Whose tokens these are."""
        return self._settings.issuer

    def identify(self, token: str) -> Identity:
        """Return whose token it is. Raises TokenRefused and IdentityUnavailable."""
        header, _ = read_claims(token)
        algorithm, key_id = self._checked(header)
        key = self._keys.find(key_id, algorithm)
        if key is None:
            raise TokenRefused("no key of the issuer fits it")
        settings = self._settings
        try:
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[algorithm],  # which is one of the settings' own
                audience=settings.audience,
                issuer=settings.issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", settings.subject_claim]},
            )
        except jwt.PyJWTError as error:
            raise TokenRefused(f"it does not hold ({type(error).__name__})") from None
        except (ValueError, TypeError, OverflowError) as error:
            raise TokenRefused(f"it cannot be read ({type(error).__name__})") from None
        return self._identity(claims)

    def _checked(self, header: Mapping[str, Any]) -> tuple[str, str | None]:
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in self._settings.algorithms:
            raise TokenRefused("its algorithm is not one of the access file")
        if any(name in header for name in _REFUSED_HEADERS):
            raise TokenRefused("it brings its own key, or asks for an extension")
        if key_id is not None and not isinstance(key_id, str):
            raise TokenRefused("its key id is no text")
        return algorithm, key_id

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        subject = claims[self._settings.subject_claim]
        if not _is_name(subject):
            raise TokenRefused("its subject is no name")
        groups = claims.get(self._settings.groups_claim, []) if self._settings.groups_claim else []
        listed = [groups] if isinstance(groups, str) else groups
        if not isinstance(listed, list) or len(listed) > _MAX_GROUPS:
            raise TokenRefused("its groups are no list of names")
        if not all(map(_is_name, listed)):
            raise TokenRefused("its groups are no list of names")
        try:
            expires_at = datetime.fromtimestamp(int(claims["exp"]), UTC)
        except (ValueError, OverflowError, OSError):
            raise TokenRefused("its end is no time") from None
        requester = Requester(f"user:{subject}", tuple(listed))
        return Identity(requester, Method.OIDC, expires_at=expires_at)


def _source(settings: Oidc) -> KeySource:
    if settings.jwks_file:
        return KeyFile(settings.jwks_file)
    assert settings.jwks_url  # noqa: S101 -- the access file has one of the two
    return KeyAddress(settings.jwks_url, settings.ca_file)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MAX_NAME and value.isprintable()


def _object(part: str) -> Mapping[str, Any]:
    try:
        raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        found = json.loads(raw, object_pairs_hook=_once_each)
    except (binascii.Error, ValueError, RecursionError):
        raise TokenRefused("a part of it is not JSON, or says something twice") from None
    if not isinstance(found, dict):
        raise TokenRefused("a part of it is no JSON object")
    return found


def _once_each(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        raise ValueError
    return found
