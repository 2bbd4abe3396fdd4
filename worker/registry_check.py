"""The proof of a run's credential: before its first write, from the cluster's side of the network."""

import asyncio
import logging
from collections.abc import Collection

from remediation.credential import Credential
from remediation.docker_config import Login
from remediation.image import ImageReference
from remediation.registry.check import (
    CheckResult,
    RegistryReport,
    RepositoryProof,
    rank,
    report_of,
    result_of,
)
from remediation.registry.endpoint import Refused
from remediation.registry.rules import Registries, canonical_host
from remediation.registry.targets import MOST_REPOSITORIES, Target, targets
from remediation.registry.verdict import LoginAnswer, judge_login
from remediation.registry_key import effective_key
from remediation.usage import Usage
from store import clock
from worker.registry import Prober
from worker.registry_http import Stopped, refused_by_rules

_NO_IMAGE = "no pod there uses an image of it"
_NO_PODS = "the worker may not list pods"

log = logging.getLogger(__name__)


async def check(
    credential: Credential, rules: Registries, usage: Usage, user_agent: str
) -> CheckResult:
    """Return what the registries say of a credential, asked for the images that pods use."""
    why = _NO_PODS if "pods" in usage.unread else _NO_IMAGE
    # Nodes of pods that were not read may pull in any way.
    others = {""} if usage.partly or "pods" in usage.unread else set[str]()
    runtimes = usage.runtimes | others
    found = targets(credential.config, usage.images, MOST_REPOSITORIES)
    reports = await asyncio.gather(
        *(_report(target, credential, rules, user_agent, why, runtimes) for target in found)
    )
    for report in reports:
        log.info("registry %s: %s", report.registry, report.verdict)
    return result_of(reports or [_nobody_to_ask(credential, why)], clock.now())


async def _report(
    target: Target,
    credential: Credential,
    rules: Registries,
    user_agent: str,
    why: str,
    runtimes: Collection[str],
) -> RegistryReport:
    if credential.shadow and _several(credential):
        refused = Refused(
            "the credential has several registries, and its shadow does not say of which it is one",
            "name the shadow in the registries file instead",
        )
        proof = RepositoryProof("", "", refused_by_rules(refused).judged)
        return report_of(target.registry, [proof], via_shadow=True, not_asked=target.not_asked)
    own = rules.of(target.registry)
    prober = Prober(target.registry, own, user_agent, credential.shadow, runtimes)
    try:
        async with prober:
            if target.login:
                proofs = [await prober.prove_login(target.login, why)]
            else:
                proofs = await _proofs(prober, target)
    except Stopped as stopped:
        proofs = [RepositoryProof("", "", stopped.judged)]
    return report_of(
        target.registry, proofs, via_shadow=prober.via_shadow, not_asked=target.not_asked
    )


def _several(credential: Credential) -> bool:
    """Tell whether the credential names more than one registry: one's password is not for another's shadow."""
    keys = (effective_key(key) or "" for key in credential.registries)
    return len({canonical_host(key.partition("/")[0]) for key in keys}) > 1


async def _proofs(prober: Prober, target: Target) -> list[RepositoryProof]:
    """Prove every image: as the kubelet does, with its logins one after the other until one serves."""
    by_logins: dict[tuple[Login, ...], list[ImageReference]] = {}
    for image, logins in target.images:
        by_logins.setdefault(logins, []).append(image)
    best: list[RepositoryProof] = []
    for logins, images in by_logins.items():
        asked = [(image.path, image.reference) for image in images]
        proofs = await prober.prove(asked, logins[0])
        for login in logins[1:]:
            if not any(proof.verdict.refuses for proof in proofs):
                break
            others = await prober.prove(asked, login)
            proofs = tuple(map(_better, proofs, others))
        best += proofs
    return best


def _better(one: RepositoryProof, other: RepositoryProof) -> RepositoryProof:
    return max(one, other, key=lambda proof: rank(proof.verdict))


def _nobody_to_ask(credential: Credential, why: str) -> RegistryReport:
    """Return the report on a credential that names registries by globs only, none of which is in use."""
    judged = judge_login(LoginAnswer.NOT_CHECKED, why=f"it is named by a pattern, and {why}")
    proof = RepositoryProof("", "", judged)
    return report_of(credential.registries[0], [proof], via_shadow=False)
