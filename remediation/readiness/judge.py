"""Judging one cluster: its objects are handed over one at a time, then the findings are asked for.

In this order: nodes and namespaces; ServiceAccounts, Secrets of the wanted name, templates, with what the API server
says of them if it was asked; pods last. Then the Secrets that `wanted_secrets` names, the answers to `questions`, and
`conclude`. What is not handed over counts as unknown.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from remediation.docker_config import Login
from remediation.readiness import rollbacks
from remediation.readiness.asking import named_by_askers
from remediation.readiness.conclusion import Conclusion
from remediation.readiness.coverer import Coverer
from remediation.readiness.futures import makers
from remediation.readiness.judgement import Judgement
from remediation.readiness.login_findings import lasting
from remediation.readiness.proof import AdmissionProof, Question, RegistryProof
from remediation.readiness.reduction import Reduction


class Judge(Reduction):
    """The judge of one cluster."""

    def wanted_secrets(self) -> tuple[tuple[str, str], ...]:
        """Return (namespace, name) of Secrets that pods in question name and that were not handed over."""
        named = {
            (namespace, name) for namespace, names, _ in self._used() for name in names if name
        }
        named.update(rollbacks.named_by_others(self))
        named.update(named_by_askers(self))
        ours = self.options.wanted.secret_name
        return tuple(
            sorted(
                (namespace, name)
                for namespace, name in named
                if name not in self.secrets.get(namespace, {})
                and not (name == ours and self.own_secrets_complete)
            )
        )

    def questions(self) -> tuple[Question, ...]:
        """Return what to ask the registry: each repository with the wanted logins, and others that pods rely on."""
        coverer = Coverer(self, {})
        asked: dict[tuple[str, Login], Question] = {}
        for namespace, names, images in self._used():
            for text in images:
                image = self.image(text)
                if image is None:
                    continue
                repository, reference = image.repository, image.reference
                for login in sorted(self.options.wanted.logins(repository) or (), key=_by_name):
                    asked[repository, login] = Question(repository, reference, login)
                for login in coverer.unproven(namespace, names, repository):
                    question = Question(repository, reference, login, desired=False)
                    asked.setdefault((repository, login), question)
        return tuple(asked.values())

    def conclude(
        self,
        now: datetime,
        proofs: Iterable[RegistryProof] = (),
        admissions: Iterable[AdmissionProof] = (),
    ) -> Judgement:
        """Return the judgement; `now` is what waivers are compared with."""
        for admission in admissions:
            self.add_admission(admission)
        lasts = lasting(proofs, self.options.wanted, now)
        return Conclusion(self, lasts).judgement(now)

    def _used(self) -> Iterator[tuple[str, tuple[str, ...], tuple[str, ...]]]:
        """Yield (namespace, names of Secrets, images) of all that uses the target in judged namespaces."""
        for key in self.pods:
            if self.judged(key.namespace):
                yield key.namespace, key.pull_secrets, tuple(use.image for use in key.uses)
        for maker in makers(self, self.admissions):
            future = maker.future
            if self.judged(future.namespace):
                yield future.namespace, future.names, maker.images
                if future.other is not None:
                    yield future.namespace, future.other, maker.images


def _by_name(login: Login) -> tuple[str, str]:
    return login.username, login.password
