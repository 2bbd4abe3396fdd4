"""What an exec plugin answers, judged as client-go judges it."""

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

from worker.kubeconfig_rules import Unusable

_VERSION = re.compile(r"client\.authentication\.k8s\.io/v[a-z0-9]{1,16}")


def credential_of(output: bytes, version: object) -> dict[str, str]:
    """Return the answer as the user entry of a kubeconfig; `version` is the one that was asked for.

    Raises Unusable with what follows "its exec plugin 'x'", and never with any of the answer.
    """
    status = _status(output, version)
    token = _text(status, "token").strip()
    if not (token.isascii() and token.isprintable()):
        raise Unusable("answers with a token that has characters no token has")
    user = {"token": token} if token else {}
    certificate, key = _text(status, "clientCertificateData"), _text(status, "clientKeyData")
    if bool(certificate) != bool(key):
        raise Unusable("answers with a certificate without its key, or the other way round")
    if certificate:  # both may come with a token: the server then takes the certificate
        user["client-certificate-data"] = b64encode(certificate.encode()).decode()
        user["client-key-data"] = b64encode(key.encode()).decode()
    if not user:
        raise Unusable("answers without a token or certificate")
    return user


def strings_in(output: bytes) -> Iterator[str]:
    """Yield the texts in an answer, whatever they mean: it is printed to hand over secrets."""
    try:
        document = json.loads(output)
    except (ValueError, RecursionError):
        # Each line: what was meant for a token may stand there alone.
        yield from output.decode(errors="replace").split()
        return
    status = document.get("status") if isinstance(document, dict) else document
    values = status.values() if isinstance(status, dict) else [status]
    for value in values:
        if isinstance(value, str):
            yield value
            yield from value.splitlines()


def _status(output: bytes, version: object) -> dict[str, Any]:
    if not output.strip():
        raise Unusable("prints nothing where an ExecCredential is expected")
    try:
        answer: Any = json.loads(output)
    except (ValueError, RecursionError):
        raise Unusable("does not answer with an ExecCredential: its output is not JSON") from None
    if not isinstance(answer, dict) or answer.get("kind") != "ExecCredential":
        raise Unusable("does not answer with an ExecCredential: it has another kind")
    found = answer.get("apiVersion")
    if found != version:
        raise Unusable(
            f"answers with another apiVersion ({_shown(found)}) than the kubeconfig names ({_shown(version)}): set "
            "apiVersion of its exec entry to what the plugin speaks"
        )
    status = answer.get("status")
    if not isinstance(status, dict):
        raise Unusable("does not answer with an ExecCredential: it has no status")
    return status


def _text(status: dict[str, Any], name: str) -> str:
    value = status.get(name)
    if value is not None and not isinstance(value, str):
        raise Unusable(f"answers with a {name} that is not a text")
    return value or ""


def _shown(version: object) -> str:
    if version is None:
        return "none"
    known = isinstance(version, str) and _VERSION.fullmatch(version)
    return f"{version}" if known else "an unknown one"
