"""What was tried besides reading: the registry's answers and the API server's, as input of the judgement."""

from dataclasses import dataclass, field
from enum import StrEnum

from remediation.credential import Login


class Level(StrEnum):
    """What a judgement rests on."""

    GRAPH = "L0"  # the objects of the cluster
    LOGIN = "L1"  # the registry accepts the credential now
    RIGHT = "L2"  # the registry, private, gives the repository to the credential
    ADMISSION = "L3"  # the API server was asked what it would inject

    def includes(self, other: "Level") -> bool:
        """Tell whether asking for this level asks for the other one too."""
        return self.value >= other.value


class RegistryVerdict(StrEnum):
    """What a registry said about one repository; the names of the prober's verdicts."""

    WORKS = "works"  # refused without the credential, given with it
    WRONG_CREDENTIAL = "wrong_credential"
    ACCEPTED_NO_RIGHT = "accepted_no_right"
    DENIED = "denied"  # refused, and the registry does not say why
    ACCEPTED_NO_SUCH_IMAGE = "accepted_no_such_image"
    NOT_PROVEN_PUBLIC = "not_proven_public"  # given without any credential, which proves nothing
    UNREACHABLE = "unreachable"
    BUSY = "busy"
    NOT_A_REGISTRY = "not_a_registry"
    REFUSED_BY_RULES = "refused_by_rules"  # our own rules forbid to send the password there


@dataclass(frozen=True, slots=True)
class RegistryProof:
    """What the registry said about a login and a repository (`registry.example.com/team/app`).

    `login_accepted` is what is known about the login itself where the repository is public: None for not known.
    """

    repository: str
    login: Login = field(repr=False)
    verdict: RegistryVerdict
    login_accepted: bool | None = None


@dataclass(frozen=True, slots=True)
class AdmissionProof:
    """What `POST pods?dryRun=All` said about a pod made from a workload's template.

    `pull_secrets` are the names in the answer's imagePullSecrets; `refusal` is why the API server would not create it,
    "" if it would.
    """

    namespace: str
    kind: str
    name: str
    pull_secrets: tuple[str, ...] = ()
    refusal: str = ""


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
