"""Why Redis does not serve us, in words for people, and whether waiting can help."""

import re
from dataclasses import dataclass

from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    AuthorizationError,
    BusyLoadingError,
    ClusterCrossSlotError,
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    TimeoutError,
)

RIGHTS = "'~rmd:* ~rq:* resetchannels &rq:* +@all -@dangerous +info'"
_COMMAND = re.compile(r"'([A-Za-z|]{2,40})' command")
_UNKNOWN = re.compile(r"unknown command '?`?([A-Za-z|]{2,40})", re.IGNORECASE)
_CODE = re.compile(r"[A-Z]{3,20}")


class StoreUnusable(RedisError):
    """Redis answers, and cannot be used as it is; the message goes on after 'Redis'."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """`text` goes on after 'Redis' and names no address; `hopeless` if only a change of settings helps."""

    text: str
    hopeless: bool = False


def trouble_of(error: Exception) -> Trouble:
    """Return what an error of redis-py means. Nothing of a login is in it."""
    for kinds, tell in _BY_KIND:
        if isinstance(error, kinds):
            return tell(str(error))
    return _by_text(str(error), type(error).__name__)


def _unusable(text: str) -> Trouble:
    return Trouble(text, hopeless=True)


def _login(text: str) -> Trouble:
    if "without any password" in text or "no password is set" in text:
        return _unusable("has no password, and REDIS_URL holds one")
    if "NOAUTH" in text or "Authentication required" in text:
        return _unusable("wants a login, and REDIS_URL holds none")
    return _unusable("refuses the login in REDIS_URL (WRONGPASS)")


def _permission(text: str) -> Trouble:
    found = _COMMAND.search(text)
    what = f"the command '{found[1].lower()}'" if found else "our keys or channels"
    return _unusable(
        f"does not give the user in REDIS_URL the right to {what} (NOPERM); it needs {RIGHTS}"
    )


def _cluster(_: str) -> Trouble:
    return _unusable("runs in cluster mode, which is not supported: use one without it")


_BY_KIND = (
    (StoreUnusable, _unusable),
    (
        (AuthenticationError, AuthenticationWrongNumberOfArgsError, AuthorizationError),
        _login,
    ),
    (NoPermissionError, _permission),
    ((AskError, ClusterCrossSlotError), _cluster),  # MOVED is a kind of ASK
    (
        ReadOnlyError,
        lambda _: Trouble(
            "is a replica and takes no writes (READONLY): REDIS_URL must lead to the primary"
        ),
    ),
    (MasterDownError, lambda _: Trouble("is a replica that has lost its primary (MASTERDOWN)")),
    (ClusterDownError, lambda _: Trouble("is a cluster that is down (CLUSTERDOWN)")),
    (BusyLoadingError, lambda _: Trouble("is reading its data (LOADING)")),
    (
        OutOfMemoryError,
        lambda _: Trouble("has no memory left (OOM): raise 'maxmemory', or make room"),
    ),
    (TimeoutError, lambda _: Trouble("does not answer")),
)


def _by_text(text: str, kind: str) -> Trouble:
    """Return what the words of an error mean that has no class of its own."""
    if found := _UNKNOWN.search(text):
        return _unusable(f"does not know the command '{found[1].lower()}': 6.2 or newer is needed")
    for part, trouble in _BY_PART.items():
        if part in text:
            return trouble
    if "connecting to" in text or "onnection" in text or "socket" in text:
        return Trouble("cannot be reached")
    code = _CODE.match(text)
    return Trouble(f"answers with an error ({code[0] if code else kind})")


_BY_PART = {
    "NOAUTH": _login("NOAUTH"),
    "without any password": _login("without any password"),
    "DB index is out of range": _unusable("does not have the database that REDIS_URL names"),
    "SELECT is not allowed in cluster mode": _cluster(""),
    "CROSSSLOT": _cluster(""),
    "protected mode": _unusable(
        "takes no calls from other machines (protected mode): give it a password"
    ),
    "MISCONF": Trouble("cannot write to its disk, and so takes no writes (MISCONF): see its log"),
    "NOREPLICAS": Trouble("has too few replicas to take writes (NOREPLICAS)"),
    "max number of clients": Trouble("has too many clients: raise 'maxclients'"),
    "CERTIFICATE_VERIFY_FAILED": Trouble(
        "shows a certificate that is not trusted: 'ssl_ca_certs' in REDIS_URL names the CA's file"
    ),
    "WRONG_VERSION_NUMBER": Trouble("does not speak TLS there: use redis:// in REDIS_URL"),
    "closed by server": Trouble(
        "closed the connection; if it speaks TLS, REDIS_URL must begin with rediss://"
    ),
}
