"""What can go wrong for a caller, as RFC 9457 problems."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

_FRAGMENT_SAFE = "~!$&'()*+,;=:@"


@dataclass(frozen=True, slots=True)
class ProblemType:
    """A kind of problem: `slug` is the stable code, `explanation` the text behind its URL."""

    slug: str
    status: int
    title: str
    explanation: str


_TYPES = (
    ProblemType(
        "malformed-request",
        400,
        "The request cannot be read",
        "The body is not JSON, or the request breaks HTTP. Nothing was started.",
    ),
    ProblemType(
        "unauthenticated",
        401,
        "A token is needed",
        "Send the header 'Authorization: Bearer rmd_…'. `remediator up` keeps a key for this machine's user in the "
        "file 'token' of its data directory; for others an operator makes one with `remediator token create` and "
        "adds the printed entry to the access file.",
    ),
    ProblemType(
        "forbidden",
        403,
        "The caller may not do this",
        "The token is known, and what was asked for is more than the access file allows it. 'detail' says what is not "
        "covered, and what is. GET /api/v1/whoami lists what a caller may do.",
    ),
    ProblemType(
        "cluster-not-permitted",
        403,
        "The caller may not use these clusters",
        "The request names clusters, or globs, that the access file does not give this caller; 'detail' says which, "
        "and which it does. A glob has to lie within one that is given: '*' asks for every cluster there is.",
    ),
    ProblemType(
        "not-found",
        404,
        "There is nothing here",
        "The address is wrong, or what was there is no longer kept. Remediations are kept for the retention time "
        "after they end; GET /api/v1/system says how long that is.",
    ),
    ProblemType(
        "method-not-allowed",
        405,
        "This address does not take that method",
        "The header Allow lists the methods that it takes. Remediations are records: they are made and read, never "
        "changed or deleted.",
    ),
    ProblemType(
        "not-acceptable",
        406,
        "There is no such representation",
        "Ask for one of the formats that the detail lists, with the header Accept or the parameter 'format'.",
    ),
    ProblemType(
        "gate-closed",
        412,
        "The registry must not be flipped now",
        "The gate of a readiness check opens only if the check is safe, its certificate has not run out, and a second "
        "look at this moment finds the same. 'errors' lists every reason. Mend what it names, then start a new check.",
    ),
    ProblemType(
        "payload-too-large",
        413,
        "The body is too large",
        "A request body holds at most 256 KiB. Use globs instead of long lists of names.",
    ),
    ProblemType(
        "invalid-state",
        409,
        "The remediation is not in a state for this",
        "What was asked for is not possible any more, or not yet. 'detail' says what state the remediation is in.",
    ),
    ProblemType(
        "self-approval",
        403,
        "A second person has to decide",
        "The clusters are protected: somebody else than who asked for the remediation approves or rejects it. Who "
        "asked can cancel it.",
    ),
    ProblemType(
        "limit-exceeded",
        403,
        "The request is larger than your role allows",
        "The access file limits how many clusters and namespaces a request of your role may be about. 'detail' says "
        "how many. Nothing was started.",
    ),
    ProblemType(
        "approval-stale",
        409,
        "It is not what would be done now",
        "What would be done has changed since it was looked at: the digest is another one. Read the remediation "
        "again, look at what it would do, and decide with the digest in its 'approval'.",
    ),
    ProblemType(
        "quota-exceeded",
        429,
        "Too many remediations at once",
        "The access file limits how many remediations a caller asks for within a minute, and how many may be open at "
        "once. Try again after the time in Retry-After. Nothing was started.",
    ),
    ProblemType(
        "too-many-failures",
        429,
        "Too many calls without a valid token",
        "Calls whose token is not valid are limited, for each API key and for each address they come from. Use a valid "
        "token, which is taken at once, or try again after the time in Retry-After.",
    ),
    ProblemType(
        "nothing-to-retry",
        409,
        "Nothing failed and nothing was cancelled",
        "A retry is about the namespaces that failed or were cancelled, and there are none. To look at all namespaces "
        "again, start a new remediation.",
    ),
    ProblemType(
        "nothing-to-undo",
        409,
        "Nothing was written",
        "An undo takes back what a remediation wrote, and this one wrote nothing: it was a dry run, or found "
        "everything in line, or failed before its first write.",
    ),
    ProblemType(
        "later-remediation",
        409,
        "A later remediation stands on this one",
        "Another remediation has since written the same Secret or ServiceAccounts in the same namespaces, or is about "
        "to. 'detail' names it. Undo that one first, or wait until it has ended.",
    ),
    ProblemType(
        "cluster-unavailable",
        409,
        "A cluster is not served at present",
        "No live worker serves a cluster that this is about, or none that does holds the credential. 'detail' names "
        "it. GET /api/v1/clusters and GET /api/v1/credentials show what there is.",
    ),
    ProblemType(
        "unsupported-media-type",
        415,
        "The body must be JSON",
        "Send the body as JSON, with the header 'Content-Type: application/json'.",
    ),
    ProblemType(
        "idempotency-key-reuse",
        422,
        "The key belongs to another request",
        "A request with this Idempotency-Key came before and was not the same. Use a new key for a new request.",
    ),
    ProblemType(
        "validation-error",
        422,
        "The request is not valid",
        "The request can be read but cannot be carried out as it stands. 'errors' lists everything that is wrong: "
        '\'pointer\' says where (a JSON pointer into the body; with "in": "query" the name of a parameter), '
        "'detail' what, 'code' is for programs. Nothing was started.",
    ),
    ProblemType(
        "internal",
        500,
        "Something went wrong inside the service",
        "This is a fault of the service. Its log holds the reason under the request id of the answer.",
    ),
    ProblemType(
        "identity-unavailable",
        503,
        "Nobody can tell whose token it is",
        "The token has to be checked by another server, or with its keys, and that server does not answer. Try again "
        "after the time in Retry-After. API keys are checked by the service itself and go on working.",
    ),
    ProblemType(
        "queue-unavailable",
        503,
        "The service cannot reach its store",
        "Redis does not answer, or refuses what it is asked; 'detail' says which. Running remediations go on when it "
        "is back. Try again after the time in Retry-After. A POST that was answered with this may have been taken in: "
        "send it again with the same Idempotency-Key, which makes nothing twice; without one, look at the list first.",
    ),
)
PROBLEM_TYPES: Mapping[str, ProblemType] = {kind.slug: kind for kind in _TYPES}
SLUG_BY_STATUS: Mapping[int, str] = {kind.status: kind.slug for kind in _TYPES}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong; `pointer` is a JSON pointer as fragment, into the body or (`query`) the parameters."""

    pointer: str
    detail: str
    code: str = "invalid"
    query: bool = False

    def to_member(self) -> dict[str, str]:
        """Return it as an entry of `errors`."""
        member = {"pointer": self.pointer, "detail": self.detail, "code": self.code}
        return {**member, "in": "query"} if self.query else member


@dataclass(eq=False)
class Problem(Exception):
    """Ends a request with an answer that says what is wrong."""

    slug: str
    detail: str
    errors: Sequence[Finding] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> ProblemType:
        """Title, status and explanation."""
        return PROBLEM_TYPES[self.slug]


def invalid(findings: Sequence[Finding]) -> Problem:
    """Return the problem of a request that is not valid."""
    number = "1 field needs" if len(findings) == 1 else f"{len(findings)} fields need"
    return Problem("validation-error", f"{number} attention.", findings)


def pointer(*parts: Any) -> str:
    """Return a JSON pointer (RFC 6901) as URI fragment."""
    escaped = (str(part).replace("~", "~0").replace("/", "~1") for part in parts)
    return "#" + "".join(f"/{quote(part, safe=_FRAGMENT_SAFE)}" for part in escaped)
