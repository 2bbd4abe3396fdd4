"""Which clusters, namespaces and ServiceAccounts a request means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.label_selector import SelectorError
from remediation.outcome import Outcome
from remediation.patterns import matcher
from remediation.request import RemediationRequest
from remediation.selection import (
    AccountSelection,
    Judgement,
    NamespaceSelection,
    UnknownCluster,
    missing_names,
    nearest,
    select_clusters,
)
from remediation.state import Namespace
from tests.remediation.values import LABELS, NAMES, a_request

PATTERNS = st.text("ab-*?", min_size=1, max_size=4)
SOME = st.lists(PATTERNS, min_size=1, max_size=3)
NAMESPACES = st.builds(
    Namespace, NAMES, labels=LABELS, excluded=st.booleans(), terminating=st.booleans()
)


def judge(request: RemediationRequest, namespace: Namespace) -> Judgement | None:
    return NamespaceSelection.of(request).judge(namespace)


@given(SOME, st.lists(PATTERNS, max_size=3), st.sampled_from([None, "app", "!app"]), NAMESPACES)
def test_a_namespace_is_judged_by_the_first_rule_that_applies(
    namespaces: list[str], ignore: list[str], selector: str | None, namespace: Namespace
) -> None:
    request = a_request(namespaces=namespaces, ignore=ignore, namespace_selector=selector)

    judgement = judge(request, namespace)

    named = matcher(tuple(namespaces))(namespace.name)
    labelled = selector is None or ("app" in namespace.labels) == (selector == "app")
    if not (named and labelled):
        assert judgement is None
    elif matcher(tuple(ignore))(namespace.name) or namespace.excluded:
        assert judgement
        assert judgement.outcome is Outcome.IGNORED
        assert judgement.reason
    elif namespace.terminating:
        assert judgement
        assert judgement.outcome is Outcome.SKIPPED
        assert judgement.reason
    else:
        assert judgement == Judgement()


@given(NAMESPACES)
def test_ignoring_always_wins(namespace: Namespace) -> None:
    request = a_request(namespaces=[namespace.name, "*"], ignore=[namespace.name])

    judgement = judge(request, namespace)

    assert judgement
    assert judgement.outcome is Outcome.IGNORED


def test_the_reason_names_the_pattern_that_ignored() -> None:
    request = a_request(ignore=["other", "kube-*"])

    assert judge(request, Namespace("kube-system")) == Judgement(
        Outcome.IGNORED, "ignored by 'kube-*'"
    )


def test_the_reason_names_the_annotation_that_excluded() -> None:
    judgement = judge(a_request(), Namespace("team-a", excluded=True))

    assert judgement
    assert judgement.reason == "excluded by annotation remediator.dev/exclude"


@pytest.mark.parametrize("name", ["kube-system", "kube-public", "default", "openshift-x"])
def test_nothing_is_ignored_by_default(name: str) -> None:
    assert judge(a_request(), Namespace(name)) == Judgement()


def test_a_namespace_that_the_selector_leaves_out_makes_no_row_even_if_ignored() -> None:
    request = a_request(ignore=["team-a"], namespace_selector="tier=prod")

    assert judge(request, Namespace("team-a")) is None


def test_a_wrong_selector_is_not_taken_for_everything() -> None:
    with pytest.raises(SelectorError):
        NamespaceSelection.of(a_request(namespace_selector="a b"))


@given(SOME, st.lists(NAMES, unique=True, max_size=6))
def test_clusters_are_the_known_ones_that_any_pattern_means(
    patterns: list[str], known: list[str]
) -> None:
    selected, unknown = select_clusters(patterns, known)

    assert list(selected) == [name for name in known if matcher(tuple(patterns))(name)]
    assert [entry.index for entry in unknown] == [
        index
        for index, pattern in enumerate(patterns)
        if not any(matcher((pattern,))(name) for name in known)
    ]


def test_a_mistyped_cluster_is_reported_with_the_nearest_one() -> None:
    selected, unknown = select_clusters(["us-*", "eu-prd-1", "zzz"], ["eu-prod-1", "us-1"])

    assert selected == ("us-1",)
    assert unknown == (UnknownCluster(1, "eu-prd-1", "eu-prod-1"), UnknownCluster(2, "zzz", None))


def test_a_star_without_any_cluster_means_none() -> None:
    assert select_clusters(["*"], []) == ((), (UnknownCluster(0, "*", None),))


def test_the_nearest_name_is_the_most_alike() -> None:
    assert nearest("docker-hb", ["docker-hub", "docker", "quay"]) == "docker-hub"
    assert nearest("x", []) is None


@given(NAMES, NAMES, st.lists(PATTERNS, max_size=3), st.lists(PATTERNS, max_size=3))
def test_accounts_are_included_unless_ignored(
    namespace: str, name: str, include: list[str], ignore: list[str]
) -> None:
    request = a_request(service_accounts=include, ignore_service_accounts=ignore)

    selects = AccountSelection.of(request).selects(namespace, name)

    assert selects == (matcher(tuple(include))(name) and not matcher(tuple(ignore))(name))


@pytest.mark.parametrize(
    ("pattern", "namespace", "name", "selected"),
    [
        ("default", "team-a", "default", True),
        ("team-a/default", "team-a", "default", True),
        ("team-a/default", "team-b", "default", False),
        ("team-*/build?", "team-a", "build1", True),
        ("team-*/build?", "team-a", "default", False),
        ("*/default", "team-a", "default", True),
        ("team-a/default", "team-a/default", "default", False),
        ("team-a", "team-a", "default", False),
    ],
)
def test_an_account_pattern_may_name_the_namespace(
    pattern: str, namespace: str, name: str, selected: bool
) -> None:
    request = a_request(service_accounts=[pattern])

    assert AccountSelection.of(request).selects(namespace, name) is selected


def test_a_qualified_pattern_ignores_there_only() -> None:
    accounts = AccountSelection.of(a_request(ignore_service_accounts=["team-a/default"]))

    assert not accounts.selects("team-a", "default")
    assert accounts.selects("team-b", "default")
    assert accounts.selects("team-a", "builder")


@given(SOME, st.lists(PATTERNS, max_size=3), st.sets(NAMES))
def test_missing_are_the_plain_names_that_are_not_there(
    namespaces: list[str], ignore: list[str], present: set[str]
) -> None:
    missing = missing_names(a_request(namespaces=namespaces, ignore=ignore), present)

    named = {name for name in [*namespaces, *ignore] if not set(name) & set("*?")}
    assert set(missing) == named - present
    assert len(missing) == len(set(missing))
