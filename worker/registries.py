"""The operator's rules for registries, read again when the file has changed."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import yaml

from network.trust import NoCertificates, usable
from remediation.registry.rules import InvalidRules, Registries, RegistryRules, parse_rules

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

log = logging.getLogger(__name__)


class RegistriesFile:
    """The file of rules; without one no registry has any."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._signature: object = None
        self._rules = Registries()
        self._problem: str | None = None

    @classmethod
    def opened(cls, path: Path | None) -> Self:
        """Return the file, read for the first time. Raises InvalidRules if it cannot be used."""
        file = cls(path)
        if path is not None:
            file._rules, file._signature = load(path), _stamp(path)
        return file

    def current(self) -> Registries:
        """Return the rules as the file has them now; while it cannot be used, as it had them last."""
        if self._path is None:
            return self._rules
        signature = _stamp(self._path)
        if signature != self._signature:
            self._signature = signature
            try:
                self._rules = load(self._path)
                self._problem = None
            except InvalidRules as error:
                self._problem = f"registries file {self._path}: {error}; the last good rules stay"
                log.warning("%s", self._problem)
        return self._rules

    def problem(self) -> str | None:
        """Return why the file is not in use as it stands, None if it is."""
        self.current()
        return self._problem


def load(path: Path) -> Registries:
    """Read the rules and try the certificates they name. Raises InvalidRules."""
    try:
        document = yaml.load(path.read_bytes(), _LOADER)  # noqa: S506 -- both are safe loaders
    except OSError as error:
        raise InvalidRules(f"cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, ValueError):
        raise InvalidRules("is not YAML") from None
    rules = parse_rules(document)
    return Registries(
        {host: _with_certificates(path.parent, host, own) for host, own in rules.rules.items()}
    )


def _with_certificates(folder: Path, host: str, rules: RegistryRules) -> RegistryRules:
    """Return the rules with the whole path of their certificates, which a relative one has from the file's folder."""
    if rules.ca_file is None:
        return rules
    path = folder / rules.ca_file
    place = f"registries.{host}.ca_file"
    try:
        usable(path.read_bytes())
    except NoCertificates:
        raise InvalidRules(f"{place}: {path} holds no PEM certificates") from None
    except OSError as error:
        raise InvalidRules(f"{place}: {path} cannot be read ({error.strerror})") from None
    return replace(rules, ca_file=str(path))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
