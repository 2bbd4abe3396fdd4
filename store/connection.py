"""Connections that outlive a restart of Redis."""

from collections.abc import Callable
from typing import Any, TypeVar

from redis import ConnectionPool, Redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    ClusterDownError,
    ConnectionError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
)
from redis.retry import Retry

from store.bounded import bounded
from store.patience import Patience
from store.redis_url import read_redis_url

_BACKOFF_BASE_SECONDS = 0.05
_BACKOFF_CAP_SECONDS = 1.0
_CONNECT_TIMEOUT_SECONDS = 5
# Longer than the longest blocking read (events.BLOCK_SECONDS), short enough to notice a dead peer.
_PATIENT_SECONDS = 15
_PROMPT_SECONDS = 8
_HEALTH_CHECK_SECONDS = 15

# A server that does not know HELLO goes on with what it was sent: the login.
_REPEATED = " with args"

PATIENT = 90  # retries: over a minute, for workers, to whom a restart of Redis is a pause
PROMPT = 3  # retries: under a second, for callers, who are better served by a 503

StoreUnavailable = RedisError

# A failover ends them: the next connection may lead to the new primary, this one never will.
_FAILOVER = (ConnectionError, ReadOnlyError, ClusterDownError)

T = TypeVar("T")


def connect(
    url: str, *, retries: int, text: bool = True, patience: Patience | None = None
) -> "Redis":
    """Return a client that connects at its first command.

    `from_url` alone never retries. Replies are str, or bytes with `text=False` (RQ needs them). With `PROMPT` or fewer
    retries a Redis that accepts and says nothing is asked once: each further try would take as long. With a `patience`
    it bounds all that a request waits.
    Raises InvalidRedisUrl, a ValueError that repeats nothing of the URL.
    """
    patient = retries > PROMPT
    seconds = _PATIENT_SECONDS if patient else _PROMPT_SECONDS
    options = dict(read_redis_url(url).options)
    if patience:
        options = bounded(options, patience)
    retry = _Retry(
        ExponentialWithJitterBackoff(base=_BACKOFF_BASE_SECONDS, cap=_BACKOFF_CAP_SECONDS),
        retries,
        (*_FAILOVER, TimeoutError) if patient else _FAILOVER,
    )
    usual: dict[str, Any] = {
        "decode_responses": text,
        "retry": retry,
        "health_check_interval": _HEALTH_CHECK_SECONDS,
        "socket_timeout": seconds,
        "socket_connect_timeout": _CONNECT_TIMEOUT_SECONDS,
        "redis_connect_func": _greet,
    }
    return Redis.from_pool(ConnectionPool(**options, **usual))


def safe_url(url: str) -> str:
    """Return the URL without user name, password and query, for a log. Raises InvalidRedisUrl."""
    return read_redis_url(url).shown


def _greet(connection: Any) -> None:
    """Log in as redis-py does. Raises what it raises, without the password."""
    try:
        connection.on_connect_check_health()
    except ResponseError as error:
        words, repeated, _ = str(error).partition(_REPEATED)
        if not repeated:
            raise
        raise type(error)(words.rstrip(",")) from None


class _Retry(Retry):
    """Tries again where that may help: never with a login that was refused."""

    def call_with_retry(
        self,
        do: Callable[[], T],
        fail: Callable[..., Any],
        is_retryable: Callable[[Exception], bool] | None = None,
        with_failure_count: bool = False,
    ) -> T:
        """Do it, as often as it takes. Raises what the last try raised."""

        def worth_it(error: Exception) -> bool:
            refused = isinstance(error, AuthenticationError | AuthorizationError)
            return not refused and (is_retryable is None or is_retryable(error))

        return super().call_with_retry(do, fail, worth_it, with_failure_count)
