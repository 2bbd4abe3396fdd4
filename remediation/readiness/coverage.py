"""Whether the Secrets that a pod names let the kubelet pull an image after the flip."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from remediation.docker_config import DockerConfig, Login
from remediation.readiness.finding import Coverage
from remediation.readiness.keyring import KeyedLogins, Match, SecretState, lookup
from remediation.readiness.proof import Level, RegistryProof, level_of, refused
from remediation.readiness.standing import FREE, Standing
from remediation.registry.verdict import Verdict as RegistryVerdict
from remediation.registry_host import spellings
from remediation.registry_key import effective_key

UNNAMED = "NAME"  # of a credential that the request does not name
COVERING = (Coverage.COVERED, Coverage.SHADOWED)
UNREADABLE = KeyedLogins(SecretState.UNREADABLE)
ABSENT = KeyedLogins(SecretState.ABSENT)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The credential that has to be in place, in Secrets named `secret_name`.

    `config` None means that nobody said which it is; `credential` is its name, for the fixes. `standing` tells what a
    Secret of that name in one namespace means for these, `refused` that the registry does not take the login.
    """

    secret_name: str
    config: DockerConfig | None = field(default=None, repr=False)
    credential: str = UNNAMED
    standing: Standing = FREE
    refused: bool = False

    def logins(self, repository: str) -> tuple[Login, ...] | None:
        """Return the logins that it holds for a repository, the one that is tried first before the others.

        Which login is right follows from the registry that is dialled: `host` and `host:443` are one. Whether a key of
        a Secret matches an image is another question, and one of texts.

        None if nobody said which are right.
        """
        if self.config is None:
            return None
        keyed = ((effective_key(key), login) for key, login in self.config.logins)
        kept = KeyedLogins(SecretState.READ, tuple((key, login) for key, login in keyed if key))
        for spelling in spellings(repository):
            if matches := lookup([kept], spelling):
                return tuple(dict.fromkeys(match.login for match in matches))
        return ()


@dataclass(frozen=True, slots=True)
class Cover:
    """What was found: `secret` is the Secret to name, `detail` what is wrong with it or near it.

    `matched` tells that the kubelet would try some login: then those of the container runtime are never used. `level`
    is what is proven of the login that covers. `immutable` tells that what is wrong with the Secret cannot be changed.
    """

    code: Coverage
    secret: str = ""
    detail: str = ""
    matched: bool = False
    level: Level = Level.GRAPH
    immutable: bool = False

    @property
    def covers(self) -> bool:
        """Tell whether the image can be pulled."""
        return self.code in COVERING


Proofs = Mapping[tuple[str, Login], RegistryProof]


def cover(
    names: Sequence[str],
    secrets: Mapping[str, KeyedLogins],
    repository: str,
    wanted: Wanted,
    proofs: Proofs,
) -> Cover:
    """Judge the `imagePullSecrets` of a pod, `names` in order, for one repository.

    `secrets` holds those of the namespace by name; one that is not there could not be read. What cannot be read decides
    unless something malformed does: it could be malformed itself, and it could hold the right login. Trouble with the
    wanted Secret comes before trouble with others, because it is what can be mended. A Secret on its way out covers
    nothing, and may still do harm as long as it is there.
    """
    found = _settled(names, secrets, repository, wanted, proofs)
    named = secrets.get(found.secret)
    return replace(found, immutable=named.immutable) if named and not found.covers else found


def _settled(
    names: Sequence[str],
    secrets: Mapping[str, KeyedLogins],
    repository: str,
    wanted: Wanted,
    proofs: Proofs,
) -> Cover:
    now = _cover(names, secrets, repository, wanted, proofs)
    going = [name for name in names if name in secrets and secrets[name].going]
    if not going:
        return now
    later = _cover(names, {**secrets, **dict.fromkeys(going, ABSENT)}, repository, wanted, proofs)
    if later.covers:
        return later if now.covers else now
    if now.code is Coverage.POISONED:
        return now
    if now.covers or wanted.secret_name in going:
        name = now.secret if now.secret in going else going[0]
        return Cover(Coverage.DELETING, name, secrets[name].going, matched=later.matched)
    return later


def _cover(
    names: Sequence[str],
    secrets: Mapping[str, KeyedLogins],
    repository: str,
    wanted: Wanted,
    proofs: Proofs,
) -> Cover:
    named = [name for name in names if name]
    if not named:
        return Cover(Coverage.BLANK_REF if names else Coverage.NO_REFS)
    found = [secrets.get(name, UNREADABLE) for name in named]
    for name, secret in zip(named, found, strict=True):
        if secret.state is SecretState.MALFORMED:
            return Cover(Coverage.POISONED, name, secret.problem, matched=True)
    for name, secret in zip(named, found, strict=True):
        if secret.state is SecretState.UNREADABLE:
            return Cover(Coverage.UNKNOWN_SECRET, name, secret.problem, matched=True)
    matches = lookup(found, repository)
    if matches:
        return _judge_matches(named, matches, repository, wanted, proofs)
    return _judge_others(named, found, repository, wanted)


def _judge_matches(
    named: Sequence[str],
    matches: Sequence[Match],
    repository: str,
    wanted: Wanted,
    proofs: Proofs,
) -> Cover:
    right = wanted.logins(repository)
    refusal = ""
    for number, match in enumerate(matches):
        name, proof = named[match.secret], proofs.get((repository, match.login))
        # A login for a part of a registry is there because that for the whole does not do, which has to be proven.
        desired = name == wanted.secret_name if right is None else match.login in right[:1]
        if desired and proof and refused(proof):
            refusal = name
        elif desired or (proof and proof.verdict is RegistryVerdict.WORKS):
            level = level_of(proof) if proof else Level.GRAPH
            if number:
                first = named[matches[0].secret]
                return Cover(Coverage.SHADOWED, name, first, matched=True, level=level)
            return Cover(Coverage.COVERED, name, matched=True, level=level)
    if refusal:
        return Cover(Coverage.REFUSED, refusal, matched=True)
    tried = [named[match.secret] for match in matches]
    if wanted.secret_name in tried:
        return Cover(Coverage.STALE, wanted.secret_name, matched=True)
    return Cover(Coverage.OTHER, tried[0], matched=True)


def _judge_others(
    named: Sequence[str], found: Sequence[KeyedLogins], repository: str, wanted: Wanted
) -> Cover:
    by_name = dict(zip(named, found, strict=True))
    ours_first = sorted(by_name, key=lambda name: name != wanted.secret_name)
    trouble = {
        SecretState.ABSENT: Coverage.MISSING,
        SecretState.IGNORED: Coverage.WRONG_TYPE,
    }
    keys = {key: name for name, secret in by_name.items() for key, _ in secret.logins}
    ours = by_name.get(wanted.secret_name)
    if ours and ours.state in trouble:
        return Cover(trouble[ours.state], wanted.secret_name)
    if any(secret.state is SecretState.READ for secret in found):
        near = get_close_matches(repository, keys, 1, cutoff=0)
        name = (
            keys[near[0]]
            if near
            else next(n for n in ours_first if by_name[n].state is SecretState.READ)
        )
        return Cover(Coverage.KEY_MISMATCH, name, _tellable(near[0]) if near else "")
    name = ours_first[0]
    return Cover(trouble[by_name[name].state], name)


def _tellable(key: str) -> str:
    """Return a key as text: it may hold bytes that are none (`%ff` in an address), and those cannot be stored."""
    return key.encode(errors="backslashreplace").decode()
