"""Everything that may happen to the records, in any order, and what has to hold after each step.

Workers claim, report, die, come back too late, hand back and finish; callers create, cancel, retry and undo; recovery
looks on. A lease ends only where a step says so, so that no clock decides anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from remediation.outcome import (
    AccountCounts,
    Error,
    ErrorCode,
    NamespaceResult,
    Outcome,
    SecretAction,
)
from remediation.plan import Intent
from remediation.request import RemediationRequest
from remediation.status import RemediationStatus, RunStatus
from store import ending, keys, lineage, recovery
from store.claims import MAX_ATTEMPTS, Claim, Hold, LeaseLost
from store.intake import AlreadyUndone
from store.lines import place
from store.records import NEW, Origin, Remediation, Run
from store.store import Store
from tests.store.model import LEFT_OVER, Model, Ran
from tests.store.values import counted

POOL = "main"
SPACES = ("a", "a-b", "b", "c")
NAMES = st.lists(st.sampled_from(SPACES), min_size=1, max_size=4)
PICK = st.integers(0, 9)
OUTCOMES = st.sampled_from([Outcome.CHANGED, Outcome.UNCHANGED, Outcome.FAILED, Outcome.CANCELLED])
ROWS = st.dictionaries(st.sampled_from(SPACES), OUTCOMES, max_size=4)
FAILED = st.sampled_from([False, False, True])
BROKEN = Error(ErrorCode.INTERNAL, "the worker failed")
MOST_ACTIVE = 5
_ALL_EVENTS = 10_000


class Records(RuleBasedStateMachine):
    """The records under any order of events; `store` is set by the test."""

    store: Store

    def __init__(self) -> None:
        super().__init__()
        self.redis: Any = self.store.redis  # its replies are str here, which its types cannot say
        self.ids: list[str] = []
        self.model = Model()
        self.claims: list[Claim] = []
        self.final: dict[str, RunStatus | RemediationStatus] = {}
        self.attempts: Counter[str] = Counter()
        self.seen: dict[str, tuple[str, object]] = {}

    @initialize()
    def start_empty(self) -> None:
        self.redis.flushdb()

    # Callers

    @precondition(lambda self: len(self.model.active) < MOST_ACTIVE)
    @rule(
        clusters=st.sampled_from([("eu",), ("eu", "us")]),
        secret=st.sampled_from(["docker", "docker", "other"]),
        dry_run=st.sampled_from([False, False, False, True]),
        seconds=st.sampled_from([3600] * 7 + [-1]),
    )
    def create(self, clusters: tuple[str, ...], secret: str, dry_run: bool, seconds: int) -> None:
        request = RemediationRequest(
            clusters=clusters,
            credential="reg",
            secret_name=secret,
            dry_run=dry_run,
            timeout_seconds=seconds,
        )
        self._create(request)

    @precondition(lambda self: self.ids)
    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        before = self._remediation(self.ids[-1 - pick % len(self.ids)])
        status = self.store.remediations.cancel(before.id)
        recovery.end_unbegun(self.store, self.store.runs.without_lease(before.runs))
        assert status == (before.status if before.status.terminal else RemediationStatus.CANCELLING)

    @precondition(lambda self: self.model.ended)
    @rule(pick=PICK)
    def retry(self, pick: int) -> None:
        original = self._ended(pick)
        leaving = [
            run for run in original.runs if run.status.terminal and lineage.leaves_something(run)
        ]
        if not original.status.terminal or not leaving:
            return
        origin = Origin(
            retry_of=original.id,
            undo_of=original.undo_of,
            parents={run.cluster: lineage.parents_for_retry(run) for run in leaving},
            undoes={run.cluster: run.undoes for run in leaving if run.undoes},
        )
        made = self._create(original.request, [run.cluster for run in leaving], origin)
        for new, old in zip(made, leaving, strict=True):
            self.model.runs[new].parents = (*self.model.runs[old.id].parents, old.id)
            scope = lineage.scope_of(self.store, self._run(new))
            assert scope
            for name in SPACES:
                in_scope = name not in scope.without and (scope.only is None or name in scope.only)
                assert in_scope == self.model.in_scope(new, name), (name, scope)

    @precondition(lambda self: self.model.ended)
    @rule(pick=PICK)
    def undo(self, pick: int) -> None:
        original = self._ended(pick)
        if not original.status.terminal or original.undo_of or original.request.dry_run:
            return
        wrote = [run for run in original.runs if lineage.wrote(self.store, run)]
        for run in wrote:
            standing = list(lineage.standing_on(self.store, run))
            if standing or any(not each.undoes for each in self.store.runs.others_in_line(run)):
                return
        if not wrote:
            return
        origin = Origin(undo_of=original.id, undoes={run.cluster: run.id for run in wrote})
        clusters = [run.cluster for run in wrote]
        undone = self.model.undone()
        if any(run.id in undone for run in wrote):
            try:
                self._create(original.request, clusters, origin)
            except AlreadyUndone:
                return
            raise AssertionError("it was undone twice")
        self._create(original.request, clusters, origin)

    # Workers

    @precondition(lambda self: self.model.active)
    @rule(
        pick=PICK,
        noted=NAMES,
        rows=ROWS,
        failed=FAILED,
        end=st.sampled_from(["finish", "finish", "finish", "die", "hand back"]),
    )
    def carry_out(
        self, pick: int, noted: list[str], rows: dict[str, Outcome], failed: bool, end: str
    ) -> None:
        """Take a run and carry it out, or die or stop in the middle: what the steps below do one by one."""
        ready = self.model.ready
        before = len(self.claims)
        self.claim(self.model.active.index(ready[pick % len(ready)]), dead=True)
        if len(self.claims) > before:
            self.note(0, noted)
            for name, outcome in rows.items():
                self.report(0, [name], outcome)
            if end == "hand back":
                self.hand_back(0)
            elif end == "finish":
                self.observe(0, len(rows))
                self.finish(0, failed, close=True, follow=True)

    @precondition(lambda self: self.model.active)
    @rule(pick=PICK, dead=st.booleans())
    def claim(self, pick: int, dead: bool) -> None:
        """Take a run; `dead`: whoever has it now dies first."""
        active = self.model.active
        run_id = active[pick % len(active)]
        if dead:
            self.redis.delete(keys.lease(run_id))
        before = self._run(run_id)
        free = not self.redis.exists(keys.lease(run_id))
        deaths = before.attempt - before.handed_back
        first = not before.line or self.redis.lindex(before.line, 0) == run_id
        claim = self.store.claims.take(run_id)
        assert (claim is not None) == (free and first and deaths < MAX_ATTEMPTS)
        if claim:
            assert claim.attempt == before.attempt + 1
            self.claims.append(claim)

    @precondition(lambda self: self.claims)
    @rule(pick=PICK, only_look=st.booleans())
    def renew(self, pick: int, only_look: bool) -> None:
        claim = self._claimed(pick)
        mine = self._has(claim)
        before = self.redis.get(keys.lease(claim.run.id))
        hold = self.store.claims.look(claim) if only_look else self.store.claims.renew(claim)
        cancelling = self._remediation(claim.run.id).status is RemediationStatus.CANCELLING
        assert hold is ((Hold.CANCELLED if cancelling else Hold.HELD) if mine else Hold.LOST)
        after = str(claim.attempt) if mine and not only_look else before
        assert self.redis.get(keys.lease(claim.run.id)) == after

    @precondition(lambda self: self.claims)
    @rule(pick=PICK)
    def hand_back(self, pick: int) -> None:
        claim = self._claimed(pick)
        mine, before = self._has(claim), self._run(claim.run.id)
        held = self.redis.exists(keys.lease(claim.run.id))
        self.store.claims.hand_back(claim)
        after = self._run(claim.run.id)
        assert after.handed_back - before.handed_back == (1 if mine and held else 0)
        assert not mine or not self.redis.exists(keys.lease(claim.run.id))

    @precondition(lambda self: self.claims)
    @rule(pick=PICK, total=st.integers(0, 9))
    def observe(self, pick: int, total: int) -> None:
        claim = self._claimed(pick)
        if self._heeded(claim, lambda: self.store.claims.observed(claim, total, ())):
            assert self._run(claim.run.id).summary.total == total

    @precondition(lambda self: self.claims)
    @rule(pick=PICK, names=NAMES)
    def note(self, pick: int, names: list[str]) -> None:
        claim = self._claimed(pick)
        self._note(claim, self._about(claim, names))

    @precondition(lambda self: self.claims)
    @rule(pick=PICK, names=NAMES, outcome=OUTCOMES)
    def report(self, pick: int, names: list[str], outcome: Outcome) -> None:
        claim = self._claimed(pick)
        about = self._about(claim, names)
        if outcome is Outcome.CHANGED:
            outcome = outcome if claim.run.line else Outcome.WOULD_CHANGE
            self._note(claim, about)
        rows = [_row(name, outcome) for name in about]
        known = self.model.runs[claim.run.id].rows
        fresh = set(about) - known.keys()
        for expected in (len(fresh), 0):  # what is sent again counts once
            added = self._heeded(claim, lambda: self.store.claims.report(claim, rows))
            if added:
                assert added == [expected]
                known |= dict.fromkeys(fresh, outcome)

    @precondition(lambda self: self.claims)
    @rule(
        pick=PICK,
        failed=FAILED,
        close=st.booleans(),
        follow=st.booleans(),
    )
    def finish(self, pick: int, failed: bool, close: bool, follow: bool) -> None:
        """End a run; a worker may die before it has closed the remediation, and before it wakes who comes next."""
        claim = self._claimed(pick)
        before = self._remediation(claim.run.id)
        run = self._run(claim.run.id)
        error, status = (BROKEN, RunStatus.FAILED) if failed else (None, None)
        try:
            left = self.store.claims.finish(claim, error, status)
        except LeaseLost:
            assert run.attempt != claim.attempt
            return
        assert run.attempt == claim.attempt
        ended = 0 if run.status.terminal else 1
        assert left == sum(not each.status.terminal for each in before.runs) - ended
        if close and left == 0:
            self.store.closing.close(before.id)
        if follow:
            ending.wake_next(self.store, run)

    # Recovery

    @rule()
    def recover(self) -> None:
        for key in (keys.REAPER, *(keys.wake(run_id) for run_id in self.model.runs)):
            self.redis.delete(key)
        recovery.recover(self.store)
        waiting = self.store.queue.waiting_runs(POOL)
        for run in self.store.runs.without_lease(self.store.runs.active()):
            # One that may be ended by its deadline makes room for the next, which the next look wakes.
            assert run.behind or run.id in waiting, f"{run.id} is forgotten"
            assert run.attempt - run.handed_back < MAX_ATTEMPTS
        for remediation in self.store.remediations.get_many(self.ids):
            done = all(run.status.terminal for run in remediation.runs)
            assert remediation.status.terminal == done

    @precondition(lambda self: self.claims)
    @rule(pick=PICK)
    def die_until_given_up(self, pick: int) -> None:
        claim = self._claimed(pick)
        run_id = claim.run.id
        while self.redis.delete(keys.lease(run_id)) + bool(self.store.claims.take(run_id)):
            pass
        spent = self._run(run_id)
        if run_id in self.model.ready:
            assert spent.attempt - spent.handed_back == MAX_ATTEMPTS
        self.recover()
        run = self._run(run_id)
        assert run.status.terminal or run.behind or run.attempt - run.handed_back < MAX_ATTEMPTS

    # What holds after every step

    @invariant()
    def the_records_agree(self) -> None:
        active = self.redis.smembers(keys.ACTIVE)
        opened = set(self.store.remediations.open_ids())
        found = self.store.remediations.get_many(self.ids)
        assert [remediation.id for remediation in found] == self.ids
        for remediation in found:
            open_runs = [run for run in remediation.runs if not run.status.terminal]
            head = keys.remediation(remediation.id)
            assert int(self.redis.hget(head, "open")) == len(open_runs)
            assert remediation.id in opened or remediation.status.terminal
            assert not (remediation.status.terminal and open_runs)
            self._is_final(remediation.id, remediation.status)
            for run in remediation.runs:
                assert (run.id in active) == (not run.status.terminal)
                self._run_agrees(run)
            runs = tuple((run.status, run.attempt, run.summary) for run in remediation.runs)
            shown = (remediation.status, runs)
            revision, before = self.seen.get(remediation.id, ("", shown))
            assert before == shown or revision != remediation.revision, "a change without revision"
            self.seen[remediation.id] = (remediation.revision, shown)
        self._lines_agree({run.id: run for each in found for run in each.runs})

    def teardown(self) -> None:
        """Everything has died; healthy workers bring what is left to its end, in whatever order they may."""
        for _ in range(len(self.model.runs) + 1):
            for run in self.store.runs.active():
                self.redis.delete(keys.lease(run.id))
                if claim := self.store.claims.take(run.id):
                    self.store.claims.finish(claim)
            self.redis.delete(keys.REAPER)
            recovery.recover(self.store)
        assert self.store.runs.active() == []
        assert self.store.remediations.open_ids() == []
        for remediation in self.store.remediations.get_many(self.ids):
            assert remediation.status.terminal
            events = self.store.events.after(remediation.id, limit=_ALL_EVENTS)
            ends = Counter(event.type for event in events)
            assert ends["remediation.finished"] == 1
            assert ends["run.finished"] == len(remediation.runs)

    # Helpers

    def _create(
        self, request: RemediationRequest, clusters: list[str] | None = None, origin: Origin = NEW
    ) -> list[str]:
        names = clusters or list(request.clusters)
        places = [(cluster, POOL) for cluster in names]
        remediation_id = f"rem_01JD{len(self.ids):022d}"
        made = self.store.intake.remediation(
            remediation_id, request, "alice", places, origin=origin
        )
        # The client of Redis sends again what got no answer.
        again = self.store.intake.remediation(
            remediation_id, request, "alice", places, origin=origin
        )
        assert [run.id for run in again] == [run.id for run in made]
        self.ids.append(remediation_id)
        for run in made:
            line = None if request.dry_run else (run.cluster, request.secret_name)
            self.model.runs[run.id] = Ran(line, undoes=origin.undoes.get(run.cluster))
        return [run.id for run in made]

    def _claimed(self, pick: int) -> Claim:
        """Return one of the claims, the latest first: the others are those of workers that come too late."""
        return self.claims[-1 - pick % len(self.claims)]

    def _ended(self, pick: int) -> Remediation:
        ended = self.model.ended
        return self._remediation(ended[-1 - pick % len(ended)])

    def _heeded(self, claim: Claim, write: Callable[[], object]) -> list[object]:
        """Write as the holder of a claim; return the answer, none if the write was refused.

        It must be refused exactly if the claim has lost its run.
        """
        mine, before = self._has(claim), self._remediation(claim.run.id)
        try:
            answer = write()
        except LeaseLost:
            assert not mine
            assert self._remediation(claim.run.id) == before
            return []
        assert mine
        return [answer]

    def _note(self, claim: Claim, names: list[str]) -> None:
        if not claim.run.line:  # a dry run intends nothing
            return
        intents = [(name, Intent(SecretAction.CREATED, ("default",))) for name in names]
        if self._heeded(claim, lambda: self.store.journal.note(claim, intents)):
            self.model.runs[claim.run.id].noted |= set(names)

    def _about(self, claim: Claim, names: list[str]) -> list[str]:
        return [name for name in names if self.model.in_scope(claim.run.id, name)]

    def _has(self, claim: Claim) -> bool:
        run = self._run(claim.run.id)
        return run.status is RunStatus.RUNNING and run.attempt == claim.attempt

    def _run(self, run_id: str) -> Run:
        run = self.store.runs.get(run_id)
        assert run
        return run

    def _remediation(self, identity: str) -> Remediation:
        """Return a remediation by its own id, or by that of one of its runs."""
        remediation = self.store.remediations.get(identity.partition("-")[0])
        assert remediation
        return remediation

    def _is_final(self, identity: str, status: RunStatus | RemediationStatus) -> None:
        assert self.final.get(identity, status) == status, "a final status changed"
        if status.terminal:
            self.final[identity] = status

    def _run_agrees(self, run: Run) -> None:
        self._is_final(run.id, run.status)
        assert run.attempt >= self.attempts[run.id]
        self.attempts[run.id] = run.attempt
        expected = self.model.runs[run.id]
        rows = [row.result for row in self.store.results.rows([run])]
        assert {row.namespace: row.outcome for row in rows} == expected.rows
        assert len(rows) == len(expected.rows), "a namespace has two rows"
        counts = run.summary.to_counts()
        counts.pop("total", None)
        assert counts == counted(rows).to_counts()
        if run.error and run.error.code is ErrorCode.WORKER_LOST:
            assert run.summary.total == run.summary.done
        if run.status.terminal and run.id not in self.model.ended:
            self.model.ended.append(run.id)
            expected.complete = lineage.complete(run)
            expected.succeeded = run.status is RunStatus.SUCCEEDED
            self._lineage_agrees(run, expected)
        assert run.undone_by == self.model.undone().get(run.id)

    def _lineage_agrees(self, run: Run, expected: Ran) -> None:
        """What the run did, which an undo takes back, and who stands on whom now that it has ended."""
        assert lineage.done_by(self.store, run).keys() == expected.wrote
        assert lineage.wrote(self.store, run) == bool(expected.wrote)
        for earlier in self.model.ended:
            if self.model.runs[earlier].line:
                standing = lineage.standing_on(self.store, self._run(earlier))
                found = {each.id: number for each, number in standing}
                assert found == self.model.standing_on(earlier)

    def _lines_agree(self, runs: dict[str, Run]) -> None:
        lines = self.model.lines()
        for cluster, secret in {run.line for run in self.model.runs.values() if run.line}:
            waiting = self.redis.lrange(keys.line(place(cluster, secret)), 0, -1)
            assert waiting == lines.get((cluster, secret), [])
            for run_id in waiting[1:]:
                assert runs[run_id].status is RunStatus.QUEUED, "two write at once"
                assert runs[run_id].behind == waiting[0].rpartition("-")[0]


def _row(namespace: str, outcome: Outcome) -> NamespaceResult:
    if outcome in LEFT_OVER:
        return NamespaceResult(namespace, outcome, doubtful=True)
    if outcome is Outcome.UNCHANGED:
        return NamespaceResult(
            namespace,
            outcome,
            secret_action=SecretAction.UNCHANGED,
            accounts=AccountCounts(unchanged=1),
        )
    return NamespaceResult(
        namespace,
        outcome,
        secret_action=SecretAction.CREATED,
        accounts=AccountCounts(changed=1),
        changed_accounts=("default",),
    )
