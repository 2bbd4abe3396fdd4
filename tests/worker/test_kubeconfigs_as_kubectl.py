"""A kubeconfig is served where kubectl is served, and refused where it is refused or where a page says so.

`make kubeconfigs CASES=300` asks more; SEED repeats a run.
"""

import asyncio
import os
import random
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import pytest

from controlplane.build import binaries
from tests.worker.kubeconfig_cases import Case, Cases
from tests.worker.kubeconfig_fronts import Fronts
from worker.faults import Call, Fault
from worker.kube import Connection, Request
from worker.kubeconfig_rules import Unusable
from worker.kubeconfigs import load

DRAWN = "KUBECONFIG_CASES" in os.environ
CASES = int(os.environ.get("KUBECONFIG_CASES") or 40)
SEED = int(
    os.environ.get("KUBECONFIG_SEED") or (random.SystemRandom().randrange(2**32) if DRAWN else 1)
)
SERVED = "served"
PROXIES = re.compile(r"(https?|all|no)_proxy", re.IGNORECASE)

# What docs/kubeconfigs.md refuses although kubectl goes on with it.
DOCUMENTED = (
    "insecure-skip-tls-verify is refused",
    "impersonation (",
    "auth-provider is not supported",
    "exec together with a token",
    "a client certificate needs its client key",
    "the server must be a URL without user name",
    "names a SOCKS proxy",
    "HTTPS_PROXY of the worker must be http:// or https://",
)
NOT_TRUSTED = "the server's certificate is not trusted"


def by_kubectl(kubectl: Path, case: Case, files: tuple[Path, ...]) -> str:
    """Return "served", or what kubectl says."""
    environment = {key: value for key, value in os.environ.items() if not PROXIES.fullmatch(key)}
    environment |= case.environment
    environment["KUBECONFIG"] = os.pathsep.join(map(str, files))
    done = subprocess.run(
        [kubectl, "--context=it", "--request-timeout=20s", "get", "--raw", "/version"],
        env=environment,
        cwd=case.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return SERVED if done.returncode == 0 else done.stderr.strip()[-400:]


async def by_us(case: Case, files: tuple[Path, ...], patch: pytest.MonkeyPatch) -> str:
    """Return "served", or what we say."""
    with patch.context() as ours:
        for name in [name for name in os.environ if PROXIES.fullmatch(name)]:
            ours.delenv(name)
        for name, value in case.environment.items():
            ours.setenv(name, value)
        contexts = load(files, ("*",), ("*",))
    if "it" not in contexts.usable:
        return contexts.broken.get("it") or " ".join(contexts.problems)
    connection = Connection(contexts.usable["it"], "test", 1)
    try:
        await connection.open()
        request = Request("GET", "/version", Call("reach", "version"), {})
        status, _, _ = await connection.exchange(request)
    except Unusable as error:
        return str(error)
    except Fault as fault:
        return str(fault)
    finally:
        await connection.close()
    return SERVED if status == 200 else f"status {status}"


def documented(case: Case, says: str) -> str:
    """Return what a page says of this refusal, "" if none does."""
    if says.endswith(NOT_TRUSTED) and case.pinned_before_what_is_no_issuer:
        return "the server's own certificate, before an issuer that is none"
    return next((reason for reason in DOCUMENTED if reason in says), "")


@pytest.fixture(scope="module")
def fronts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fronts]:
    with Fronts(tmp_path_factory.mktemp("fronts")) as running:
        yield running


@pytest.mark.timeout(1800)
def test_a_kubeconfig_is_served_where_kubectl_is_served(
    fronts: Fronts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubectl = binaries("kubectl")["kubectl"]
    cases = list(islice(Cases(SEED, fronts, tmp_path), CASES))
    files = [case.write() for case in cases]
    with ThreadPoolExecutor(2) as pool:
        theirs = list(
            pool.map(lambda pair: by_kubectl(kubectl, *pair), zip(cases, files, strict=True))
        )

    async def judge() -> list[str]:
        return [await by_us(case, own, monkeypatch) for case, own in zip(cases, files, strict=True)]

    kinds: Counter[str] = Counter()
    wrong: list[str] = []
    for case, kubectl_says, we_say in zip(cases, theirs, asyncio.run(judge()), strict=True):
        if (kubectl_says == SERVED) == (we_say == SERVED):
            kinds["served by both" if we_say == SERVED else "refused by both"] += 1
        elif kubectl_says == SERVED and (reason := documented(case, we_say)):
            kinds[f"refused by us alone: {reason}"] += 1
        else:
            wrong.append(
                f"{case.folder.name}: {case.told}\n    kubectl: {kubectl_says}\n    we: {we_say}"
            )

    print(f"\n{CASES} kubeconfigs, seed {SEED}, {len(wrong)} differences that no page names")  # noqa: T201
    for name, number in kinds.most_common():
        print(f"  {number:5}  {name}")  # noqa: T201
    assert not wrong, f"SEED={SEED}\n" + "\n".join(wrong)
    assert kinds["served by both"] > 0.15 * CASES
    assert kinds["refused by both"] > 0.15 * CASES
