"""Coverage of many pods: most of them name the same Secrets for the same repositories, which is looked up once."""

from remediation.docker_config import Login
from remediation.readiness.coverage import COVERING, Cover, Proofs, cover
from remediation.readiness.finding import Coverage
from remediation.readiness.keyring import SecretState, lookup
from remediation.readiness.reduction import Reduction


class Coverer:
    """Looks up what is kept of a cluster, with the registry's answers."""

    def __init__(self, kept: Reduction, proofs: Proofs) -> None:
        self._kept = kept
        self._proofs = proofs
        self._found: dict[tuple[str, tuple[str, ...], str], Cover] = {}

    def cover(self, namespace: str, names: tuple[str, ...], repository: str) -> Cover:
        """Return what pods of a namespace with these `imagePullSecrets` have for a repository."""
        key = (namespace, names, repository)
        if key not in self._found:
            secrets = self._kept.secrets_of(namespace, names)
            wanted = self._kept.options.wanted
            self._found[key] = cover(names, secrets, repository, wanted, self._proofs)
        return self._found[key]

    def unproven(self, namespace: str, names: tuple[str, ...], repository: str) -> set[Login]:
        """Return logins other than the wanted one that are all a pod has for a repository.

        One that is not UTF-8 is none of them: no node can send it, so no registry need be asked.
        """
        found = self.cover(namespace, names, repository)
        secrets = self._kept.secrets_of(namespace, names)
        if found.code in COVERING or any(
            secret.state is SecretState.MALFORMED for secret in secrets.values()
        ):
            return set()
        found_logins = (match.login for match in lookup(tuple(secrets.values()), repository))
        return {login for login in found_logins if login.sendable}

    def presented(
        self, namespace: str, names: tuple[str, ...], repository: str
    ) -> frozenset[Login] | None:
        """Return the logins that a pull of a pod with these Secrets presents; None where that is not known."""
        found = self.cover(namespace, names, repository)
        if found.code is Coverage.UNKNOWN_SECRET:
            return None
        if found.code is Coverage.POISONED:
            return frozenset()
        secrets = self._kept.secrets_of(namespace, names)
        return frozenset(match.login for match in lookup(tuple(secrets.values()), repository))

    def may_lack(self, namespace: str, names: tuple[str, ...]) -> bool:
        """Tell whether one of these Secrets is not there, as far as is known."""
        secrets = self._kept.secrets_of(namespace, names).values()
        return any(one.state in (SecretState.ABSENT, SecretState.UNREADABLE) for one in secrets)

    def place_for(self, namespace: str, names: tuple[str, ...]) -> str:
        """Return a Secret among these that could take one more login without a restart of pods, "" for none."""
        secrets = self._kept.secrets_of(namespace, names)
        ours = self._kept.options.wanted.secret_name
        return next(
            (
                name
                for name, secret in secrets.items()
                if secret.state is SecretState.READ
                and not (secret.immutable or secret.going)
                and name != ours
            ),
            "",
        )
