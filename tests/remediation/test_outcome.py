"""Result rows and their sums."""

from hypothesis import given
from hypothesis import strategies as st

from remediation.outcome import (
    SUMMARY_FIELDS,
    AccountCounts,
    Error,
    ErrorCode,
    NamespaceResult,
    Outcome,
    SecretAction,
    Summary,
    summarise_row,
)

COUNTS = st.builds(AccountCounts, *[st.integers(0, 50)] * 4)
ROWS = st.builds(
    NamespaceResult,
    st.text("ab-", min_size=1, max_size=5),
    st.sampled_from(Outcome),
    secret_action=st.sampled_from(SecretAction),
    accounts=COUNTS,
)
SUMMARIES = st.builds(Summary, **dict.fromkeys(SUMMARY_FIELDS, st.integers(0, 1000)))


def summed(rows: list[NamespaceResult]) -> Summary:
    return sum((summarise_row(row) for row in rows), Summary())


@given(st.lists(ROWS))
def test_every_row_counts_once(rows: list[NamespaceResult]) -> None:
    summary = summed(rows)

    assert summary.done == len(rows)
    for outcome in Outcome:
        expected = sum(1 for row in rows if row.outcome is outcome)
        assert getattr(summary, outcome) == expected


@given(st.lists(ROWS))
def test_rows_say_nothing_about_the_total(rows: list[NamespaceResult]) -> None:
    """It is known after the observation; rows that also counted would count twice."""
    assert summed(rows).total == 0


@given(st.lists(ROWS))
def test_accounts_add_up(rows: list[NamespaceResult]) -> None:
    summary = summed(rows)

    ignored = sum(row.accounts.ignored for row in rows)
    parts = summary.accounts_changed + summary.accounts_unchanged + summary.accounts_failed
    assert summary.accounts_total == parts + ignored == sum(row.accounts.total for row in rows)


@given(ROWS)
def test_a_secret_counts_once_and_a_rewritten_one_as_updated_too(row: NamespaceResult) -> None:
    summary = summarise_row(row)

    counted = {
        name.removeprefix("secrets_")
        for name in SUMMARY_FIELDS
        if name.startswith("secrets_") and getattr(summary, name)
    }
    rewritten = {SecretAction.MERGED, SecretAction.REPLACED}
    if row.outcome is Outcome.FAILED and row.secret_action is SecretAction.NONE:
        assert counted == {"failed"}
    elif row.secret_action in rewritten:
        assert counted == {"updated", row.secret_action}
    elif row.secret_action is SecretAction.NONE:
        assert counted == set()
    else:
        assert counted == {row.secret_action}


@given(SUMMARIES, SUMMARIES)
def test_sums_are_made_field_by_field(first: Summary, second: Summary) -> None:
    both = first + second

    for name in SUMMARY_FIELDS:
        assert getattr(both, name) == getattr(first, name) + getattr(second, name)


@given(SUMMARIES)
def test_counts_are_read_back_as_they_were(summary: Summary) -> None:
    assert Summary.from_counts(summary.to_counts() | {"unknown": 3}) == summary


def test_done_in_line_and_failed_are_told_apart() -> None:
    summary = Summary(changed=1, unchanged=2, would_change=4, ignored=8, skipped=16, failed=32)

    assert summary.in_line == 7
    assert summary.done == 63


def test_only_what_may_pass_by_itself_is_retryable() -> None:
    retryable = {code for code in ErrorCode if Error(code, "").retryable}

    assert retryable == {
        "unreachable",
        "timeout",
        "conflict_exhausted",
        "quota_exceeded",
        "secret_terminating",
        "worker_lost",
        "internal",
    }
