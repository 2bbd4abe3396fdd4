"""Small answers of other servers: within a time, up to a size, and never by way of a redirect."""

import time
from typing import Any

import httpx

SECONDS = 5.0
_MOST_BYTES = 1024 * 1024


class FetchError(Exception):
    """There is no usable answer; the message is one line without anything that was sent."""


def fetch(client: httpx.Client, method: str, url: str, **request: Any) -> bytes:
    """Return the body of a successful answer. Raises FetchError."""
    deadline = time.monotonic() + SECONDS
    body = b""
    try:
        with client.stream(method, url, **request) as answer:
            if not answer.is_success:
                raise FetchError(f"it answers with {answer.status_code}")
            for part in answer.iter_bytes():
                body += part
                if len(body) > _MOST_BYTES:
                    raise FetchError(f"its answer is larger than {_MOST_BYTES} bytes")
                if time.monotonic() > deadline:
                    raise FetchError(f"its answer takes longer than {SECONDS:.0f} s")
    except httpx.ProxyError as error:
        wants_login = str(error).startswith("407")
        raise FetchError(
            "the proxy wants a login (407): set HTTPS_PROXY to http://USER:PASSWORD@HOST:PORT"
            if wants_login
            else "the proxy of HTTPS_PROXY does not connect to it"
        ) from None
    except httpx.HTTPError as error:
        # No text of the exception: it may quote headers.
        raise FetchError(f"it does not answer ({type(error).__name__})") from None
    return body
