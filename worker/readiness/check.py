"""One run of a readiness check from its claim to its end: read, ask, judge, store."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import remediation
from remediation.credential import Credential
from remediation.outcome import Error, ErrorCode
from remediation.readiness.basis import basis_of
from remediation.readiness.certificate import Snapshot, certify
from remediation.readiness.coverage import Wanted
from remediation.readiness.facts import Facts
from remediation.readiness.finding import Finding, Severity
from remediation.readiness.judge import Judge
from remediation.readiness.judgement import together
from remediation.readiness.options import Options
from remediation.readiness.proof import Level, RegistryProof
from remediation.readiness.question_findings import SLIPS
from remediation.readiness.request import CheckRequest
from remediation.readiness.restart import plan_restarts
from remediation.readiness.target import Target
from remediation.registry.rules import Registries
from remediation.request import RemediationRequest
from remediation.same_server import refusal
from remediation.status import RunStatus
from store import clock
from store.claims import Claim
from store.records import Judged, Slip
from store.store import Store
from worker.execution import NO_ANSWER, REACH_SECONDS, RunFailed
from worker.faults import Fault, Retry
from worker.kubeconfig_rules import Unusable
from worker.kubeconfigs import Context
from worker.readiness.admission import Admission
from worker.readiness.lists import ListExpired, Lists, Ways
from worker.readiness.reading import Found, Reading
from worker.readiness.recall import SETTLED_AFTER, news, unsettled
from worker.readiness.registry import ask_registries, shadows_of
from worker.readiness.steady import HINT
from worker.session import Session, open_session

VALID = timedelta(minutes=10)
_LONGEST_WAIT = (SETTLED_AFTER + timedelta(seconds=1)).total_seconds()
_MOST_READINGS = 4
_MOST_NAMED = 5

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CheckExecution:
    """A claimed run of a check with all that is needed to carry it out.

    `deadline` is when it has to have ended, by this machine's clock. `remediated_at` is when the last remediation of
    the cluster ended, as far as it is known; `may_name` tells which namespaces may be named to who asked.
    """

    store: Store
    claim: Claim
    request: CheckRequest
    targets: tuple[Target, ...]
    credential: Credential | None = field(repr=False)
    facts: Facts
    context: Context | RunFailed
    deadline: datetime
    concurrency: int
    registries: Registries
    remediated_at: datetime | None = None
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    may_name: Callable[[str], bool] = lambda _: True

    @property
    def user_agent(self) -> str:
        """How clusters and registries see this run."""
        return f"remediator/{remediation.__version__} (check={self.claim.run.remediation_id})"

    def judges(self) -> list[Judge]:
        """Return a judge for each registry, who knows nothing yet."""
        config = self.credential.config if self.credential else None
        name = self.request.credential or "NAME"
        wanted = Wanted(self.request.secret_name, config, name)
        return [
            Judge(
                Options(
                    self.claim.run.cluster,
                    target,
                    wanted,
                    self.facts,
                    self.request.required,
                    self.remediated_at,
                )
            )
            for target in self.targets
        ]


async def carry_out_check(execution: CheckExecution) -> None:
    """Judge the cluster and store what was found. Raises RunFailed, LeaseLost, and CancelledError when told to stop."""
    left = (execution.deadline - datetime.now(UTC)).total_seconds()
    if isinstance(execution.context, RunFailed):  # it is not served
        await _fail(execution, execution.context.error, execution.context.status)
    try:
        async with asyncio.timeout(max(0.0, left)):
            await _judge(execution, execution.context)
    except TimeoutError:
        seconds = execution.request.timeout_seconds
        detail = f"the deadline of {seconds} s passed before this was finished"
        hint = "start it again with a larger timeout_seconds"
        await _fail(execution, Error(ErrorCode.TIMEOUT, detail, hint), RunStatus.FAILED)
    except Unusable as error:
        detail = f"the kubeconfig cannot be used: {error}"
        await _fail(execution, Error(ErrorCode.UNREACHABLE, detail), RunStatus.UNREACHABLE)
    except Fault as fault:
        status = RunStatus.UNREACHABLE if fault.error.code in NO_ANSWER else RunStatus.FAILED
        await _fail(execution, fault.error, status)
    except ExceptionGroup as group:
        found = next((error for error in group.exceptions if isinstance(error, Fault)), None)
        if found is None:
            raise
        status = RunStatus.UNREACHABLE if found.error.code in NO_ANSWER else RunStatus.FAILED
        await _fail(execution, found.error, status)


async def _judge(execution: CheckExecution, context: Context) -> None:
    async with open_session(
        context, execution.user_agent, execution.concurrency, execution.cancelled
    ) as session:
        await session.reach(REACH_SECONDS)
        judges, found = await _read(execution, session)
        proofs: list[RegistryProof] = []
        if execution.request.asks_registry:
            questions = [question for judge in judges for question in judge.questions()]
            shadows = shadows_of(execution.credential)
            proofs = await ask_registries(
                questions,
                execution.registries,
                execution.user_agent,
                shadows,
                found.runtimes,
            )
    await _conclude(execution, judges, found, proofs)


async def _read(execution: CheckExecution, session: Session) -> tuple[list[Judge], Found]:
    """Read the cluster once as a whole. Raises Fault."""
    request = execution.request
    meant = RemediationRequest(
        clusters=request.clusters,
        credential=request.credential or "",
        namespaces=request.namespaces,
        ignore=request.ignore,
        namespace_selector=request.namespace_selector,
    )
    ways = Ways()
    for left in reversed(range(_MOST_READINGS)):
        ways.last = not left
        judges = execution.judges()
        asks = request.required.includes(Level.ADMISSION)
        reading = Reading(
            Lists(session, ways),
            judges,
            meant,
            request.secret_name,
            [trace for target in execution.targets for trace in target.traces],
            Admission(session, judges) if asks else None,
            may_name=execution.may_name,
        )
        try:
            found = await reading.read()
            run = execution.claim.run
            if error := refusal(run.cluster, run.uid, found.cluster_uid):
                raise Fault(error, Retry.NO)  # before anything is remembered of it
            if reading.moved and left:
                names = ", ".join(map(str, reading.moved[:_MOST_NAMED]))
                log.info("run %s: changed while it was read, reading again: %s", run.id, names)
                continue
            for each in reading.moved:
                for judge in judges:
                    judge.add_problem(each.what, each.detail, HINT, each.namespace)
            await _recall(execution, judges, reading)
            return judges, found
        except ListExpired:
            log.warning(
                "run %s: a list ran out in the middle; reading again", execution.claim.run.id
            )
    detail = f"a list ran out in the middle (410) in {_MOST_READINGS} readings"
    raise Fault(Error(ErrorCode.INTERNAL, detail, "start it again"), Retry.NO)


async def _recall(execution: CheckExecution, judges: Sequence[Judge], reading: Reading) -> None:
    """Have the judges know what is remembered of the cluster, and the memory what they saw."""
    store, server = execution.store, execution.claim.run.known_as
    before = await asyncio.to_thread(store.memory.read, server)
    if not before:
        return
    now = datetime.now(UTC)
    fresh = unsettled(judges[0], before, now)
    if fresh:
        # Managers note whole seconds, by the clock of the API server; the wait is bounded whatever that says.
        left = max(fresh.values()) + SETTLED_AFTER + timedelta(seconds=1) - now
        await asyncio.sleep(min(max(left.total_seconds(), 0), _LONGEST_WAIT))
        await reading.read_again(frozenset(fresh))
    runs = await asyncio.to_thread(store.runs.active)
    undoing = any(run.known_as == server and run.undoes for run in runs)
    changed = news(judges[0], before, now, undoing=undoing)
    await asyncio.to_thread(store.memory.amend, server, before, changed)
    known = {**before, **changed}
    for judge in judges:
        judge.add_past({place: past for place, past in known.items() if past})


async def _conclude(
    execution: CheckExecution,
    judges: Sequence[Judge],
    found: Found,
    proofs: Sequence[RegistryProof] = (),
) -> None:
    """Store the findings of all judges. Raises LeaseLost."""
    now = await asyncio.to_thread(clock.latest, execution.store.redis)
    judgement = together(judge.conclude(now, proofs) for judge in judges)
    run = execution.claim.run
    snapshot = Snapshot(run.cluster, found.cluster_uid, found.versions)
    judged_at = await asyncio.to_thread(moment_of, execution.store.redis, found.pods_at)
    certificate = certify([judgement], [snapshot], judged_at, VALID)
    judged = Judged(
        certificate.verdict,
        {str(name): number for name, number in judgement.counts.items()},
        _severities(judgement.findings),
        tuple(map(str, execution.targets)),
        {
            "cluster_uid": found.cluster_uid,
            "kubernetes_version": found.version,
            "judged_at": clock.text(certificate.issued_at),
            "valid_until": clock.text(certificate.valid_until),
            "resource_versions": dict(sorted(found.versions.items())),
            "digest": certificate.digest,
            "basis": basis_of(judges, found.secret_versions, judgement.findings),
        },
        _slips(judgement.findings),
    )
    rows = map(Finding.to_row, judgement.findings)
    plan = asdict(plan_restarts(judgement, found.budgets))
    if found.no_budgets:
        plan["note"] = f"PodDisruptionBudgets are not respected here: {found.no_budgets}"
    await asyncio.to_thread(execution.store.findings.report, execution.claim, rows, plan, judged)


async def _fail(execution: CheckExecution, error: Error, status: RunStatus) -> NoReturn:
    """Store that the cluster could not be judged, and why. Raises RunFailed."""
    judges = execution.judges()
    for judge in judges:
        judge.add_problem("cluster", f"{error.code}: {error.detail}")
    await _conclude(execution, judges, Found())
    raise RunFailed(error, status)


def moment_of(redis: Any, moment: datetime) -> datetime:
    """Return a moment of this machine's clock, which may be wrong, by that of Redis."""
    return clock.common(redis) - (datetime.now(UTC) - moment)


def _severities(findings: Sequence[Finding]) -> dict[str, int]:
    counts: Counter[str] = Counter(dict.fromkeys(Severity, 0))
    for finding in findings:
        counts[_counted_as(finding)] += finding.count
    return {str(name): number for name, number in counts.items()}


def _slips(findings: Sequence[Finding]) -> tuple[Slip, ...]:
    return tuple(
        Slip(finding.finding_class.value, finding.kind, finding.name, _counted_as(finding))
        for finding in findings
        if finding.finding_class in SLIPS
    )


def _counted_as(finding: Finding) -> str:
    accepted = finding.severity is Severity.BLOCKING and finding.waiver
    return "waived" if accepted else finding.severity.value
