"""Logins that come in the request: their form, and sealing them for the workers."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from marshmallow import fields, validate

from api.schemas import Strict, checked
from api.sealing import SealingKey, read_public_key
from api.secret import SecretField
from api.services import services
from remediation.credential import check_password, check_registry, check_username
from remediation.docker_config import Login
from remediation.sealing import InlineLogin, SealingKeyError

_MOST_PASSWORD = 65536
_MOST_USERNAME = 255

log = logging.getLogger(__name__)

Seal = Callable[[str], str]


class InlineCredentialSchema(Strict):
    """A registry login. Sealed for the workers before anything is stored, and deleted when the remediation ends."""

    registry = fields.String(
        required=True,
        validate=checked(check_registry),
        metadata={"description": "`host[:port][/path]`", "example": "registry.example.com"},
    )
    username = fields.String(
        required=True,
        validate=[
            validate.Length(1, _MOST_USERNAME, error="must have {min} to {max} characters"),
            checked(check_username),
        ],
        metadata={"pattern": "^[^:]*$"},
    )
    password = SecretField(_MOST_PASSWORD, checked(check_password), required=True)


def inline_field(description: str) -> fields.Nested:
    """Return the field of a login."""
    return fields.Nested(InlineCredentialSchema, metadata={"description": description})


def login_of(body: Mapping[str, Any]) -> InlineLogin | None:
    """Return the login of a body that is right, None if it has none."""
    given = body.get("inline_credential")
    if given is None:
        return None
    return InlineLogin(given["registry"], Login(given["username"], given["password"].value))


def sealing_key() -> SealingKey | None:
    """Return the key as it is now; one that broke after the start is none, and the log says so."""
    try:
        return read_public_key(services().settings.sealing_public_key_file)
    except SealingKeyError as error:
        log.error("REMEDIATOR_SEALING_PUBLIC_KEY_FILE names a file that %s", error)  # noqa: TRY400
        return None


def sealer(key: SealingKey | None, login: InlineLogin | None) -> Seal | None:
    """Return what seals the login for the remediation of an id, None if there is none."""
    if key is None or login is None:
        return None
    return lambda remediation_id: key.seal(remediation_id, login)
