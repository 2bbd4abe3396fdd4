"""The proof of a credential for one run: a report for each registry, and what the run makes of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from remediation.outcome import Error, ErrorCode
from remediation.registry.verdict import Judgement, LoginAnswer, Verdict
from remediation.request import RegistryCheck

_MOST_NAMES = 5
# The least favourable first: that is what a report says. An image that is gone says little where others were pulled.
_ORDER = (
    Verdict.WRONG_CREDENTIAL,
    Verdict.DENIED,
    Verdict.HIDDEN,
    Verdict.ACCEPTED_NO_RIGHT,
    Verdict.REFUSED_BY_RULES,
    Verdict.NOT_A_REGISTRY,
    Verdict.PROXY_REFUSED,
    Verdict.UNREACHABLE,
    Verdict.BUSY,
    Verdict.NOT_PROVEN_PUBLIC,
    Verdict.WORKS,
    Verdict.ACCEPTED_NO_SUCH_IMAGE,
)


@dataclass(frozen=True, slots=True)
class RepositoryProof:
    """What is known of a login at one repository; `repository` is empty where only the login was asked about.

    `digest` is what the registry says the image is, where it served it.
    """

    repository: str
    reference: str
    judgement: Judgement
    login: LoginAnswer = LoginAnswer.NOT_CHECKED
    digest: str | None = None

    @property
    def verdict(self) -> Verdict:
        """The verdict."""
        return self.judgement.verdict


@dataclass(frozen=True, slots=True)
class RegistryReport:
    """What came of one registry: the least favourable of its proofs, and how many repositories were asked for.

    `not_asked` counts the repositories in use that were not: the detail names the first of them.
    """

    registry: str
    verdict: Verdict
    detail: str
    hint: str = ""
    repository: str | None = None
    repositories: int = 0
    login: LoginAnswer = LoginAnswer.NOT_CHECKED
    via_shadow: bool = False
    not_asked: int = 0


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What came of all registries of a credential, the least favourable first; `checked_at` is RFC 3339 UTC."""

    reports: tuple[RegistryReport, ...]
    checked_at: str

    @property
    def deciding(self) -> RegistryReport:
        """The report that the run is judged by."""
        return self.reports[0]


def rank(verdict: Verdict) -> int:
    """Return the place of a verdict among all, the least favourable first."""
    return _ORDER.index(verdict)


def report_of(
    registry: str,
    proofs: Sequence[RepositoryProof],
    *,
    via_shadow: bool,
    not_asked: Sequence[str] = (),
) -> RegistryReport:
    """Sum up the proofs of one registry, of which there is at least one."""
    worst = min(proofs, key=lambda proof: rank(proof.verdict))
    asked = [proof for proof in proofs if proof.repository]
    alike = sum(proof.verdict is worst.verdict for proof in asked)
    share = f" ({alike} of {len(asked)} repositories)" if 0 < alike < len(asked) else ""
    answers = [proof.login for proof in proofs]
    login = next(
        (answer for answer in (LoginAnswer.REFUSED, LoginAnswer.ACCEPTED) if answer in answers),
        LoginAnswer.NOT_CHECKED,
    )
    return RegistryReport(
        registry,
        worst.verdict,
        worst.judgement.detail + share + _beyond(not_asked),
        worst.judgement.hint,
        worst.repository or None,
        len(asked),
        login,
        via_shadow,
        len(not_asked),
    )


def _beyond(not_asked: Sequence[str]) -> str:
    if not not_asked:
        return ""
    more = ", …" if len(not_asked) > _MOST_NAMES else ""
    return f"; not asked about {len(not_asked)} more in use: {', '.join(not_asked[:_MOST_NAMES])}{more}"


def result_of(reports: Iterable[RegistryReport], checked_at: str) -> CheckResult:
    """Put the reports of at least one registry in order."""
    ordered = sorted(reports, key=lambda report: (rank(report.verdict), report.registry))
    return CheckResult(tuple(ordered), checked_at)


def refusal(result: CheckResult, wanted: RegistryCheck) -> Error | None:
    """Return why nothing may be written, None if the run goes on."""
    report = result.deciding
    if wanted is not RegistryCheck.REQUIRE or not report.verdict.refuses:
        return None
    where = report.registry + (f"/{report.repository}" if report.repository else "")
    shadow = " (its shadow)" if report.via_shadow else ""
    way_out = "registry_check 'warn' writes all the same"
    return Error(
        ErrorCode.CREDENTIAL_REJECTED,
        f"{report.verdict} at {where}{shadow}: {report.detail}; nothing was written",
        f"{report.hint}; {way_out}" if report.hint else way_out,
    )
