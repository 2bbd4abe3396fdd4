"""What a Secret of the wanted name, which is there, means for a remediation of its namespace.

A printed fix has to work as it stands: a plain run fails on a Secret of another type, on one that belongs to others and
on one that cannot be changed.
"""

from dataclasses import dataclass

from remediation.docker_config import (
    SECRET_TYPE,
    DockerConfig,
    InvalidCredential,
    holds,
    parse_docker_config,
)
from remediation.footprint import APPLY, OUR_MANAGER, Holder
from remediation.readiness.observation import PullSecret

_OWN = Holder(OUR_MANAGER, APPLY)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a run has to say of the Secret: `option` comes to its line, `why` explains it; both may be empty.

    `aside` tells that the Secret cannot be written to, so that another one has to take its place.
    `going` tells that it is being deleted.
    """

    option: str = ""
    why: str = ""
    aside: bool = False
    going: bool = False


FREE = Standing()


def standing_of(secret: PullSecret, wanted: DockerConfig | None) -> Standing:
    """Return how a run puts the wanted logins in place where this Secret is; without them, it holds none of them."""
    name = f"Secret '{secret.name}' there"
    if secret.going.deleting:
        return Standing(why=f"{name} is being deleted", aside=True, going=True)
    if secret.type != SECRET_TYPE:
        return Standing(
            why=f"{name} has type '{secret.type}', and a type cannot be changed", aside=True
        )
    try:
        config = parse_docker_config(secret.content or b"")
    except InvalidCredential:
        if secret.immutable:
            return Standing(why=f"{name} is immutable and malformed", aside=True)
        return Standing("--on-conflict replace", f"{name} is malformed")
    if wanted and holds(config, wanted):
        return FREE
    if secret.immutable:
        return Standing(why=f"{name} is immutable", aside=True)
    if not secret.ours:
        why = f"{name} is not managed by remediator; its other logins are kept"
        return Standing("--on-conflict merge", why)
    other = next((holder for holder in secret.signals.owners if holder != _OWN), None)
    return Standing("--on-conflict replace", f"{other.manager} wrote to {name}") if other else FREE
