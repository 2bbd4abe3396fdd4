"""What a worker is told by its environment."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from remediation.patterns import PatternError, check_cluster_pattern
from store.redis_url import InvalidRedisUrl, read_redis_url
from store.store import DEFAULT_RETENTION_SECONDS, Store

_POOL = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?")
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_FORMATS = ("text", "json")
_MOST_PROCESSES = 256
_MOST_CONCURRENCY = 1024
_MOST_RETENTION_DAYS = 3650
_DAY_SECONDS = 24 * 3600


class SettingsError(ValueError):
    """A variable has a value that cannot be used; the message names it and shows a right one."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The worker's settings.

    `kubeconfigs` are files or folders (empty: the account of the pod it runs in), `concurrency` the writes in
    flight for each cluster, `exec_plugins` globs of the commands that kubeconfigs may have run,
    `insecure_contexts` globs of the contexts whose server's certificate need not be verified, `processes` the runs
    carried out at the same time, `retention_seconds` how long the records of an ended remediation live.
    """

    redis_url: str = field(repr=False)
    kubeconfigs: tuple[Path, ...]
    contexts: tuple[str, ...] = ("*",)
    cluster_name: str = "in-cluster"
    pool: str = "default"
    credentials_dir: Path | None = None
    sealing_key_file: Path | None = None
    registries_file: Path | None = None
    facts_file: Path | None = None
    processes: int = 4
    concurrency: int = 32
    exec_plugins: tuple[str, ...] = ()
    insecure_contexts: tuple[str, ...] = ()
    retention_seconds: int = DEFAULT_RETENTION_SECONDS
    log_format: str = "text"
    log_level: str = "INFO"

    def store(self, *, retries: int) -> Store:
        """Wire the store; nothing is sent yet."""
        return Store.open(self.redis_url, retries=retries, retention_seconds=self.retention_seconds)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the variables. Raises SettingsError for the first that is wrong."""
        folder = environment.get("REMEDIATOR_CREDENTIALS_DIR")
        sealing_key = environment.get("REMEDIATOR_SEALING_KEY_FILE")
        rules = environment.get("REMEDIATOR_REGISTRIES_FILE")
        facts = environment.get("REMEDIATOR_FACTS_FILE")
        return cls(
            redis_url=_redis_url(environment),
            kubeconfigs=kubeconfig_paths(environment),
            contexts=_contexts(environment),
            cluster_name=environment.get("REMEDIATOR_CLUSTER_NAME") or "in-cluster",
            pool=_pool(environment),
            credentials_dir=Path(folder).expanduser() if folder else None,
            sealing_key_file=Path(sealing_key).expanduser() if sealing_key else None,
            registries_file=Path(rules).expanduser() if rules else None,
            facts_file=Path(facts).expanduser() if facts else None,
            processes=_number(environment, "REMEDIATOR_PROCESSES", 4, _MOST_PROCESSES),
            concurrency=_number(environment, "REMEDIATOR_CONCURRENCY", 32, _MOST_CONCURRENCY),
            exec_plugins=_exec_plugins(environment),
            insecure_contexts=_insecure_contexts(environment),
            retention_seconds=_number(
                environment, "REMEDIATOR_RETENTION_DAYS", 30, _MOST_RETENTION_DAYS
            )
            * _DAY_SECONDS,
            log_format=_choice(environment, "REMEDIATOR_LOG_FORMAT", "text", _FORMATS),
            log_level=_choice(environment, "REMEDIATOR_LOG_LEVEL", "INFO", _LEVELS),
        )


def _redis_url(environment: Mapping[str, str]) -> str:
    url = environment.get("REDIS_URL") or "redis://127.0.0.1:6379/0"
    try:
        read_redis_url(url)
    except InvalidRedisUrl as error:
        # The value may hold a password: it is not repeated.
        raise SettingsError(
            f"REDIS_URL {error}; use for example redis://127.0.0.1:6379/0, rediss://user:PASSWORD@host:6380/1 "
            "or unix:///run/redis.sock"
        ) from None
    return url


def kubeconfig_paths(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the files and folders that are meant, none for the account of the pod."""
    listed = environment.get("REMEDIATOR_KUBECONFIG") or environment.get("KUBECONFIG")
    if listed:
        return tuple(Path(part).expanduser() for part in listed.split(os.pathsep) if part)
    default = Path("~/.kube/config").expanduser()
    # Inside a pod without any kubeconfig the pod's own account is meant.
    if "KUBERNETES_SERVICE_HOST" in environment and not default.exists():
        return ()
    return (default,)


def _contexts(environment: Mapping[str, str]) -> tuple[str, ...]:
    try:
        # Variables that are not set leave an empty name between commas: it must not come to mean every context.
        return tuple(map(check_cluster_pattern, _names(environment, "REMEDIATOR_CONTEXTS") or "*"))
    except PatternError as error:
        raise SettingsError(
            f"REMEDIATOR_CONTEXTS: {error}; use names or globs with commas, for example prod-*,stage-eu"
        ) from None


def _pool(environment: Mapping[str, str]) -> str:
    pool = environment.get("REMEDIATOR_POOL") or "default"
    if not _POOL.fullmatch(pool):
        raise SettingsError(
            f"REMEDIATOR_POOL is {pool!r}; use lower-case letters, digits and '-', for example 'eu-west'"
        )
    return pool


def _exec_plugins(environment: Mapping[str, str]) -> tuple[str, ...]:
    names = _names(environment, "REMEDIATOR_EXEC_PLUGINS")
    if not all(names):
        raise SettingsError(
            f"REMEDIATOR_EXEC_PLUGINS is {environment['REMEDIATOR_EXEC_PLUGINS']!r}, where a name is empty; use "
            "commands or globs with commas, for example aws,gke-gcloud-auth-plugin"
        )
    return names


def _insecure_contexts(environment: Mapping[str, str]) -> tuple[str, ...]:
    try:
        names = _names(environment, "REMEDIATOR_INSECURE_CONTEXTS")
        return tuple(map(check_cluster_pattern, names))
    except PatternError as error:
        raise SettingsError(
            f"REMEDIATOR_INSECURE_CONTEXTS: {error}; use names or globs with commas, for example lab-*,edge-1"
        ) from None


def _names(environment: Mapping[str, str], variable: str) -> tuple[str, ...]:
    """Return what stands between the commas, nothing if the variable is not set."""
    text = environment.get(variable)
    return tuple(name.strip() for name in text.split(",")) if text else ()


def _number(environment: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
        raise SettingsError(
            f"{name} is {text!r}; use a whole number from 1 to {most}, for example {default}"
        )
    return int(text)


def _choice(
    environment: Mapping[str, str], name: str, default: str, allowed: tuple[str, ...]
) -> str:
    text = environment.get(name) or default
    for choice in allowed:
        if text.lower() == choice.lower():
            return choice
    raise SettingsError(f"{name} is {text!r}; use one of {', '.join(allowed)}")
