"""Going to a registry by way of a proxy, and what it means when that fails."""

from typing import Any

import aiohttp

from remediation.registry.proxy import Proxy
from remediation.registry.verdict import Judgement, Verdict

_WANTS_LOGIN = 407
_CANNOT_CONNECT = (502, 503, 504)


def proxy_options(proxy: Proxy | None) -> dict[str, Any]:
    """Return what a request says of the proxy."""
    if proxy is None:
        return {}
    options: dict[str, Any] = {"proxy": proxy.url}
    if proxy.username is not None:
        login = aiohttp.encode_basic_auth(proxy.username, proxy.password)
        options["proxy_headers"] = {"Proxy-Authorization": login}
    return options


def through_proxy(error: Exception, proxy: Proxy | None) -> Judgement | None:
    """Return the verdict on an exchange that the proxy made fail, None for another failure."""
    if proxy is None:
        return None
    what = f"the proxy {proxy.name}"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return _refused(error.status, what, proxy)
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        why = getattr(error, "strerror", None) or type(error.os_error).__name__
        return Judgement(
            Verdict.UNREACHABLE,
            f"no connection to {what} ({why})",
            f"check the address in {proxy.named_by}",
        )
    return None


def _refused(status: int, what: str, proxy: Proxy) -> Judgement:
    if status == _WANTS_LOGIN:
        wanted = "wants a login" if proxy.username is None else "refuses the login that it gets"
        return Judgement(
            Verdict.PROXY_REFUSED,
            f"{what} {wanted} (407)",
            f"write it into {proxy.named_by} as 'http://USER:PASSWORD@HOST:PORT', percent-encoded",
        )
    if status in _CANNOT_CONNECT:
        return Judgement(
            Verdict.UNREACHABLE,
            f"{what} cannot reach the registry ({status})",
            "check the name of the registry, and whether the proxy leads there; NO_PROXY of the worker spares hosts",
        )
    return Judgement(
        Verdict.PROXY_REFUSED,
        f"{what} does not let through to the registry ({status})",
        "allow the registry in the proxy, or spare it with NO_PROXY of the worker",
    )
