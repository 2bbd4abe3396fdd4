"""The addresses in a kubeconfig: of the API server, of the proxy on the way to it, and the name it is known by."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from yarl import URL

from network.proxy import environment_proxy
from worker.kubeconfig_unusable import Unusable

_SERVER_NAME = re.compile(r"[A-Za-z0-9_*][A-Za-z0-9_*.-]*|\[?[0-9A-Fa-f:.]+\]?")
_LOGIN_MARKS = 2


def check_server(server: object) -> str:
    """Return the URL of the API server without a slash at its end. Raises Unusable."""
    if not isinstance(server, str) or not server:
        raise Unusable("the cluster names no server: write https://HOST:PORT")
    scheme, separator, rest = server.partition("://")
    if not separator:
        raise Unusable("the server is no URL: write https://HOST:PORT, an https:// URL")
    if scheme.lower() != "https":
        raise Unusable("the server must be an https:// URL")
    if any(sign in server for sign in "@?#"):
        raise Unusable("the server must be a URL without user name, password, query and fragment")
    url = f"https://{rest}".rstrip("/")
    if not _is_sound(url):
        raise Unusable("the server must be an https:// URL: write https://HOST:PORT")
    return url


def check_server_name(name: object) -> None:
    """Raise Unusable unless a certificate can be issued for this tls-server-name."""
    if name and not (isinstance(name, str) and _SERVER_NAME.fullmatch(name)):
        raise Unusable(
            "tls-server-name must be a host name or an IP address, without scheme and port"
        )


def proxy_of(cluster: Mapping[str, Any], server: str, environment: Mapping[str, str]) -> str | None:
    """Return the proxy on the way to the server, as kubectl takes it: proxy-url, else HTTPS_PROXY unless NO_PROXY
    spares the server.

    Raises Unusable.
    """
    named = cluster.get("proxy-url")
    proxy = named or environment_proxy(environment, server)
    if not proxy:
        return None
    what = "proxy-url" if named else "HTTPS_PROXY of the worker"
    scheme = str(proxy).partition("://")[0].lower()
    if scheme.startswith("socks"):
        raise Unusable(f"{what} names a SOCKS proxy, which is not supported: name an HTTP proxy")
    if scheme not in ("http", "https"):
        raise Unusable(f"{what} must be http:// or https://")
    if not _is_sound(str(proxy)) or str(proxy).count("@") >= _LOGIN_MARKS:
        raise Unusable(
            f"{what} must be a URL such as http://USER:PASSWORD@HOST:PORT, with user and password percent-encoded"
        )
    return str(proxy)


def _is_sound(url: str) -> bool:
    """Tell whether a URL can be called: it has a host and a port that can be one, and no blanks."""
    if not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and _has_port(parts) and bool(URL(url).host)
    except ValueError:
        return False


def _has_port(parts: SplitResult) -> bool:
    return parts.port is None or parts.port > 0
