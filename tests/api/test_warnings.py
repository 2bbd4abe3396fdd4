"""What a remediation warns of: many of a kind are one warning that names them all."""

from dataclasses import replace
from typing import Any

import pytest

from api.warnings import MOST_ALIKE, warnings_of
from remediation.caution import CautionCode, CautionCount
from remediation.outcome import Summary
from remediation.request import RemediationRequest
from remediation.status import RemediationStatus, RunStatus
from remediation.unmatched import Part, Unmatched
from store.records import Remediation, Run

RUN = Run("r", "rem", "eu-1", "main", RunStatus.SUCCEEDED, 1, 0, "", Summary(), missing=())
UNSEEN = replace(RUN, cluster="down", status=RunStatus.UNREACHABLE, missing=None)


def told(*runs: Run, **request: Any) -> list[dict[str, Any]]:
    asked = RemediationRequest(clusters=("*",), **request)
    done = Remediation("rem", RemediationStatus.SUCCEEDED, asked, "ci", "", "0-0", runs)
    return warnings_of(done)


def names(number: int) -> tuple[str, ...]:
    return tuple(f"ns-{each:03}" for each in range(number))


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (Part.NAMESPACES, "900 entries of `namespaces` match no namespace of any selected cluster"),
        (Part.IGNORE, "900 entries of `ignore` match no namespace of any selected cluster"),
        (Part.ACCOUNTS, "900 entries of `service_accounts` match no ServiceAccount"),
        (Part.IGNORED_ACCOUNTS, "900 entries of `ignore_service_accounts` match no ServiceAccount"),
    ],
)
@pytest.mark.parametrize("globs", [True, False])
def test_hundreds_of_entries_that_match_nothing_are_one_warning(
    part: Part, said: str, globs: bool
) -> None:
    many = names(900)
    plain = part in (Part.NAMESPACES, Part.IGNORE) and not globs
    run = replace(
        RUN,
        missing=many if plain else (),
        unmatched=tuple(Unmatched(part, name) for name in many),
    )

    (warning,) = told(run, **{str(part): many})

    assert warning["detail"].startswith(said)
    assert ": 'ns-000', 'ns-001', 'ns-002', …" in warning["detail"]
    assert (warning["name"], warning["names"]) == ("ns-000", list(many))


def test_a_few_are_told_by_themselves_with_what_was_meant() -> None:
    few = names(MOST_ALIKE)
    run = replace(RUN, unmatched=tuple(Unmatched(Part.IGNORE, name, "ns") for name in few))

    warnings = told(run, ignore=few)

    assert [each["names"] for each in warnings] == [[name] for name in few]
    assert all(each["detail"].endswith("did you mean 'ns'?") for each in warnings)


def test_slips_of_different_fields_are_told_apart() -> None:
    many = names(MOST_ALIKE + 1)
    slips = (Unmatched(Part.SELECTOR, "a=b"), *(Unmatched(Part.IGNORE, each) for each in many))

    warnings = told(replace(RUN, unmatched=slips), ignore=many)

    assert [(each["code"], len(each["names"])) for each in warnings] == [
        ("namespace_selector_not_matched", 1),
        ("namespace_not_found", 6),
    ]


def test_clusters_that_were_not_looked_at_are_named_up_to_a_bound() -> None:
    down = [replace(UNSEEN, cluster=f"down-{{{each}}}") for each in range(100)]
    many = names(MOST_ALIKE + 1)
    run = replace(RUN, unmatched=tuple(Unmatched(Part.IGNORE, each) for each in many))

    (warning,) = told(run, *down, ignore=many)

    assert (
        "(not looked at: down-{0}, down-{1}, down-{2}, down-{3}, down-{4} and 95 more)"
        in (warning["detail"])
    )


def test_hundreds_of_writers_are_one_warning() -> None:
    counts = tuple(CautionCount(CautionCode.DRIFT, f"app-{each:03}", 2) for each in range(300))

    (warning,) = told(replace(RUN, cautions=counts))

    assert warning["detail"].startswith(
        "300 writers write their own values again and remove the Secret's name or login from 600 objects: 'app-000',"
    )
    assert len(warning["names"]) == 300


@pytest.mark.parametrize(
    ("dry_run", "written"), [(True, "would be written"), (False, "is written")]
)
def test_a_dry_run_says_what_would_be_written(dry_run: bool, written: str) -> None:
    run = replace(RUN, unmatched=(Unmatched(Part.ACCOUNTS, "dfault", "default"),))

    (warning,) = told(run, service_accounts=("dfault",), dry_run=dry_run)

    assert f"the Secret {written} all the same" in warning["detail"]
