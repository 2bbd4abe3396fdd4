"""Findings about logins that end by themselves: they are right now, and pods that start later find them worthless."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from remediation.readiness.call import Call
from remediation.readiness.coverage import Wanted
from remediation.readiness.finding import Finding, FindingClass, Severity
from remediation.readiness.observation import Owner
from remediation.readiness.options import Options
from remediation.readiness.proof import RegistryProof
from remediation.readiness.rows import Decision, rows
from remediation.readiness.target import serves
from remediation.short_lived import ShortLived, short_lived

_SOON = timedelta(days=1)
_FIX = (
    "use a login that does not end, such as a robot account or a deploy token, and remediate; if something renews the"
    " Secrets in time, waive this with an owner and a date"
)


def ending(options: Options, now: datetime) -> Iterator[Finding]:
    """Yield the logins of the wanted credential for the target that end by themselves."""
    config = options.wanted.config
    logins = config.logins if config else ()
    owner = Owner("Credential", options.wanted.credential)
    for login in short_lived(pair for pair in logins if serves([pair[0]], options.target)):
        decision = Decision("", _judge(login, now))
        for finding in rows(options.cluster, "", owner, [decision]):
            yield replace(finding, ends_at=login.ends_at)


def lasting(
    proofs: Iterable[RegistryProof], wanted: Wanted, now: datetime
) -> Iterator[RegistryProof]:
    """Yield the proofs without those of logins of others that end by themselves within a day: they are worth nothing.

    Of the credential's own logins `ending` tells.
    """
    own = {login for _, login in wanted.config.logins} if wanted.config else set()
    for proof in proofs:
        ends = () if proof.login in own else short_lived([(proof.repository, proof.login)])
        if all(login.ends_at and login.ends_at > now + _SOON for login in ends):
            yield proof


def _judge(login: ShortLived, now: datetime) -> Call:
    over = login.over(now)
    far = login.ends_at is not None and login.ends_at > now + _SOON
    told = login.told(now)
    told = f"{told[0].upper()}{told[1:]}"
    return Call(
        FindingClass.R_SHORT_LIVED,
        Severity.WARNING if far else Severity.BLOCKING,
        f"{told}. After that, no pod can pull with the Secrets that hold it; whether something renews them cannot be"
        " seen.",
        _FIX,
        doubt=not over,
    )
