"""Records that most tests of the store need and none is about."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st

from remediation.caution import Caution, CautionCode
from remediation.footprint import AccountMark, Holder, SecretMark
from remediation.inventory import AnnouncedCluster, AnnouncedCredential, Announcement
from remediation.outcome import (
    AccountCounts,
    Error,
    ErrorCode,
    NamespaceResult,
    Outcome,
    SecretAction,
    Summary,
    summarise_row,
)
from remediation.registry.check import CheckResult, RegistryReport
from remediation.registry.verdict import LoginAnswer, Verdict
from remediation.request import RemediationRequest
from store import keys
from store.claims import Claim
from store.store import Store

ID = "rem_01JD0000000000000000000001"
REQUEST = RemediationRequest(clusters=("*",), credential="reg")

A_CHECK = CheckResult(
    (
        RegistryReport(
            "r.example", Verdict.WORKS, "served", "", "team/app", 3, LoginAnswer.ACCEPTED, True
        ),
        RegistryReport("s.example", Verdict.NOT_PROVEN_PUBLIC, "everybody may", "a hint"),
    ),
    "2026-08-21T10:00:00Z",
)

# Names that begin alike, with signs on both sides of what separates a name from its row.
NAMES = st.sampled_from(["a", "a-b", "a-b-c", "a.b", "a0", "ab", "ab!", "b", "a" * 63])
ERRORS = st.none() | st.builds(
    Error,
    st.sampled_from(ErrorCode),
    st.text(st.characters(codec="utf-8"), max_size=9),
    st.sampled_from(["", "a hint"]),
    http_status=st.none() | st.integers(400, 599),
    object=st.none() | st.just("secrets/a/docker"),
)
UIDS = st.uuids().map(str) | st.sampled_from(["", "uid-a", "=", "A" * 22, "0" * 32])
HOLDERS = st.lists(
    st.builds(
        Holder, st.sampled_from(["flux", "", "é", "A"]), st.sampled_from(["Apply", "Update"])
    ),
    max_size=2,
).map(tuple)
SECRET_MARKS = st.none() | st.builds(SecretMark, UIDS, HOLDERS, st.sampled_from(["", "a b"]))
MARKED = st.lists(
    st.builds(AccountMark, st.sampled_from(["default", "ab", "c"]), UIDS, HOLDERS) | st.just("d"),
    max_size=3,
    unique_by=lambda each: each if isinstance(each, str) else each.name,
).map(tuple)


def _marked(row: NamespaceResult, marked: tuple[AccountMark | str, ...]) -> NamespaceResult:
    """Return the row with ServiceAccounts, of which those that are marks have one."""
    marks = tuple(each for each in marked if isinstance(each, AccountMark))
    names = tuple(each if isinstance(each, str) else each.name for each in marked)
    return replace(row, changed_accounts=names, account_marks=marks)


A_CAUTION = Caution(CautionCode.DRIFT, "flux.é", "serviceaccounts/a/b", "it will", "do")
PLAIN_ROWS = st.builds(
    NamespaceResult,
    NAMES,
    st.sampled_from(Outcome),
    reason=st.none() | st.text(st.characters(codec="utf-8"), max_size=9),
    secret_action=st.sampled_from(SecretAction),
    accounts=st.builds(AccountCounts, *[st.integers(0, 9)] * 4),
    attempts=st.integers(0, 5),
    duration_ms=st.integers(0, 10_000),
    error=ERRORS,
    secret_version=st.none() | st.just(("a-uid", "17")),
    doubtful=st.booleans(),
    doubtful_accounts=st.none() | st.lists(st.just("default"), max_size=1).map(tuple),
    secret_mark=SECRET_MARKS,
    cautions=st.just(()) | st.just((A_CAUTION,)),
)
ROWS = st.builds(_marked, PLAIN_ROWS, MARKED)


def a_remediation(
    store: Store, remediation_id: str = ID, clusters: Sequence[str] = ("eu-1",), pool: str = "main"
) -> list[str]:
    """Record a remediation; return the ids of its runs."""
    places = [(cluster, pool) for cluster in clusters]
    return [run.id for run in store.intake.remediation(remediation_id, REQUEST, "alice", places)]


def a_claim(store: Store, run_id: str = f"{ID}-0") -> Claim:
    claim = store.claims.take(run_id)
    assert claim
    return claim


def let_go(store: Store, run_id: str = f"{ID}-0") -> None:
    """Have the lease run out, as it does when a worker dies."""
    store.redis.delete(keys.lease(run_id))


def a_later_claim(store: Store, run_id: str = f"{ID}-0") -> Claim:
    let_go(store, run_id)
    return a_claim(store, run_id)


def a_row(namespace: str, outcome: Outcome = Outcome.CHANGED) -> NamespaceResult:
    return NamespaceResult(
        namespace,
        outcome,
        secret_action=SecretAction.CREATED,
        accounts=AccountCounts(changed=1, unchanged=2, ignored=3, failed=4),
        changed_accounts=("default",),
        attempts=1,
        duration_ms=12,
    )


def stored(store: Store, remediation_id: str = ID) -> list[NamespaceResult]:
    remediation = store.remediations.get(remediation_id)
    assert remediation
    return [row.result for row in store.results.rows(remediation.runs)]


def counted(rows: Sequence[NamespaceResult]) -> Summary:
    return sum((summarise_row(row) for row in rows), Summary())


def end(store: Store, run_id: str = f"{ID}-0") -> None:
    """Carry a run out to its end, without a namespace."""
    store.claims.finish(a_claim(store, run_id))


def an_announcement(
    worker_id: str = "w1",
    *,
    pool: str = "main",
    clusters: Sequence[AnnouncedCluster] = (),
    credentials: Sequence[AnnouncedCredential] = (),
) -> Announcement:
    return Announcement(
        worker_id=worker_id,
        pool=pool,
        version="0.1.0",
        host="host",
        pid=7,
        started_at="2026-01-01T00:00:00.000Z",
        processes=4,
        clusters=tuple(clusters),
        credentials=tuple(credentials),
        problems=("a file that cannot be read",),
    )


def all_keys(store: Store) -> dict[str, int]:
    """Return the seconds that each key still lives, -1 for ever."""
    return {key: int(store.redis.ttl(key)) for key in store.redis.scan_iter(count=1000)}
