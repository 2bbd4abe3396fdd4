"""A small cluster to be judged: one namespace, its Secrets and accounts, a word for each thing that can be there."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from remediation.credential import credential_from_login
from remediation.docker_config import Login
from remediation.drift.signals import QUIET, Signals
from remediation.readiness.coverage import Wanted
from remediation.readiness.finding import Finding, FindingClass
from remediation.readiness.judge import Judge
from remediation.readiness.judgement import Judgement
from remediation.readiness.observation import (
    Account,
    Container,
    ContainerState,
    Owner,
    Pod,
    PullSecret,
    Workload,
)
from remediation.readiness.options import Options
from remediation.readiness.proof import (
    AdmissionProof,
    RegistryProof,
)
from remediation.readiness.target import parse_target
from remediation.registry.verdict import Verdict as RegistryVerdict

REGISTRY = "registry.example.com"
IMAGE = f"{REGISTRY}/team/app:1"
OTHER_IMAGE = "quay.io/other/app:1"
LOGIN = Login("robot", "right")
STALE = Login("robot", "yesterday")
CONFIG = "kubernetes.io/dockerconfigjson"
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
RUNNING = Container(
    "main", IMAGE, pull_policy="IfNotPresent", state=ContainerState.RUNNING, image_id="sha256:1"
)


def content(*entries: tuple[str, Login]) -> bytes:
    """Return a docker config with some logins."""
    auths = {
        key: {"username": login.username, "password": login.password} for key, login in entries
    }
    return json.dumps({"auths": auths}).encode()


CONTENTS: Mapping[str, tuple[str, bytes | None]] = {
    "ours": (CONFIG, content((REGISTRY, LOGIN))),
    "stale": (CONFIG, content((REGISTRY, STALE))),
    "elsewhere": (CONFIG, content(("quay.io", LOGIN))),
    "longer": (CONFIG, content((f"{REGISTRY}/team", STALE))),
    "theirs": (CONFIG, content((REGISTRY, Login("team", "theirs")))),
    "malformed": (CONFIG, b'{"auths":{"quay.io":{"auth":"%%%"}}}'),
    "opaque": ("Opaque", None),
    "empty": (CONFIG, b""),
}


class Cluster:
    """A cluster under judgement; `wanted`, `facts` and the like as in Options."""

    def __init__(self, *, registry: str = REGISTRY, **options: Any) -> None:
        wanted = Wanted("docker", credential_from_login("reg", REGISTRY, LOGIN).config, "reg")
        self.options = Options(
            "prod", parse_target(registry), options.pop("wanted", wanted), **options
        )
        self.judge = Judge(self.options)
        self.judge.complete_own_secrets()

    def secrets(self, **named: str) -> "Cluster":
        """Add Secrets: name and one of CONTENTS, "absent" for one that is not there."""
        for name, kind in named.items():
            if kind == "absent":
                self.judge.add_missing_secret("team", name)
            else:
                type_, data = CONTENTS[kind]
                self.judge.add_secret(PullSecret("team", name, type_, data))
        return self

    def immutable(self, name: str, kind: str) -> "Cluster":
        """Add a Secret with one of CONTENTS that cannot be changed."""
        self.judge.add_secret(PullSecret("team", name, *CONTENTS[kind], immutable=True))
        return self

    def account(
        self,
        *pull_secrets: str,
        name: str = "default",
        enforces: bool = False,
        signals: Signals = QUIET,
        created_at: datetime | None = None,
        namespace: str = "team",
    ) -> "Cluster":
        """Add a ServiceAccount."""
        self.judge.add_account(
            Account(
                namespace,
                name,
                f"uid-{name}",
                "1",
                pull_secrets,
                enforces,
                created_at,
                signals,
            )
        )
        return self

    def workload(self, *pull_secrets: str, kind: str = "Deployment", **fields: Any) -> "Cluster":
        """Add a template with one image of the registry."""
        fields.setdefault("containers", (Container("main", IMAGE),))
        fields.setdefault("name", "web")
        fields.setdefault("namespace", "team")
        self.judge.add_workload(Workload(kind=kind, pull_secrets=pull_secrets, **fields))
        return self

    def pod(self, *pull_secrets: str, **fields: Any) -> "Cluster":
        """Add a running pod of Deployment web, or of `controller`."""
        fields.setdefault("containers", (RUNNING,))
        fields.setdefault("name", "web-1")
        fields.setdefault("controller", Owner("Deployment", "web"))
        fields.setdefault("namespace", "team")
        self.judge.add_pod(Pod(pull_secrets=pull_secrets, **fields))
        return self

    def proofs(self, verdict: RegistryVerdict = RegistryVerdict.WORKS) -> list[RegistryProof]:
        """Return an answer to every question: the wanted login gets `verdict`, others are not answered."""
        return [
            RegistryProof(question.repository, question.login, verdict)
            for question in self.judge.questions()
            if question.desired
        ]

    def judged(
        self,
        proofs: Iterable[RegistryProof] | None = None,
        admissions: Iterable[AdmissionProof] = (),
        now: datetime = NOW,
    ) -> Judgement:
        """Return the judgement; by default the registry gives everything to the wanted login."""
        return self.judge.conclude(now, self.proofs() if proofs is None else proofs, admissions)

    def found(self, **fields: Any) -> list[Finding]:
        """Return the findings."""
        return list(self.judged(**fields).findings)


def only(findings: Iterable[Finding], prefix: str) -> Finding:
    """Return the one finding whose class starts so."""
    (found,) = [finding for finding in findings if finding.finding_class.startswith(prefix)]
    return found


def classes(findings: Iterable[Finding]) -> set[FindingClass]:
    """Return the classes that occur."""
    return {finding.finding_class for finding in findings}
