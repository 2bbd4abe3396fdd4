"""What the registry says of the repositories that pods use: with each login in question, and without any."""

import asyncio
from collections.abc import Collection, Iterable, Mapping

from remediation.credential import Credential
from remediation.docker_config import Login
from remediation.image import parse_image
from remediation.readiness.proof import Question, RegistryProof
from remediation.registry.check import RepositoryProof
from remediation.registry.rules import Registries, canonical_host
from remediation.registry_key import effective_key
from worker.registry import Prober
from worker.registry_http import Stopped


def shadows_of(credential: Credential | None) -> dict[str, str]:
    """Return the credential's own shadow by the registry that it is one of; none where that cannot be said.

    Another registry's images are not there, and its passwords do not belong there.
    """
    if credential is None or credential.shadow is None:
        return {}
    keys = (effective_key(key) or "" for key in credential.registries)
    hosts = {canonical_host(key.partition("/")[0]) for key in keys}
    return dict.fromkeys(hosts, credential.shadow) if len(hosts) == 1 else {}


async def ask_registries(
    questions: Iterable[Question],
    rules: Registries,
    user_agent: str,
    shadows: Mapping[str, str],
    runtimes: Collection[str],
) -> list[RegistryProof]:
    """Return one proof for each question; `shadows` are those of the credential, by registry.

    `runtimes` are those of the nodes: they do not all pull in the same way.
    """
    by_host: dict[str, dict[Login, list[Question]]] = {}
    for question in questions:
        host = canonical_host(parse_image(question.repository).domain)
        by_host.setdefault(host, {}).setdefault(question.login, []).append(question)
    found = await asyncio.gather(
        *(
            _ask_one(host, logins, rules, user_agent, shadows.get(host), runtimes)
            for host, logins in by_host.items()
        )
    )
    return [proof for proofs in found for proof in proofs]


async def _ask_one(
    host: str,
    logins: dict[Login, list[Question]],
    rules: Registries,
    user_agent: str,
    shadow: str | None,
    runtimes: Collection[str],
) -> list[RegistryProof]:
    prober = Prober(host, rules.of(host), user_agent, shadow, runtimes)
    try:
        async with prober:
            found: list[RegistryProof] = []
            for login, questions in logins.items():
                images = [(parse_image(q.repository).path, q.reference) for q in questions]
                answers = await prober.prove(images, login)
                found += map(_proof, questions, answers)
            return found
    except Stopped as stopped:
        verdict = stopped.judged.verdict
        every = [question for questions in logins.values() for question in questions]
        return [RegistryProof(q.repository, q.login, verdict) for q in every]


def _proof(question: Question, answer: RepositoryProof) -> RegistryProof:
    return RegistryProof(question.repository, question.login, answer.verdict, answer.login)
