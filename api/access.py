"""Who calls, and the declaration that every route carries of what that caller has to be allowed."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from flask import g, request

from api.access_reload import Caller
from api.identity import IdentityUnavailable
from api.problems import Problem
from api.services import services
from remediation.permission import Permission

__all__ = [
    "AUTHENTICATED",
    "PUBLIC",
    "Caller",
    "Permission",
    "authenticated",
    "caller",
    "permission",
    "public",
]

PUBLIC = "public"
AUTHENTICATED = "authenticated"
_SCHEME = "bearer"
_RETRY_SECONDS = 5

View = TypeVar("View", bound=Callable[..., Any])


def permission(needed: Permission) -> Callable[[View], View]:
    """Let only callers in that have the permission somewhere; where it counts is for the view to ask.

    `caller()` says who it is.
    """
    return _guard(needed, needed)


def authenticated(view: View) -> View:
    """Let every known caller in, whatever it may do."""
    return _guard(AUTHENTICATED, None)(view)


def public(view: View) -> View:
    """Let everybody in."""
    view.access = PUBLIC  # type: ignore[attr-defined]
    return view


def caller() -> Caller:
    """Return who sent the request that is being answered."""
    return cast(Caller, g.caller)


def _guard(declared: str, needed: Permission | None) -> Callable[[View], View]:
    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            g.caller = _authenticate()
            if needed and needed not in g.caller.permissions:
                raise _not_permitted(g.caller, needed)
            return view(*args, **kwargs)

        guarded.access = declared  # type: ignore[attr-defined]
        return cast(View, guarded)

    return decorate


def _authenticate() -> Caller:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != _SCHEME or not token:
        raise _refused("No token was sent.", "")
    try:
        found = services().access.caller(token.strip())
    except IdentityUnavailable as error:
        raise Problem(
            "identity-unavailable",
            f"Nobody can tell at the moment whose token it is: {error}.",
            headers={"Retry-After": str(_RETRY_SECONDS)},
        ) from None
    if found is None:
        raise _unknown(token.strip())
    return found


def _unknown(token: str) -> Problem:
    """Return what to say of a token that is nobody's; this counts it."""
    # Ids that are not in the file can be made up without end, so the address stands for all of them.
    key_id = services().access.named_key(token)
    whose = f"key {key_id}" if key_id else f"address {request.remote_addr}"
    seconds = services().failures.count(whose)
    if seconds is None:
        return _refused(
            "The token is not known here, or not valid any more.", ', error="invalid_token"'
        )
    most = services().settings.failures_per_minute
    return Problem(
        "too-many-failures",
        f"The token is not known here, or not valid any more, and {most} calls like this one came within a minute from "
        f"{'holders of this key' if key_id else 'this address'}: try again in {seconds} s. A valid token is taken at "
        "once.",
        headers={"Retry-After": str(seconds)},
    )


def _not_permitted(who: Caller, needed: Permission) -> Problem:
    roles = ", ".join(who.rights.roles) or "none"
    return Problem(
        "forbidden",
        f"This needs the permission '{needed}', which {who.subject} does not have (roles: {roles}). "
        "Who keeps the access file can bind it to another role.",
    )


def _refused(what: str, reason: str) -> Problem:
    return Problem(
        "unauthenticated",
        f"{what} Send the header 'Authorization: Bearer rmd_…'. `remediator up` keeps a key in the file 'token' of "
        "its data directory; `remediator token create` makes one and prints its entry for the access file.",
        headers={"WWW-Authenticate": f'Bearer realm="remediator"{reason}'},
    )
