"""Logins that are right now and worthless tonight, told by user name, host and the form of the password alone.

Such a login in a Secret serves until it ends; then no pod on a node without the image can start. The rules are those
that the registries document; a token that says itself when it ends is believed: a JSON Web Token, that of Amazon ECR
(base64 of JSON with `expiration`) and a reference token of Artifactory (base64 of `reftkn:01:SECONDS:…`).
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from remediation.docker_config import Login
from remediation.registry_host import dialled, split_dialled
from remediation.registry_key import effective_key

_NO_ONE = "00000000-0000-0000-0000-000000000000"
_JWT_PARTS = 3
_MOST_TOKEN = 65_536


@dataclass(frozen=True, slots=True)
class _Kind:
    """Logins with one of these user names, at hosts that match (None: any), and how they end."""

    usernames: tuple[str, ...]
    hosts: re.Pattern[str] | None
    ending: str


_KINDS = (
    _Kind(
        ("AWS",),
        re.compile(
            r".+\.dkr[.-]ecr(-fips)?\.[a-z0-9_-]+\.(amazonaws\.com(\.cn)?|on\.(aws|amazonwebservices\.com\.cn)"
            r"|sc2s\.sgov\.gov|c2s\.ic\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov)"
            r"|public\.ecr\.aws|ecr-public\.aws\.com"
        ),
        "ends 12 hours after it was made",
    ),
    _Kind((_NO_ONE,), re.compile(r".+\.azurecr\.(io|cn|us)"), "ends 3 hours after it was made"),
    _Kind(
        ("oauth2accesstoken", "_dcgcloud_token", "_token"),
        re.compile(r"(.+\.)?gcr\.io|.+\.pkg\.dev"),
        "ends 1 hour after it was made",
    ),
    _Kind(("iambearer",), re.compile(r"(.+\.)?icr\.io"), "ends 1 hour after it was made"),
    _Kind(("iam",), re.compile(r"cr\.yandex"), "ends 12 hours after it was made"),
    _Kind(
        ("cr_temp_user",), re.compile(r".+\.aliyuncs\.com"), "ends within hours after it was made"
    ),
    _Kind(
        ("BEARER_TOKEN",),
        re.compile(r"(.+\.)?ocir\.io|ocir\..+\.oci\.oraclecloud\.com"),
        "ends 1 hour after it was made",
    ),
    _Kind(("gitlab-ci-token",), None, "ends with the CI job that it was made for"),
    _Kind(
        ("github-actions", "github-actions[bot]", "x-access-token"),
        re.compile(r"ghcr\.io|docker\.pkg\.github\.com"),
        "ends with the CI job that it was made for, or 1 hour after it was made",
    ),
)
# Passwords whose first letters say what they are, with any user name.
_PREFIXES = {
    "ghs_": "ends 1 hour after it was made, or with its CI job",
    "glcbt-": "ends with the CI job that it was made for",
    "ya29.": "ends 1 hour after it was made",
}
_REFERENCE_TOKEN = re.compile(rb"reftkn:[0-9]+:([0-9]{1,12}):.+", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ShortLived:
    """A login that ends by itself: the registry key, its user name, how it ends, and when, if it says so."""

    key: str
    username: str
    ending: str
    ends_at: datetime | None = None

    @property
    def text(self) -> str:
        """One clause for people."""
        return f"the login '{self.username}' for {self.key} {self.ending}"

    def over(self, now: datetime) -> bool:
        """Tell whether it says that it has ended."""
        return self.ends_at is not None and self.ends_at <= now

    def told(self, now: datetime) -> str:
        """Return one clause for people who read it now."""
        return f"{self.text}, which is over" if self.over(now) else self.text


def short_lived(logins: Iterable[tuple[str, Login]]) -> tuple[ShortLived, ...]:
    """Return those of some logins, (registry key, login), that end by themselves. No password is in the answer."""
    found = (_of_login(key, login) for key, login in logins)
    return tuple(dict.fromkeys(each for each in found if each))


def short_lived_names(keys: Iterable[str], usernames: Iterable[str]) -> tuple[ShortLived, ...]:
    """Return what is known of a credential without its passwords."""
    names = tuple(usernames)
    return short_lived((key, Login(name, "")) for key in keys for name in names)


def _of_login(key: str, login: Login) -> ShortLived | None:
    host, _ = split_dialled(dialled((effective_key(key) or "").partition("/")[0]))
    ends_at = _end_of_token(login.password)
    if ends_at is not None:
        ending = f"ends at {ends_at.isoformat(timespec='seconds').replace('+00:00', 'Z')}"
        return ShortLived(key, login.username, ending, ends_at)
    for kind in _KINDS:
        if login.username in kind.usernames and (not kind.hosts or kind.hosts.fullmatch(host)):
            return ShortLived(key, login.username, kind.ending)
    for prefix, ending in _PREFIXES.items():
        if login.password.startswith(prefix):
            return ShortLived(key, login.username, ending)
    return None


def _end_of_token(password: str) -> datetime | None:
    """Return when a token says that it ends, None for what is none or does not say."""
    if len(password) > _MOST_TOKEN:
        return None
    try:
        end = _end_of_jwt(password.removeprefix("glcbt-")) or _end_in_base64(password)
        return None if end is None else datetime.fromtimestamp(end, UTC)
    except (binascii.Error, ValueError, OverflowError, OSError, RecursionError):
        return None


def _end_of_jwt(password: str) -> float | None:
    parts = password.split(".")
    if len(parts) != _JWT_PARTS or not password.startswith("ey"):
        return None
    padded = parts[1] + "=" * (-len(parts[1]) % 4)
    return _seconds(json.loads(base64.b64decode(padded, altchars=b"-_", validate=True)), "exp")


def _end_in_base64(password: str) -> float | None:
    """Return the end that a token of Amazon ECR or a reference token of Artifactory holds."""
    if not password.startswith(("ey", "cmVmdGtuO")):
        return None
    content = base64.b64decode(password + "=" * (-len(password) % 4), validate=True)
    if found := _REFERENCE_TOKEN.fullmatch(content):
        return int(found[1]) or None  # 0: it has none
    return _seconds(json.loads(content), "expiration")


def _seconds(claims: object, name: str) -> float | None:
    end = claims.get(name) if isinstance(claims, dict) else None
    return end if isinstance(end, int | float) and not isinstance(end, bool) else None
