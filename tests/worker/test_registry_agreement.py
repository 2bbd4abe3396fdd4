"""Our verdict on a registry and what containerd's own code makes of it: `works` only where it pulls.

`make challenges CASES=5000` draws more; SEED repeats a run.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import ssl
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pytest

from controlplane import pull
from controlplane.pull import Pull, Puller, PullRequest
from remediation.docker_config import Login
from remediation.registry.check import RepositoryProof
from remediation.registry.verdict import Verdict
from tests.worker.registry_behaviour import PASSWORD, USER, Behaviour, Stage, draw
from tests.worker.registry_lab import IMAGE
from worker import registry_http
from worker.registry import Prober

CASES = int(os.environ.get("CHALLENGES_CASES") or 80)
DRAWN = "CHALLENGES_CASES" in os.environ
SEED = int(
    os.environ.get("CHALLENGES_SEED") or (random.SystemRandom().randrange(2**32) if DRAWN else 11)
)
SIDE_BY_SIDE = 8
LOGIN = Login(USER, PASSWORD)


@dataclass(frozen=True)
class Outcome:
    """What we say, and how containerd fares with the login and without one."""

    behaviour: Behaviour
    proof: RepositoryProof
    node: Pull
    stranger: Pull

    @property
    def verdict(self) -> Verdict:
        return self.proof.verdict

    @property
    def pulls(self) -> bool:
        """Whether a node has the image: containerd 2.2 takes an error page without a digest for an empty image."""
        return self.node.ok and self.node.digest == IMAGE.digest

    @property
    def open(self) -> bool:
        """Whether a node has it without a login."""
        return self.stranger.ok and self.stranger.digest == IMAGE.digest

    @property
    def optimistic(self) -> str:
        """Why our verdict is better than the truth, "" if it is not."""
        if self.verdict is Verdict.WORKS and not self.pulls:
            return "works, but no node pulls"
        if self.verdict is Verdict.WORKS and self.open:
            return "works, but everybody pulls"
        goes_on = not self.verdict.refuses
        if goes_on and self.open and not self.pulls:
            return f"{self.verdict}, but the login takes the pull away"
        return ""

    @property
    def difference(self) -> str:
        """What is worse in our verdict than in truth, with the reason, "" for nothing."""
        if not self.pulls or self.verdict in (Verdict.WORKS, Verdict.NOT_PROVEN_PUBLIC):
            return ""
        detail = re.sub(
            r"(?:127\.0\.0\.1|localhost):\d+(?:/\S*)?", "HOST", self.proof.judgement.detail
        )
        return f"{self.verdict}: {detail}"


@pytest.fixture(scope="module", autouse=True)
def _one_trust(stage: Stage) -> Iterator[None]:
    """Trust storage alone, and make that once: hundreds of probers are made."""
    context = ssl.create_default_context(cafile=stage.ca)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry_http, "_trust", lambda _: context)
        yield


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage.open() as opened:
        yield opened


@pytest.fixture(scope="module")
def puller(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Puller]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(stage.ca))  # storage has TLS
        running = Puller.start(tmp_path_factory.mktemp("puller"))
    with running:
        yield running


def outcomes(stage: Stage, puller: Puller, behaviours: Sequence[Behaviour]) -> list[Outcome]:
    """Judge all and pull from all."""
    start = len(stage.behaviours)
    names = []
    for number, behaviour in enumerate(behaviours, start):
        name = f"case{number}"
        names.append(name)
        stage.behaviours |= {f"{who}-{name}": behaviour for who in ("ours", "node", "stranger")}
    host = stage.registry.host
    secret = pull.Login(USER, PASSWORD)
    pulls = puller.pull(
        [
            PullRequest(f"{host}/{who}-{name}/app:1", logins, plain_http=True)
            for name in names
            for who, logins in (("node", (secret,)), ("stranger", ()))
        ]
    )
    proofs = asyncio.run(_prove(stage, names))
    return [
        Outcome(behaviour, proof, node, stranger)
        for behaviour, proof, node, stranger in zip(
            behaviours, proofs, pulls[::2], pulls[1::2], strict=True
        )
    ]


async def _prove(stage: Stage, names: Sequence[str]) -> list[RepositoryProof]:
    slots = asyncio.Semaphore(SIDE_BY_SIDE)

    async def one(name: str) -> RepositoryProof:
        rules = stage.rules(stage.behaviours[f"ours-{name}"])
        async with slots, Prober(stage.registry.host, rules, "tests") as prober:
            return (await prober.prove([(f"ours-{name}/app", "1")], LOGIN))[0]

    return await asyncio.gather(*map(one, names))


def test_no_verdict_on_random_registries_is_better_than_the_truth(
    stage: Stage, puller: Puller
) -> None:
    random_ = random.Random(SEED)
    found = outcomes(stage, puller, [draw(random_) for _ in range(CASES)])

    verdicts = Counter((str(each.verdict), each.pulls) for each in found)
    worse = Counter(each.difference for each in found if each.difference)
    sys.stdout.write(f"\nchallenges: {CASES} registries, seed {SEED}\n")
    for (verdict, pulls), count in sorted(verdicts.items()):
        sys.stdout.write(f"  {count:5} {verdict}, {'pulls' if pulls else 'does not pull'}\n")
    for text, count in worse.most_common():
        sys.stdout.write(f"  {count:5} worse than the truth: {text}\n")
    wrong = [
        f"{each.optimistic}: {each.behaviour} {each.proof} {each.node}"
        for each in found
        if each.optimistic
    ]
    assert not wrong, "\n".join(wrong)
    denied = [
        f"{each.behaviour} {each.proof}"
        for each in found
        if each.pulls and each.verdict is Verdict.DENIED
    ]
    assert not denied, "\n".join(denied)
    assert verdicts[("works", True)] > CASES / 20


def judged(stage: Stage, puller: Puller, behaviour: Behaviour) -> tuple[Verdict, bool]:
    """Return our verdict, and whether containerd pulls with the login."""
    [found] = outcomes(stage, puller, [behaviour])
    assert not found.optimistic
    return found.verdict, found.pulls


BASIC, BEARER = 'Basic realm="lab"', 'Bearer realm="{realm}",service="lab",scope="{scope}"'
BASIC_ONLY = Behaviour(challenge=(BASIC,), takes=("basic",))
TOKENS = Behaviour()
TOKENS_ONLY = ("bearer",)


class TestChallenge:
    """K01: containerd takes the first challenge of each line, and tokens before passwords."""

    @pytest.mark.parametrize(
        ("lines", "takes", "expected"),
        [
            ((f"Negotiate, {BASIC}",), ("basic",), (Verdict.NOT_A_REGISTRY, False)),
            (("Negotiate", BASIC), ("basic",), (Verdict.WORKS, True)),
            (('Digest realm="d", nonce="n"', BASIC), ("basic",), (Verdict.WORKS, True)),
            ((f"{BASIC}, {BEARER}",), TOKENS_ONLY, (Verdict.WRONG_CREDENTIAL, False)),
            ((BASIC, BEARER), TOKENS_ONLY, (Verdict.WORKS, True)),
            ((f"{BEARER}, {BASIC}",), TOKENS_ONLY, (Verdict.WORKS, True)),
            ((BASIC, BEARER), ("basic",), (Verdict.DENIED, False)),
            (('Bearer realm = "{realm}"',), TOKENS_ONLY, (Verdict.REFUSED_BY_RULES, False)),
        ],
    )
    def test_the_one_that_nodes_take_decides(
        self,
        stage: Stage,
        puller: Puller,
        lines: tuple[str, ...],
        takes: tuple[str, ...],
        expected: tuple[Verdict, bool],
    ) -> None:
        assert judged(stage, puller, Behaviour(challenge=lines, takes=takes)) == expected

    def test_one_that_changes_after_the_token_is_answered_as_nodes_do(
        self, stage: Stage, puller: Puller
    ) -> None:
        behaviour = Behaviour(takes=("basic",), after=BASIC)

        assert judged(stage, puller, behaviour) == (Verdict.WORKS, True)


class TestLimit:
    """K15: a login that lifts the limit on anonymous pulls may be written."""

    @pytest.mark.parametrize("status", [429, 500])
    def test_a_token_that_is_limited_without_the_login(
        self, stage: Stage, puller: Puller, status: int
    ) -> None:
        behaviour = Behaviour(anonymous=status)

        assert judged(stage, puller, behaviour) == (Verdict.NOT_PROVEN_PUBLIC, True)

    def test_a_manifest_that_is_limited_without_the_login(
        self, stage: Stage, puller: Puller
    ) -> None:
        [found] = outcomes(stage, puller, [Behaviour(limited=429)])

        assert (found.verdict, found.pulls) == (Verdict.NOT_PROVEN_PUBLIC, True)
        assert "without a login the registry limits pulls (429)" in found.proof.judgement.detail
        assert not found.verdict.refuses

    def test_a_wrong_login_lifts_nothing(self, stage: Stage, puller: Puller) -> None:
        behaviour = Behaviour(limited=429, password="another")

        assert judged(stage, puller, behaviour) == (Verdict.WRONG_CREDENTIAL, False)

    def test_a_limit_before_any_challenge_stops_nodes_as_well(
        self, stage: Stage, puller: Puller
    ) -> None:
        [found] = outcomes(stage, puller, [replace(BASIC_ONLY, first=429)])

        assert (found.verdict, found.pulls) == (Verdict.BUSY, False)
        assert "before it asks for a login" in found.proof.judgement.detail

    def test_the_limit_of_the_login_itself_is_told(self, stage: Stage, puller: Puller) -> None:
        [found] = outcomes(stage, puller, [replace(TOKENS, served={"head": 429})])

        assert (found.verdict, found.pulls) == (Verdict.BUSY, False)
        assert "with the login" in found.proof.judgement.detail

    def test_one_that_was_busy_before_it_named_an_error_stops_nodes(
        self, stage: Stage, puller: Puller
    ) -> None:
        behaviour = Behaviour(challenge=(f'{BEARER},error="invalid_token"',), busy=1)

        assert judged(stage, puller, behaviour) == (Verdict.BUSY, False)


class TestRedirect:
    """K16: manifests come from another host, which asks for the login itself."""

    INNER = Behaviour(challenge=(BASIC,), takes=("basic",), hop=(301, "all", "host", "basic"))

    def test_a_host_that_the_operator_names_gets_the_login(
        self, stage: Stage, puller: Puller
    ) -> None:
        assert judged(stage, puller, self.INNER) == (Verdict.WORKS, True)

    @pytest.mark.parametrize("asks", ["the same", "basic", "nothing"])
    def test_by_token_too(self, stage: Stage, puller: Puller, asks: str) -> None:
        behaviour = replace(TOKENS, hop=(307, "all", "host", asks))
        verdict = Verdict.NOT_PROVEN_PUBLIC if asks == "nothing" else Verdict.WORKS

        assert judged(stage, puller, behaviour) == (verdict, True)

    def test_a_wrong_login_is_wrong_there(self, stage: Stage, puller: Puller) -> None:
        behaviour = replace(self.INNER, password="another")

        assert judged(stage, puller, behaviour) == (Verdict.WRONG_CREDENTIAL, False)


class TestBlob:
    """What the manifest names comes from storage elsewhere, or is something else."""

    def test_a_page_instead_of_a_blob_is_no_image(self, stage: Stage, puller: Puller) -> None:
        # Without a login everything is 200 and empty, and only manifests lead to where one is asked for.
        behaviour = replace(BASIC_ONLY, first=200, hop=(301, "get", "host", "basic"))

        assert judged(stage, puller, behaviour) == (Verdict.NOT_A_REGISTRY, False)


class TestStorage:
    """Blobs come from storage elsewhere, with TLS; the address is signed, and no login belongs there."""

    @pytest.mark.parametrize(
        ("where", "asks", "expected"),
        [
            ("storage", "no login at all", (Verdict.WORKS, True)),
            ("storage", "401", (Verdict.UNREACHABLE, False)),
            ("storage", "403", (Verdict.UNREACHABLE, False)),
            ("storage", "404", (Verdict.UNREACHABLE, False)),
            ("storage", "500", (Verdict.UNREACHABLE, False)),
            ("storage", "a page", (Verdict.NOT_A_REGISTRY, False)),
            ("strange", "nothing", (Verdict.UNREACHABLE, False)),
            # Nodes take the login along, whatever the port.
            ("storage port", "no login at all", (Verdict.REFUSED_BY_RULES, False)),
        ],
    )
    @pytest.mark.parametrize("registry", [BASIC_ONLY, TOKENS], ids=["basic", "tokens"])
    def test_works_where_nodes_have_it_from_there(
        self,
        stage: Stage,
        puller: Puller,
        registry: Behaviour,
        where: str,
        asks: str,
        expected: tuple[Verdict, bool],
    ) -> None:
        behaviour = replace(registry, hop=(307, "blob", where, asks))

        assert judged(stage, puller, behaviour) == expected

    def test_one_that_misses_a_blob_says_nothing_of_other_repositories(self, stage: Stage) -> None:
        stage.behaviours["whole"] = BASIC_ONLY
        stage.behaviours["broken"] = replace(BASIC_ONLY, hop=(307, "blob", "storage", "404"))

        async def ask() -> tuple[RepositoryProof, ...]:
            async with Prober(stage.registry.host, stage.rules(BASIC_ONLY), "tests") as prober:
                return await prober.prove([("broken/app", "1"), ("whole/app", "1")], LOGIN)

        broken, whole = asyncio.run(ask())
        assert (broken.verdict, whole.verdict) == (Verdict.UNREACHABLE, Verdict.WORKS)
        assert stage.storage.host.replace("127.0.0.1", "localhost") in broken.judgement.detail


class TestHidden:
    """Registries that answer 404 to strangers."""

    DOOR = Behaviour(challenge=(BASIC,), takes=("basic",), first=404)

    def test_nodes_that_are_not_asked_for_a_login_send_none(
        self, stage: Stage, puller: Puller
    ) -> None:
        [found] = outcomes(stage, puller, [self.DOOR])

        assert (found.verdict, found.pulls) == (Verdict.HIDDEN, False)
        assert found.verdict.refuses
        assert "CRI-O can" in found.proof.judgement.detail
        assert "401 with a challenge" in found.proof.judgement.hint

    def test_what_the_login_does_not_see_either_may_not_be_there(
        self, stage: Stage, puller: Puller
    ) -> None:
        behaviour = replace(self.DOOR, served={"head": 404})

        verdict = judged(stage, puller, behaviour)
        assert verdict == (Verdict.ACCEPTED_NO_SUCH_IMAGE, False)

    def test_a_wrong_login_is_wrong(self, stage: Stage, puller: Puller) -> None:
        # The front door of this stand-in looks at the user only.
        assert judged(stage, puller, replace(self.DOOR, password="another")) == (
            Verdict.DENIED,
            False,
        )

    def test_one_that_asks_and_hides_from_strangers_only_is_private(
        self, stage: Stage, puller: Puller
    ) -> None:
        assert judged(stage, puller, replace(TOKENS, limited=404)) == (Verdict.WORKS, True)


class TestToken:
    """K17: the token endpoint is asked as containerd asks."""

    @pytest.mark.parametrize("status", [400, 401, 404, 405])
    def test_a_get_follows_what_says_that_there_is_no_password_grant(
        self, stage: Stage, puller: Puller, status: int
    ) -> None:
        assert judged(stage, puller, replace(TOKENS, post=status)) == (Verdict.WORKS, True)

    @pytest.mark.parametrize("status", [403, 422, 501])
    def test_nothing_follows_another_refusal(
        self, stage: Stage, puller: Puller, status: int
    ) -> None:
        [found] = outcomes(stage, puller, [replace(TOKENS, post=status)])

        assert found.verdict is (Verdict.UNREACHABLE if status > 500 else Verdict.DENIED)
        assert not found.pulls
        if status < 500:
            assert "nodes with CRI-O can" in found.proof.judgement.detail

    @pytest.mark.parametrize(
        ("answer", "expected"),
        [
            ('{"access_token": {token}}', (Verdict.WORKS, True)),
            ('{"token": {token}}', (Verdict.NOT_A_REGISTRY, False)),
            ('{"access_token": {token}, "expires_in": "300"}', (Verdict.NOT_A_REGISTRY, False)),
        ],
    )
    def test_the_answer_is_read_as_nodes_read_it(
        self, stage: Stage, puller: Puller, answer: str, expected: tuple[Verdict, bool]
    ) -> None:
        assert judged(stage, puller, replace(TOKENS, post_answer=answer)) == expected

    def test_the_query_of_the_realm_is_kept(self, stage: Stage, puller: Puller) -> None:
        behaviour = replace(TOKENS, realm="{tokens}/token/{name}?service=a", post=405)

        assert judged(stage, puller, behaviour) == (Verdict.WORKS, True)


class TestScope:
    """K18: the scopes of challenge and path are asked for together."""

    OTHER = "repository:other/app:pull"

    def test_a_registry_that_knows_the_repository_by_another_name(
        self, stage: Stage, puller: Puller
    ) -> None:
        behaviour = replace(TOKENS, scope=self.OTHER, needs=self.OTHER)

        assert judged(stage, puller, behaviour) == (Verdict.WORKS, True)

    def test_an_endpoint_that_refuses_the_second_scope(self, stage: Stage, puller: Puller) -> None:
        behaviour = replace(TOKENS, scope=self.OTHER, needs=self.OTHER, knows=(self.OTHER,))

        assert judged(stage, puller, behaviour) == (Verdict.DENIED, False)


class TestStages:
    @pytest.mark.parametrize("stage_", ["get", "blob"])
    @pytest.mark.parametrize(
        ("status", "verdict"),
        [(403, Verdict.DENIED), (404, Verdict.ACCEPTED_NO_SUCH_IMAGE), (502, Verdict.UNREACHABLE)],
    )
    def test_a_manifest_that_can_only_be_looked_at_is_no_pull(
        self, stage: Stage, puller: Puller, stage_: str, status: int, verdict: Verdict
    ) -> None:
        assert judged(stage, puller, replace(TOKENS, served={stage_: status})) == (verdict, False)

    def test_a_login_that_takes_away_what_everybody_may_pull_is_not_written(
        self, stage: Stage, puller: Puller
    ) -> None:
        behaviour = replace(TOKENS, open_by_token=True, served={"head": 403})

        assert judged(stage, puller, behaviour) == (Verdict.DENIED, False)


class TestCriO:
    """K17: nodes with CRI-O ask the front door first, and for tokens by GET."""

    def judged(
        self, stage: Stage, behaviour: Behaviour, door: tuple[str, ...], *runtimes: str
    ) -> RepositoryProof:
        name = f"crio{len(stage.behaviours)}"
        stage.behaviours[name] = behaviour
        realm = behaviour.realm.format(tokens=stage.tokens.url, name=name)

        async def ask() -> RepositoryProof:
            host, rules = stage.registry.host, stage.rules(behaviour)
            async with Prober(host, rules, "tests", runtimes=runtimes) as prober:
                return (await prober.prove([(f"{name}/app", "1")], LOGIN))[0]

        before = stage.door
        stage.door = tuple(line.format(realm=realm, scope="") for line in door)
        try:
            return asyncio.run(ask())
        finally:
            stage.door = before

    @pytest.mark.parametrize(
        ("runtimes", "verdict"),
        [
            ((), Verdict.DENIED),
            (("containerd",), Verdict.DENIED),
            (("cri-o", "containerd"), Verdict.DENIED),
            (("cri-o",), Verdict.WORKS),
        ],
    )
    def test_a_post_that_is_forbidden_stops_containerd_only(
        self, stage: Stage, runtimes: tuple[str, ...], verdict: Verdict
    ) -> None:
        proof = self.judged(stage, replace(TOKENS, post=403), (BEARER,), *runtimes)

        assert proof.verdict is verdict

    def test_a_wrong_login_does_not_work_there_either(self, stage: Stage) -> None:
        behaviour = replace(TOKENS, post=403, password="another")

        assert self.judged(stage, behaviour, (BEARER,), "cri-o").verdict is not Verdict.WORKS

    @pytest.mark.parametrize(
        ("door", "verdict"),
        [((), Verdict.DENIED), ((BASIC, BEARER), Verdict.DENIED), ((BEARER,), Verdict.WORKS)],
    )
    def test_the_front_door_decides_for_it(
        self, stage: Stage, door: tuple[str, ...], verdict: Verdict
    ) -> None:
        proof = self.judged(stage, TOKENS, door, "cri-o", "containerd")

        assert proof.verdict is verdict
        if verdict is Verdict.DENIED:
            assert "nodes with containerd can pull, but nodes with CRI-O cannot" in (
                proof.judgement.detail
            )
        assert self.judged(stage, TOKENS, door, "containerd").verdict is Verdict.WORKS

    @pytest.mark.parametrize("runtimes", [("cri-o",), ("cri-o", "containerd")])
    def test_a_blob_that_is_refused_stops_it_too(
        self, stage: Stage, runtimes: tuple[str, ...]
    ) -> None:
        behaviour = replace(TOKENS, post=403 if len(runtimes) == 1 else 200, served={"blob": 403})

        assert self.judged(stage, behaviour, (BEARER,), *runtimes).verdict is Verdict.DENIED

    def test_a_scope_of_another_name_is_not_asked_for_by_it(self, stage: Stage) -> None:
        other = "repository:other/app:pull"
        behaviour = replace(TOKENS, scope=other, needs=other)

        assert self.judged(stage, behaviour, (BEARER,), "containerd").verdict is Verdict.WORKS
        assert self.judged(stage, behaviour, (BEARER,), "cri-o").verdict is Verdict.DENIED
