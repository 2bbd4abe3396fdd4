"""Findings about the registry: does it give every repository in use to the credential?"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from remediation.readiness.call import Call
from remediation.readiness.coverage import Proofs, Wanted
from remediation.readiness.finding import FindingClass, Severity
from remediation.readiness.proof import (
    Level,
    RegistryProof,
    level_of,
    refused,
)
from remediation.registry.verdict import Verdict as RegistryVerdict

_NO_ANSWER = "nobody asked the registry"
_WHAT_IT_MEANS = {
    RegistryVerdict.WRONG_CREDENTIAL: "the registry refuses the login itself",
    RegistryVerdict.ACCEPTED_NO_RIGHT: "the login is right and has no right to pull it",
    RegistryVerdict.DENIED: "the registry refuses it without saying why",
    RegistryVerdict.HIDDEN: "the registry answers 404 instead of asking for a login, so that nodes with containerd"
    " send none",
    RegistryVerdict.ACCEPTED_NO_SUCH_IMAGE: "the login is accepted, the image does not exist, so that the right"
    " is not shown",
    RegistryVerdict.NOT_PROVEN_PUBLIC: "the registry gives it to anyone now, which shows nothing about afterwards",
    RegistryVerdict.UNREACHABLE: "the registry could not be reached",
    RegistryVerdict.PROXY_REFUSED: "the proxy on the way to the registry does not let the worker through",
    RegistryVerdict.BUSY: "the registry was too busy to answer",
    RegistryVerdict.NOT_A_REGISTRY: "what answers there is no registry",
    RegistryVerdict.REFUSED_BY_RULES: "our rules forbid to send the password where the registry wants it",
    RegistryVerdict.WORKS: "it works",
}
_FIXES = {
    RegistryVerdict.WRONG_CREDENTIAL: "correct the credential that the workers hold, remediate, and judge again",
    RegistryVerdict.ACCEPTED_NO_RIGHT: "give the credential's user the right to pull these repositories",
    RegistryVerdict.HIDDEN: "have the registry answer 401 with a challenge instead of 404, and judge again",
    RegistryVerdict.DENIED: "check the login and its rights at the registry",
    RegistryVerdict.ACCEPTED_NO_SUCH_IMAGE: "push the image, or mend its name in what uses it, and judge again with"
    " evidence L2",
    RegistryVerdict.NOT_PROVEN_PUBLIC: "serve the same storage with the authentication of after the flip at a"
    " second address, name it as the registry's shadow, and judge again with evidence L2",
    RegistryVerdict.PROXY_REFUSED: "give the proxy's user name and password in 'proxy' of the registry in the"
    " registries file or in HTTPS_PROXY of the worker, or allow the registry there, and judge again",
    RegistryVerdict.REFUSED_BY_RULES: "name the token server's host in the rules for this registry, if it is right",
}
_ASK_AGAIN = "let a worker reach the registry, and judge again with evidence L2"


@dataclass(frozen=True, slots=True)
class RepositoryAnswer:
    """Repositories for which the registry said the same."""

    repositories: tuple[str, ...]
    call: Call


def judge_repositories(
    images: Mapping[str, str], wanted: Wanted, proofs: Proofs, evidence: Level
) -> tuple[RepositoryAnswer, ...]:
    """Return what is refused or not proven; `images` maps each repository to one image in use."""
    found: dict[Call, list[str]] = {}
    for repository in sorted(images):
        call = _judge(repository, wanted, proofs, evidence)
        if call:
            found.setdefault(call, []).append(repository)
    return tuple(RepositoryAnswer(tuple(listed), call) for call, listed in found.items())


def _judge(repository: str, wanted: Wanted, proofs: Proofs, evidence: Level) -> Call | None:
    logins = wanted.logins(repository)
    if (
        not logins
    ):  # nobody said which credential; or it has none for this: its pods and templates say so
        return None
    answers = [proof for login in logins if (proof := proofs.get((repository, login)))]
    if answers and all(map(refused, answers)):
        return _refused(answers[0])
    # A Secret may hold any of the logins, so that of the one that is proven least counts.
    left = [level_of(proof) for proof in answers if not refused(proof)]
    shown = min(left) if len(answers) == len(logins) else Level.GRAPH
    if shown.includes(Level.RIGHT):
        return None
    return _unproven(answers, evidence, shown)


def _refused(proof: RegistryProof) -> Call:
    verdict = proof.verdict
    if verdict is RegistryVerdict.NOT_PROVEN_PUBLIC:
        verdict = RegistryVerdict.WRONG_CREDENTIAL
    return Call(
        FindingClass.R_REFUSED,
        Severity.BLOCKING,
        f"With the credential these repositories cannot be pulled: {_WHAT_IT_MEANS[verdict]}.",
        _FIXES[verdict],
    )


def _unproven(answers: Iterable[RegistryProof], evidence: Level, shown: Level) -> Call:
    """Say that the right to pull is not shown: it blocks where it was asked for, and is never passed over."""
    verdict = next((proof.verdict for proof in answers if not refused(proof)), None)
    reason = _WHAT_IT_MEANS[verdict] if verdict else _NO_ANSWER
    fix = _FIXES.get(verdict, _ASK_AGAIN) if verdict else _ASK_AGAIN
    if not shown.includes(evidence):
        return Call(
            FindingClass.R_UNPROVEN,
            Severity.BLOCKING,
            f"Evidence {evidence.value} was asked for and is missing: {reason}.",
            fix,
            doubt=True,
        )
    login = "the registry accepts the login" if shown is Level.LOGIN else "nobody proved the login"
    return Call(
        FindingClass.R_UNPROVEN,
        Severity.WARNING,
        f"That the credential can pull these repositories after the flip is not proven (evidence {shown.value}:"
        f" {login}): {reason}. A verdict 'safe' takes it for granted.",
        fix,
        doubt=True,
    )
