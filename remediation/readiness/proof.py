"""What was tried besides reading: the registry's answers and the API server's, as input of the judgement."""

from dataclasses import dataclass, field
from enum import StrEnum

from remediation.docker_config import Login
from remediation.registry.verdict import LoginAnswer, Verdict


class Level(StrEnum):
    """What a judgement rests on."""

    GRAPH = "L0"  # the objects of the cluster
    LOGIN = "L1"  # the registry accepts the credential now
    RIGHT = "L2"  # the registry, private, gives the repository to the credential
    ADMISSION = "L3"  # the API server was asked what it would inject

    def includes(self, other: "Level") -> bool:
        """Tell whether asking for this level asks for the other one too."""
        return self.value >= other.value


@dataclass(frozen=True, slots=True)
class RegistryProof:
    """What the registry said about a login and a repository (`registry.example.com/team/app`).

    `answer` is what it said of the login itself, which matters where the repository is public.
    """

    repository: str
    login: Login = field(repr=False)
    verdict: Verdict
    answer: LoginAnswer = LoginAnswer.NOT_CHECKED


@dataclass(frozen=True, slots=True)
class AdmissionProof:
    """What `POST pods?dryRun=All` said about a pod made from a workload's template.

    `pull_secrets` are the names in the answer's imagePullSecrets, `account` its ServiceAccount, `images` those of its
    images that count, whatever the template has; `refusal` is why the API server would not create it, "" if it would.
    """

    namespace: str
    kind: str
    name: str
    pull_secrets: tuple[str, ...] = ()
    refusal: str = ""
    images: tuple[str, ...] = ()
    account: str = ""

    @property
    def place(self) -> tuple[str, str, str]:
        """Namespace, kind and name of the workload."""
        return self.namespace, self.kind, self.name


@dataclass(frozen=True, slots=True)
class Question:
    """A repository that pods use: ask the registry about it with `login`, with `reference` as an example.

    `reference` is a tag or `sha256:…`. `desired` tells whether `login` is the credential that is to be in place;
    the others are found in other Secrets and matter only where that one is not.
    """

    repository: str
    reference: str
    login: Login = field(repr=False)
    desired: bool = True


_REFUSALS = (
    Verdict.WRONG_CREDENTIAL,
    Verdict.ACCEPTED_NO_RIGHT,
    Verdict.DENIED,
    Verdict.HIDDEN,
)


def refused(proof: RegistryProof) -> bool:
    """Tell whether a pull with the login would fail once the registry is private, for all that is known."""
    if proof.verdict is Verdict.NOT_PROVEN_PUBLIC:
        return proof.answer is LoginAnswer.REFUSED
    return proof.verdict in _REFUSALS


def level_of(proof: RegistryProof) -> Level:
    """Return how much a proof shows in favour of the login; GRAPH for nothing."""
    if proof.verdict is Verdict.WORKS:
        return Level.RIGHT
    if proof.verdict is Verdict.ACCEPTED_NO_SUCH_IMAGE:
        return Level.LOGIN
    if proof.verdict is Verdict.NOT_PROVEN_PUBLIC and proof.answer is LoginAnswer.ACCEPTED:
        return Level.LOGIN
    return Level.GRAPH
