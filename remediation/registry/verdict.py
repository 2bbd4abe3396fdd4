"""What the answers of a registry prove about a login.

A login is proven by contrast only: the same request is refused without it and served with it. That a registry serves
somebody proves nothing where it serves everybody.
"""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What is known of a login at a repository."""

    WORKS = "works"
    WRONG_CREDENTIAL = "wrong_credential"
    ACCEPTED_NO_RIGHT = "accepted_no_right"
    HIDDEN = "hidden"  # it is there with the login, but nodes are never asked for one
    DENIED = "denied"  # refused, and the registry does not let anybody tell why
    ACCEPTED_NO_SUCH_IMAGE = "accepted_no_such_image"
    NOT_PROVEN_PUBLIC = "not_proven_public"
    UNREACHABLE = "unreachable"
    PROXY_REFUSED = "proxy_refused"  # the proxy on the way does not let through
    BUSY = "busy"
    NOT_A_REGISTRY = "not_a_registry"
    REFUSED_BY_RULES = "refused_by_rules"  # ours: the password was not sent

    @property
    def refuses(self) -> bool:
        """Tell whether nothing is written where a proof is required."""
        return self not in _GOES_ON


# The runtime of a node that does not pull as containerd does, as its containers' ids name it.
CRI_O = "cri-o"
_GOES_ON = frozenset({Verdict.WORKS, Verdict.ACCEPTED_NO_SUCH_IMAGE, Verdict.NOT_PROVEN_PUBLIC})


class LoginAnswer(StrEnum):
    """What the registry says of the login itself, apart from any repository."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    NOT_CHECKED = "not_checked"  # it was not asked, or it takes anybody


class Scheme(StrEnum):
    """How a registry asks for a login."""

    NONE = "none"
    BASIC = "basic"
    BEARER = "bearer"


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: `error` is what its challenge names as the reason, `text` the server's words, fit to be shown.

    The status is 0 where no answer came that says anything.
    """

    status: int
    error: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """The answers about one repository.

    `control` is the answer without a login (an anonymous token where the registry deals in tokens), `token` that of the
    token endpoint to the login, `pull` that of the registry to login or token; None where nothing was asked. `stage`
    names what was asked for last where that is not the manifest by its name; `served_by_get` says that the token
    endpoint refuses the `POST` of containerd only, `unasked` that the manifest was asked for with a login though nobody
    had asked for one.
    """

    scheme: Scheme
    control: Reply
    token: Reply | None = None
    pull: Reply | None = None
    stage: str = ""
    served_by_get: bool = False
    unasked: bool = False

    @property
    def public(self) -> bool:
        """Tell whether everybody may look, be the image there or not."""
        return self.control.status in (200, 404)

    @property
    def held_back(self) -> bool:
        """Tell whether requests without a login are limited or fail, so that they say nothing of the image."""
        return self.control.status in (0, 429) or self.control.status >= 500


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with its reason and what to do; `of_one` says that it holds for one repository, whatever it is."""

    verdict: Verdict
    detail: str
    hint: str = ""
    of_one: bool = False


def needs_login(seen: Seen) -> bool:
    """Tell whether the verdict depends on what the registry says of the login itself."""
    if _refused(seen.token):
        return False
    status = seen.pull.status if seen.pull else 0
    if seen.public or (seen.held_back and status == 200):
        return True
    return status == 403 or (status == 401 and seen.scheme is Scheme.BEARER)


def login_answer(own: Reply | None, stranger: Reply | None) -> LoginAnswer:
    """Return what two answers say of a login: that to it, and that to a name made up for the purpose."""
    if own is None:
        return LoginAnswer.NOT_CHECKED
    if own.status == 401:
        return LoginAnswer.REFUSED
    told_apart = stranger is not None and (
        (own.status == 200 and stranger.status in (401, 403))
        # A login that may do nothing, where a wrong one is told so.
        or (own.status == 403 and stranger.status == 401)
    )
    return LoginAnswer.ACCEPTED if told_apart else LoginAnswer.NOT_CHECKED


