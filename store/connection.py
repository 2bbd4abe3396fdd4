"""Connections that outlive a restart of Redis."""

from urllib.parse import urlsplit

from redis import Redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError, RedisError, TimeoutError
from redis.retry import Retry

_BACKOFF_BASE_SECONDS = 0.05
_BACKOFF_CAP_SECONDS = 1.0
_CONNECT_TIMEOUT_SECONDS = 5
# Longer than the longest blocking read (events.BLOCK_SECONDS), short enough to notice a dead peer.
_PATIENT_SECONDS = 15
_PROMPT_SECONDS = 8
_HEALTH_CHECK_SECONDS = 15

PATIENT = 90  # retries: over a minute, for workers, to whom a restart of Redis is a pause
PROMPT = 3  # retries: under a second, for callers, who are better served by a 503

StoreUnavailable = RedisError


def connect(url: str, *, retries: int, text: bool = True) -> "Redis":
    """Return a client that connects at its first command.

    `from_url` alone never retries. Replies are str, or bytes with `text=False` (RQ needs them). With `PROMPT` or fewer
    retries a Redis that accepts and says nothing is asked once: each further try would take as long.
    Raises ValueError for a URL that redis-py cannot read.
    """
    patient = retries > PROMPT
    return Redis.from_url(
        url,
        decode_responses=text,
        retry=Retry(
            ExponentialWithJitterBackoff(base=_BACKOFF_BASE_SECONDS, cap=_BACKOFF_CAP_SECONDS),
            retries,
            (ConnectionError, TimeoutError) if patient else (ConnectionError,),
        ),
        health_check_interval=_HEALTH_CHECK_SECONDS,
        socket_timeout=_PATIENT_SECONDS if patient else _PROMPT_SECONDS,
        socket_connect_timeout=_CONNECT_TIMEOUT_SECONDS,
    )


def safe_url(url: str) -> str:
    """Return the URL without user name, password and query, for a log."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
