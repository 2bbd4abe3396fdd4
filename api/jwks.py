"""The public keys of a token issuer: of a file, or of an address that may be away for a while."""

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx
import orjson
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from api.fetch import SECONDS, FetchError, fetch
from api.identity import IdentityUnavailable
from network import trust
from network.proxy import proxy_for
from remediation.registry.proxy import InvalidProxy

PAUSE_SECONDS = 10.0  # between two looks at the address, whatever tokens come
_FRESH_SECONDS = 600.0
_LEAST_RSA_BITS = 2048
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key of the set: `kind` is its kty, `curve` its crv, `algorithm` the only one that it is for.

    `algorithm` None: any that fits.
    """

    id: str | None
    kind: str
    curve: str | None
    algorithm: str | None
    key: Any

    def fits(self, algorithm: str) -> bool:
        """Tell whether the key can be meant for the algorithm."""
        if self.algorithm not in (None, algorithm):
            return False
        if algorithm in _CURVES:
            return self.kind == "EC" and self.curve == _CURVES[algorithm]
        if algorithm == "EdDSA":
            return self.kind == "OKP"
        return self.kind == "RSA"


class KeySource(Protocol):
    """Where keys come from."""

    def find(self, key_id: str | None, algorithm: str) -> PublicKey | None:
        """Return the key that a token names; without a name the only one that fits. Raises IdentityUnavailable."""


def read_key_set(text: bytes) -> tuple[PublicKey, ...]:
    """Return the usable public keys of a JSON Web Key Set. Raises ValueError if it is none, or has none."""
    document = orjson.loads(text)
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("it is no JSON Web Key Set")  # noqa: TRY004 -- of the document, not of an argument
    keys = tuple(key for entry in entries if (key := _public_key(entry)))
    if not keys:
        raise ValueError("it holds no public key that can be used")
    return keys


def _public_key(entry: Any) -> PublicKey | None:
    """Return the key of an entry, None for a symmetric or private one and for one that is not for signatures."""
    if not isinstance(entry, dict) or entry.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    if "d" in entry or entry.get("use", "sig") != "sig":
        return None
    try:
        key = PyJWK(entry).key
    except (PyJWTError, ValueError, TypeError, KeyError):
        return None
    if entry["kty"] == "RSA" and key.key_size < _LEAST_RSA_BITS:
        return None
    return PublicKey(entry.get("kid"), entry["kty"], entry.get("crv"), entry.get("alg"), key)


def _choose(keys: tuple[PublicKey, ...], key_id: str | None, algorithm: str) -> PublicKey | None:
    fitting = [key for key in keys if key.fits(algorithm)]
    if key_id is None:
        return fitting[0] if len(fitting) == 1 else None
    return next((key for key in fitting if key.id == key_id), None)


class KeyFile:
    """The keys of a file, read again when it changes; a broken one changes nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._seen: object = None
        self._keys: tuple[PublicKey, ...] = ()

    def find(self, key_id: str | None, algorithm: str) -> PublicKey | None:
        """Return the key that a token names. Raises IdentityUnavailable if the file was never readable."""
        with self._lock:
            self._refresh()
            keys = self._keys
        if not keys:
            raise IdentityUnavailable(f"the issuer's keys in {self._path} cannot be read")
        return _choose(keys, key_id, algorithm)

    def _refresh(self) -> None:
        with suppress(OSError):
            found = self._path.stat()
            seen = (found.st_mtime_ns, found.st_ino, found.st_size)
            if seen == self._seen:
                return
            self._seen = seen
            try:
                self._keys = read_key_set(self._path.read_bytes())
            except ValueError as error:
                log.error("the keys in %s are not used: %s", self._path, error)  # noqa: TRY400


class KeyAddress:
    """The keys behind an address: kept, looked up again for a name that is not known, and kept through an outage."""

    def __init__(
        self, url: str, ca_file: Path | None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._ca_file = ca_file
        self._now = now
        self._lock = threading.Lock()
        self._keys: tuple[PublicKey, ...] = ()
        self._tried: float | None = None
        self._read = 0.0

    def find(self, key_id: str | None, algorithm: str) -> PublicKey | None:
        """Return the key that a token names. Raises IdentityUnavailable if the address never had an answer."""
        found = _choose(self._keys, key_id, algorithm)
        if not found or self._now() - self._read > _FRESH_SECONDS:
            self._refresh()
            found = _choose(self._keys, key_id, algorithm)
        if not self._keys:
            raise IdentityUnavailable(f"the issuer's keys at {self._url} cannot be read")
        return found

    def _refresh(self) -> None:
        # One request looks; the others go on with what is known, and wait only if nothing is.
        if not self._lock.acquire(blocking=not self._keys):
            return
        try:
            if self._tried is not None and self._now() - self._tried < PAUSE_SECONDS:
                return
            self._tried = self._now()
            self._keys = read_key_set(self._fetched())
            self._read = self._tried
        except (FetchError, ValueError, OSError) as error:
            kept = "the keys from before stay" if self._keys else "no token can be checked"
            log.warning("the issuer's keys at %s cannot be read: %s; %s", self._url, error, kept)
        finally:
            self._lock.release()

    def _fetched(self) -> bytes:
        own = self._ca_file
        tls = trust.context(trust.usable(own.read_bytes())) if own else trust.system_context()
        proxy = _proxy(self._url)
        with httpx.Client(verify=tls, timeout=SECONDS, trust_env=False, proxy=proxy) as client:
            return fetch(client, "GET", self._url, headers={"Accept": "application/json"})


def _proxy(url: str) -> httpx.Proxy | None:
    """Return the proxy of the surroundings, which is fine where TLS proves who answers. Raises FetchError."""
    try:
        proxy = proxy_for(url, None, os.environ, process="the API")
    except InvalidProxy as error:
        raise FetchError(str(error)) from None
    if proxy is None:
        return None
    login = None if proxy.username is None else (proxy.username, proxy.password)
    return httpx.Proxy(proxy.url, auth=login)