def judge(seen: Seen, login: LoginAnswer) -> Judgement:
    """Return what the answers about one repository prove."""
    if _refused(seen.token):
        assert seen.token  # noqa: S101 -- it was refused
        return _by_token_endpoint(seen.token, served_by_get=seen.served_by_get)
    if seen.unasked and seen.pull:
        return _hidden(seen.pull, login)
    hides = seen.control.status == 404 and login is not LoginAnswer.REFUSED
    if hides and seen.pull and seen.pull.status == 200:
        return _judgement(Verdict.WORKS, "not there without the login, served with it")
    if seen.public and seen.pull and seen.pull.status not in (200, seen.control.status):
        return _only_without(seen, seen.pull, login)
    if seen.public:
        return _public(seen, login)
    if seen.held_back and seen.pull and seen.pull.status == 200:
        return _held_back(seen.control, login)
    if seen.pull is None:
        return _judgement(
            Verdict.DENIED,
            "the registry refuses without asking for a login" + _quote(seen.control),
        )
    if seen.stage and seen.pull.status != 200:
        return _cut_short(seen.stage, seen.pull)
    match seen.pull.status:
        case 200:
            return _judgement(Verdict.WORKS, "refused without the login, served with it")
        case 404:
            return _judgement(
                Verdict.ACCEPTED_NO_SUCH_IMAGE,
                "the login is accepted, but the image is not there, so the right to pull is not proven",
            )
        case 401 if seen.scheme is Scheme.BASIC:
            return _wrong(seen.pull)
        case 401 | 403:
            return _no_right(seen.pull, login)
    return _judgement(
        Verdict.DENIED, f"the registry answers {seen.pull.status} to the login{_quote(seen.pull)}"
    )


def judge_cri_o(seen: Seen, judged: Judgement, hindrance: str, *, only: bool) -> Judgement:
    """Return the judgement for nodes with CRI-O: a `hindrance` keeps them from it; `only` if no others are known."""
    if hindrance:
        others = (
            ""
            if only or judged.verdict is not Verdict.WORKS
            else "nodes with containerd can pull, but "
        )
        return Judgement(
            Verdict.DENIED,
            f"{others}nodes with CRI-O cannot: {hindrance}",
            "CRI-O asks /v2/ first and answers what is asked for there: have it ask for the login as manifests do",
        )
    if judged.verdict is Verdict.WORKS or seen.public or seen.held_back:
        return judged
    return _judgement(
        Verdict.WORKS,
        "refused without the login, served with it as nodes with CRI-O ask; nodes with containerd could not log in",
    )


def judge_login(login: LoginAnswer, *, why: str) -> Judgement:
    """Return what is known where only the login could be asked about; `why` says why no repository was."""
    if login is LoginAnswer.REFUSED:
        return _judgement(Verdict.WRONG_CREDENTIAL, f"the registry refuses the login ({why})")
    if login is LoginAnswer.ACCEPTED:
        return _judgement(
            Verdict.ACCEPTED_NO_SUCH_IMAGE,
            f"the login is accepted, but no image was asked for ({why}), so the right to pull is not proven",
        )
    return Judgement(
        Verdict.NOT_PROVEN_PUBLIC,
        f"the registry checks nobody's login, and no image was asked for ({why})",
        _HINTS[Verdict.NOT_PROVEN_PUBLIC],
    )


def judgement(verdict: Verdict, detail: str) -> Judgement:
    """Return a verdict with its usual hint."""
    return _judgement(verdict, detail)


_HINTS = {
    Verdict.WRONG_CREDENTIAL: "put the right user name and password into the credential, then retry",
    Verdict.ACCEPTED_NO_RIGHT: "give the account the right to pull there, or name the registry more narrowly in the "
    "credential",
    Verdict.HIDDEN: "have the registry answer 401 with a challenge where it hides images (Artifactory: 'Hide existence "
    "of unauthorized resources')",
    Verdict.DENIED: "try the login by hand; the registry's log says why it refuses",
    Verdict.NOT_PROVEN_PUBLIC: "set up a shadow of the registry for a real proof before it becomes private",
    Verdict.UNREACHABLE: "the worker must reach the registry: check name, network, proxy, certificate; then retry",
    Verdict.BUSY: "retry later",
    Verdict.NOT_A_REGISTRY: "check the registry in the credential, and whether it is plain_http in the registries file",
}


def _judgement(verdict: Verdict, detail: str) -> Judgement:
    return Judgement(verdict, detail, _HINTS.get(verdict, ""))


def _refused(token: Reply | None) -> bool:
    return token is not None and token.status != 200


