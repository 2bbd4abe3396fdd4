"""Running the exec plugin of a kubeconfig.

The Python client's own way of doing it lets a plugin that hangs live on, hangs itself on one that writes much to
stderr, and takes an empty token for a credential.
"""

import asyncio
import json
import os
import signal
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from worker.kubeconfig_rules import Unusable

SECONDS = 20.0


async def run(plugin: Mapping[str, Any]) -> dict[str, str]:
    """Return what the plugin answers, as the user entry of a kubeconfig.

    Raises Unusable, without any of the plugin's words: they may hold a token.
    """
    process = await _start(plugin)
    try:
        async with asyncio.timeout(SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        await _end(process)
        raise Unusable(f"its exec plugin did not finish within {SECONDS:.0f} s") from None
    except asyncio.CancelledError:
        await _end(process)
        raise
    if process.returncode:
        raise Unusable(f"its exec plugin ended with code {process.returncode}")
    return _credential(output, plugin.get("apiVersion"))


async def _start(plugin: Mapping[str, Any]) -> asyncio.subprocess.Process:
    version = plugin.get("apiVersion")
    told = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
    try:
        own = {str(item["name"]): str(item["value"]) for item in plugin.get("env") or ()}
        return await asyncio.create_subprocess_exec(
            plugin["command"],
            *(str(argument) for argument in plugin.get("args") or ()),
            env=os.environ | own | {"KUBERNETES_EXEC_INFO": json.dumps(told)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # so that it can be ended with all that it started
        )
    except OSError as error:
        raise Unusable(f"its exec plugin cannot be started ({error.strerror})") from None
    except (TypeError, KeyError, ValueError):
        raise Unusable("the args or env of its exec plugin are not as they should be") from None


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(TimeoutError):  # of a child in another session that holds the pipes open
        async with asyncio.timeout(1):
            await process.communicate()


def _credential(output: bytes, version: object) -> dict[str, str]:
    try:
        answer = json.loads(output)
    except ValueError:
        answer = None
    status = answer.get("status") if isinstance(answer, dict) else None
    if not isinstance(answer, dict) or not isinstance(status, dict):
        raise Unusable("its exec plugin does not answer with an ExecCredential")
    if answer.get("apiVersion") != version:
        raise Unusable("its exec plugin answers with another apiVersion than the kubeconfig names")
    token = str(status.get("token") or "").strip()
    if not (token.isascii() and token.isprintable()):
        raise Unusable("its exec plugin answers with a token that has characters no token has")
    user = {"token": token} if token else {}
    certificate, key = status.get("clientCertificateData"), status.get("clientKeyData")
    if certificate and key:  # both may come with a token: the server then takes the certificate
        user["client-certificate-data"] = b64encode(str(certificate).encode()).decode()
        user["client-key-data"] = b64encode(str(key).encode()).decode()
    if not user:
        raise Unusable("its exec plugin answers without a token or certificate")
    return user
