"""Rows: complete, in order, and adding up, whatever happened on the way."""

from collections import Counter
from collections.abc import Callable
from itertools import islice

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remediation.outcome import (
    AccountCounts,
    Error,
    ErrorCode,
    NamespaceResult,
    Outcome,
    SecretAction,
)
from remediation.patterns import matcher
from store import keys
from store.claims import Claim, LeaseLost
from store.records import Row
from store.store import Store
from tests.store.values import (
    ID,
    ROWS,
    a_claim,
    a_later_claim,
    a_remediation,
    a_row,
    all_keys,
    counted,
    stored,
)

RUN = f"{ID}-0"
BYTES_A_ROW = 600
MOST_PAGES = 100
# The store is emptied by each example itself.
EMPTIED = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
CLUSTERS = ["eu-1", "us-1", "us-2"]
FILTERS = st.sampled_from(
    [("*",), ("a",), ("a", "ab!"), ("a-*",), ("a?b",), ("a*", "b"), ("b", "zz"), ("zz*",), ()]
)


def _names(rows: list[NamespaceResult]) -> list[str]:
    return [row.namespace for row in rows]


def fresh(store: Store, clusters: list[str]) -> None:
    store.redis.flushdb()
    a_remediation(store, clusters=clusters)


def pages(
    store: Store, size: int, outcomes: list[Outcome], namespaces: tuple[str, ...]
) -> list[list[Row]]:
    remediation = store.remediations.get(ID)
    assert remediation
    taken: list[list[Row]] = []
    after = None
    while len(taken) < MOST_PAGES:
        rows = store.results.rows(
            remediation.runs, outcomes=outcomes, namespaces=namespaces, after=after
        )
        page = list(islice(rows, size))
        if not page:
            return taken
        taken.append(page)
        after = (page[-1].run_index, page[-1].result.namespace)
    raise AssertionError("the pages do not end")


STEPS = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.lists(ROWS, max_size=5)), min_size=1, max_size=8
)


@EMPTIED
@given(STEPS)
def test_counters_are_the_sums_of_the_rows(
    store: Store, steps: list[tuple[bool, bool, list[NamespaceResult]]]
) -> None:
    """Workers come and go, late ones report too, and reports are repeated."""
    fresh(store, ["eu-1"])
    claims: list[Claim] = [a_claim(store)]
    accepted: dict[str, NamespaceResult] = {}
    for moves_on, by_a_late_one, batch in steps:
        if moves_on and len(claims) < 5:
            claims.append(a_later_claim(store))
        if by_a_late_one and len(claims) > 1:
            with pytest.raises(LeaseLost):
                store.claims.report(claims[0], batch)
            continue
        new = store.claims.report(claims[-1], batch)
        before = len(accepted)
        for row in batch:
            accepted.setdefault(row.namespace, row)
        assert new == len(accepted) - before

    run = store.runs.get(RUN)
    rows = stored(store)
    assert run
    assert rows == sorted(accepted.values(), key=lambda row: row.namespace)
    assert run.summary == counted(rows)
    assert store.results.namespaces(RUN) == set(accepted)


@EMPTIED
@given(
    st.lists(
        st.lists(ROWS, max_size=9, unique_by=lambda row: row.namespace), min_size=3, max_size=3
    ),
    st.integers(1, 7),
    st.lists(st.sampled_from(Outcome), unique=True, min_size=1),
    FILTERS,
)
def test_pages_hold_every_matching_row_once_and_in_order(
    store: Store,
    by_run: list[list[NamespaceResult]],
    size: int,
    outcomes: list[Outcome],
    namespaces: tuple[str, ...],
) -> None:
    fresh(store, CLUSTERS)
    for index, rows in enumerate(by_run):
        store.claims.report(a_claim(store, f"{ID}-{index}"), rows)

    taken = pages(store, size, outcomes, namespaces)

    matches = matcher(namespaces)
    expected = [
        Row(index, CLUSTERS[index], row)
        for index, rows in enumerate(by_run)
        for row in sorted(rows, key=lambda row: row.namespace)
        if row.outcome in outcomes and matches(row.namespace)
    ]
    assert [row for page in taken for row in page] == expected
    assert all(len(page) == size for page in taken[:-1])