def _by_token_endpoint(token: Reply, *, served_by_get: bool) -> Judgement:
    if token.status == 401:
        return _wrong(token)
    if served_by_get:
        return Judgement(
            Verdict.DENIED,
            f"nodes with containerd cannot log in: the token endpoint answers {token.status} to their POST; nodes "
            f"with CRI-O can: it answers the GET{_quote(token)}",
            "have the token endpoint answer the POST, or refuse it with 404 or 405, after which containerd asks by GET",
        )
    return _judgement(
        Verdict.DENIED,
        f"the token endpoint answers {token.status} to the login{_quote(token)}",
    )


def _public(seen: Seen, login: LoginAnswer) -> Judgement:
    if login is LoginAnswer.REFUSED:
        return _judgement(
            Verdict.WRONG_CREDENTIAL,
            "the registry refuses the login, though everybody may pull without one",
        )
    there = "" if seen.control.status == 200 else " (this image is not there, or hidden)"
    said = {
        LoginAnswer.ACCEPTED: "the login itself is accepted",
        LoginAnswer.NOT_CHECKED: "the login is not checked by it",
    }[login]
    return _judgement(
        Verdict.NOT_PROVEN_PUBLIC, f"everybody may pull{there}, so no right is proven; {said}"
    )


def _only_without(seen: Seen, pull: Reply, login: LoginAnswer) -> Judgement:
    """Judge a login that takes away what everybody may have: nodes that have one do not pull without it."""
    if login is LoginAnswer.REFUSED:
        return _public(seen, login)
    return Judgement(
        Verdict.DENIED,
        f"everybody may pull without a login, but with this one the registry answers {pull.status}{_quote(pull)}",
        "nodes with the login would not pull any more: try it by hand; the registry's log says why it refuses",
    )


def _hidden(pull: Reply, login: LoginAnswer) -> Judgement:
    if pull.status in (401, 403):
        return _no_right(pull, login)
    if pull.status != 200:
        return _judgement(
            Verdict.ACCEPTED_NO_SUCH_IMAGE,
            "the login is accepted, but the image is not there, or hidden from this login too, so the right to pull is "
            "not proven",
        )
    return _judgement(
        Verdict.HIDDEN,
        "the image is there with the login, but without one the registry answers 404 instead of asking for one: nodes "
        "with containerd send none and cannot pull; nodes with CRI-O can",
    )


def _held_back(control: Reply, login: LoginAnswer) -> Judgement:
    without = "limits pulls" if control.status == 429 else "fails"
    if login is LoginAnswer.REFUSED:
        return _judgement(
            Verdict.WRONG_CREDENTIAL, f"the registry refuses the login, and {without} without one"
        )
    status = f" ({control.status})" if control.status else ""
    said = "is accepted" if login is LoginAnswer.ACCEPTED else "is not checked by it"
    return Judgement(
        Verdict.NOT_PROVEN_PUBLIC,
        f"without a login the registry {without}{status}, with it it serves; the login itself {said}, but "
        "whether it is needed was not to be seen",
        _HINTS[Verdict.NOT_PROVEN_PUBLIC],
    )


def _cut_short(stage: str, pull: Reply) -> Judgement:
    if pull.status == 404:
        return _judgement(
            Verdict.ACCEPTED_NO_SUCH_IMAGE,
            f"the login is accepted, but the image is not whole: {stage} is not there",
        )
    return _judgement(
        Verdict.DENIED,
        f"the registry says that the image is there, but answers {pull.status} for {stage}{_quote(pull)}",
    )


def _wrong(reply: Reply) -> Judgement:
    return _judgement(Verdict.WRONG_CREDENTIAL, f"the login is refused (401){_quote(reply)}")


def _no_right(pull: Reply, login: LoginAnswer) -> Judgement:
    if login is LoginAnswer.REFUSED:
        return _wrong(pull)
    expired = "expired" in pull.text.lower()
    says_right = pull.status == 403 or pull.error == "insufficient_scope"
    if login is LoginAnswer.ACCEPTED and says_right and not expired:
        return _judgement(
            Verdict.ACCEPTED_NO_RIGHT,
            f"the login is accepted, but may not pull this repository ({pull.status}){_quote(pull)}",
        )
    reason = f" ({pull.error})" if pull.error else ""
    return _judgement(
        Verdict.DENIED,
        f"the registry answers {pull.status} to the login and does not say why{reason}{_quote(pull)}",
    )


def _quote(reply: Reply) -> str:
    return f": {reply.text}" if reply.text else ""
