"""Our matching of images and Secrets is the kubelet's: no difference in thousands of generated cases.

`make oracle CASES=50000` asks more; SEED repeats a run.
"""

import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pytest

from controlplane.build import binaries
from remediation.docker_config import SECRET_KEY, SECRET_TYPE
from remediation.image import InvalidReference, parse_image
from remediation.readiness import keyring as own_keyring
from remediation.readiness.keyring import Match, SecretState, lookup, read_secret
from remediation.readiness.target import parse_target
from remediation.registry_key import Location, location
from tests.remediation.readiness.cases import Case, Cases, Secret
from tests.remediation.readiness.oracle import Answer, ask

CASES = int(os.environ.get("ORACLE_CASES") or 2000)
# The tests of every change compare the same cases; `make oracle` draws others unless told.
USUAL_SEED = 1
DRAWN = "ORACLE_CASES" in os.environ
SEED = int(
    os.environ.get("ORACLE_SEED")
    or (random.SystemRandom().randrange(2**32) if DRAWN else USUAL_SEED)
)
BATCH = 5000
DATA_KEY = {
    "kubernetes.io/dockerconfigjson": ".dockerconfigjson",
    "kubernetes.io/dockercfg": ".dockercfg",
}


@dataclass(frozen=True)
class Ours:
    """Our answer: the same as the kubelet's, with the keys that matched."""

    repository: str
    matches: tuple[Match, ...]
    error: str


def ours(case: Case) -> Ours:
    """Return what our own code says."""
    try:
        repository = parse_image(case.image).repository
    except InvalidReference:
        return Ours("", (), "image")
    secrets = [
        read_secret(secret.type, secret.data.get(DATA_KEY.get(secret.type, ""), b""))
        for secret in case.secrets
    ]
    if any(secret.state is SecretState.MALFORMED for secret in secrets):
        return Ours(repository, (), "secrets")
    return Ours(repository, lookup(secrets, repository), "")


def same(mine: Ours, kubelet: Answer) -> bool:
    """Tell whether both try the same logins in the same order.

    Within one key of one Secret the kubelet's order is that of a Go map: different at every pull.
    """
    if (mine.repository, mine.error, len(mine.matches)) != (
        kubelet.repository,
        kubelet.error,
        len(kubelet.matches),
    ):
        return False
    at = 0
    for (_, number), group in groupby(mine.matches, key=lambda match: (match.key, match.secret)):
        alike = [match.login for match in group]
        theirs = kubelet.matches[at : at + len(alike)]
        if {secret for secret, _ in theirs} != {number}:
            return False
        if Counter(alike) != Counter(login for _, login in theirs):
            return False
        at += len(alike)
    return True


def kind(kubelet: Answer) -> str:
    """Return what sort of an answer it is."""
    if kubelet.error:
        return f"no pull: {kubelet.error}"
    secrets = {secret for secret, _ in kubelet.matches}
    return f"{min(len(kubelet.matches), 3)} logins of {min(len(secrets), 2)} Secrets"


@pytest.fixture(scope="module")
def keyring() -> Path:
    return binaries("keyring")["keyring"]


def answered(keyring: Path, seed: int, number: int) -> Iterator[tuple[Case, Answer]]:
    """Yield generated cases with the kubelet's answers."""
    cases = Cases(seed)
    for start in range(0, number, BATCH):
        batch = [next(cases) for _ in range(min(BATCH, number - start))]
        yield from zip(batch, ask(keyring, batch), strict=True)


@pytest.mark.timeout(3600)
def test_no_difference_to_the_kubelet(keyring: Path) -> None:
    kinds: Counter[str] = Counter()
    for case, answer in answered(keyring, SEED, CASES):
        kinds[kind(answer)] += 1
        assert same(ours(case), answer), f"SEED={SEED}: {case}\n{answer}\n{ours(case)}"

    print(f"\n{CASES} cases, seed {SEED}, no difference")  # noqa: T201
    for name, number in kinds.most_common():
        print(f"  {number / CASES:6.1%}  {name}")  # noqa: T201
    matched = sum(number for name, number in kinds.items() if "logins" in name and name[0] != "0")
    # Cases that nothing matches show nothing: most have to be of the telling sorts.
    assert matched > 0.3 * CASES
    assert kinds["no pull: secrets"] > 0.05 * CASES
    assert kinds["no pull: image"] > 0.02 * CASES


SPELLINGS = (
    *("r.example.com", "r.example.com:443", "r.example.com:0443", "R.example.com"),
    *("[::1]:5000", "[0:0::1]:5000", "[::1]:05000", "127.0.0.1:5000", "127.1:5000"),
)


def test_spellings_of_one_host_are_one_registry_and_other_keys(keyring: Path) -> None:
    cases = [
        Case(f"{host}/team/app:1", (Secret(SECRET_TYPE, {SECRET_KEY: _config(key)}),))
        for host in SPELLINGS
        for key in SPELLINGS
    ]

    for case, answer in zip(cases, ask(keyring, cases), strict=True):
        assert same(ours(case), answer), case
    matched = sum(bool(ours(case).matches) for case in cases)
    assert matched == len(SPELLINGS), "each key matches its own spelling only"
    assert {str(parse_target(host.lower())) for host in SPELLINGS} == {
        *("r.example.com", "[::1]:5000", "127.0.0.1:5000")
    }


def _config(key: str) -> bytes:
    return json.dumps({"auths": {key: {"username": "u", "password": "p"}}}).encode()


def covers(port: bool = True, labels: bool = True, path: bool = True) -> Callable[[str, str], bool]:
    """Return the rule of matching, with parts of it left out."""

    def matches(effective: str, repository: str) -> bool:
        key, image = location(effective), location(repository)
        if key is None or image is None:
            return False
        kept = key.labels if labels else image.labels
        return Location(
            kept, key.port if port else image.port, key.path if path else image.path
        ).covers(image)

    return matches


def bounded(effective: str, repository: str) -> bool:
    """Match paths at a slash only, as anyone would expect."""
    key, image = location(effective), location(repository)
    whole = f"{image.path}/" if image else ""
    return covers()(effective, repository) and bool(
        key and whole.startswith(f"{key.path.rstrip('/')}/")
    )


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("matches", covers(port=False)),
        ("matches", covers(labels=False)),
        ("matches", covers(path=False)),
        ("matches", bounded),
        ("matches", lambda effective, repository: repository.startswith(effective)),
        ("is_docker_hub", lambda repository: False),
        ("is_docker_hub", lambda repository: repository.startswith("docker.io/")),
        ("effective_key", lambda key: key),
        ("_bytes_of_key", lambda match: -match.secret),
        ("LEGACY_TYPE", "Opaque"),
        ("kubelet_logins", lambda content, legacy: ()),
    ],
    # Not by what stands there: the address of a function differs from process to process.
    ids=lambda value: value if isinstance(value, str) else "broken",
)
def test_a_rule_of_ours_that_is_wrong_is_noticed(
    keyring: Path, monkeypatch: pytest.MonkeyPatch, name: str, broken: object
) -> None:
    cases = list(answered(keyring, 1, 2000))
    assert all(same(ours(case), answer) for case, answer in cases)

    monkeypatch.setattr(own_keyring, name, broken)

    assert not all(same(ours(case), answer) for case, answer in cases)