@pytest.mark.parametrize("size", [1, 499, 500, 501, 1300])
@pytest.mark.parametrize("namespaces", [("*",), ("ns-*",), ("ns-1*", "ns-2*")])
def test_pages_are_complete_beyond_what_is_read_at_once(
    store: Store, size: int, namespaces: tuple[str, ...]
) -> None:
    a_remediation(store)
    names = [f"ns-{number:04d}" for number in range(1201 if size > 1 else 40)]
    outcomes = list(Outcome)
    claim = a_claim(store)
    store.claims.report(claim, [a_row(name, outcomes[at % 3]) for at, name in enumerate(names)])

    taken = pages(store, size, outcomes, namespaces)

    found = [row.result.namespace for page in taken for row in page]
    assert found == [name for name in names if matcher(namespaces)(name)]


def test_one_outcome_of_many_rows_is_read_in_chunks(store: Store) -> None:
    a_remediation(store)
    names = [f"ns-{number:04d}" for number in range(1000)]  # twice a chunk, and not one more
    store.claims.report(a_claim(store), [a_row(name) for name in names])

    assert _names(stored(store)) == names


def test_a_place_between_rows_is_a_place_too(store: Store) -> None:
    a_remediation(store, clusters=["eu-1", "us-1"])
    store.claims.report(a_claim(store), [a_row("a"), a_row("c")])
    store.claims.report(a_claim(store, f"{ID}-1"), [a_row("a")])
    remediation = store.remediations.get(ID)
    assert remediation

    def after(index: int, name: str) -> list[tuple[int, str]]:
        rows = store.results.rows(remediation.runs, after=(index, name))
        return [(row.run_index, row.result.namespace) for row in rows]

    assert after(0, "b") == [(0, "c"), (1, "a")]
    assert after(0, "") == [(0, "a"), (0, "c"), (1, "a")]
    assert after(0, "zz") == [(1, "a")]
    assert after(1, "a") == []
    assert after(2, "") == []


@EMPTIED
@given(ROWS)
def test_a_row_is_read_back_as_it_was(store: Store, row: NamespaceResult) -> None:
    fresh(store, ["eu-1"])

    store.claims.report(a_claim(store), [row])

    assert stored(store) == [row]


def test_rows_are_read_no_further_than_they_are_taken(store: Store) -> None:
    a_remediation(store)
    store.claims.report(a_claim(store), [a_row(f"ns-{number:05d}") for number in range(5000)])
    remediation = store.remediations.get(ID)
    assert remediation
    before = _commands(store)

    page = list(islice(store.results.rows(remediation.runs), 10))

    assert len(page) == 10
    assert _commands(store) - before <= len(Outcome)


def _commands(store: Store) -> int:
    return int(store.redis.info("commandstats").get("cmdstat_zrangebylex", {}).get("calls", 0))


@pytest.mark.timeout(120)
def test_a_row_takes_little_memory(
    store: Store, record_property: Callable[[str, object], None]
) -> None:
    """Twenty thousand namespaces of one remediation, as a large fleet has them."""
    count = 20_000
    a_remediation(store)
    claim = a_claim(store)
    rows = [_realistic(number) for number in range(count)]

    for start in range(0, count, 500):
        store.claims.report(claim, rows[start : start + 500])

    row_keys = [key for key in all_keys(store) if ":rows:" in key]
    used = sum(int(store.redis.memory_usage(key, samples=0) or 0) for key in row_keys)
    told = store.redis.memory_usage(keys.events(ID), samples=0) or 0
    record_property("bytes a row", round(used / count))
    record_property("bytes a row in events", round(told / count))
    assert used / count < BYTES_A_ROW
    assert Counter(row.outcome for row in stored(store)) == Counter(row.outcome for row in rows)


def _realistic(number: int) -> NamespaceResult:
    name = f"team-{number % 500:03d}-payments-{number:05d}"
    if number % 20 == 0:
        error = Error(
            ErrorCode.FORBIDDEN,
            "serviceaccounts 'default' is forbidden: the worker's account may not patch it here",
            "grant the verbs of the chart's ClusterRole",
            403,
            f"serviceaccounts/{name}/default",
        )
        return NamespaceResult(
            name, Outcome.FAILED, accounts=AccountCounts(0, 1, 0, 2), attempts=1, error=error
        )
    return NamespaceResult(
        name,
        Outcome.CHANGED,
        secret_action=SecretAction.CREATED,
        accounts=AccountCounts(3, 1, 0, 0),
        changed_accounts=("default", "builder", "deployer"),
        attempts=1,
        duration_ms=number % 900,
    )
