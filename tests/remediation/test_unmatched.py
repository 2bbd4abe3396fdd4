import pytest

from remediation.request import RemediationRequest
from remediation.unmatched import (
    Part,
    Unmatched,
    slips_in_ignore,
    unmatched_accounts,
    unmatched_everywhere,
    unmatched_namespaces,
)

NAMES = ("shop", "shop-db", "kube-system")


def request(**fields: object) -> RemediationRequest:
    return RemediationRequest(clusters=("*",), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "part", "pattern", "near"),
    [
        ({"namespaces": ("shpo", "shop")}, Part.NAMESPACES, "shpo", "shop"),
        ({"namespaces": ("shpo-*",)}, Part.NAMESPACES, "shpo-*", "shop-db"),
        ({"ignore": ("kube-sistem",)}, Part.IGNORE, "kube-sistem", "kube-system"),
        ({"ignore": ("openshift-*",)}, Part.IGNORE, "openshift-*", None),
        ({"namespace_selector": "team=a"}, Part.SELECTOR, "team=a", None),
    ],
)
def test_an_entry_that_matches_no_namespace_is_told(
    fields: dict[str, object], part: Part, pattern: str, near: str | None
) -> None:
    assert unmatched_namespaces(request(**fields), NAMES) == (Unmatched(part, pattern, near),)


@pytest.mark.parametrize(
    "fields",
    [{}, {"namespaces": ("shop", "kube-?ystem"), "ignore": ("shop-*",)}],
)
def test_entries_that_match_are_not_told(fields: dict[str, object]) -> None:
    assert unmatched_namespaces(request(**fields), NAMES) == ()


def test_a_selector_counts_only_for_the_namespaces_that_are_named() -> None:
    wanted = request(namespaces=("shop",), namespace_selector="team=a")

    assert unmatched_namespaces(wanted, NAMES, ["shop"]) == ()
    assert [each.part for each in unmatched_namespaces(wanted, NAMES, ["shop-db"])] == [
        Part.SELECTOR
    ]


def test_a_selector_is_not_told_where_the_names_have_the_slip() -> None:
    wanted = request(namespaces=("shpo",), namespace_selector="team=a")

    assert [each.part for each in unmatched_namespaces(wanted, NAMES)] == [Part.NAMESPACES]


@pytest.mark.parametrize(
    ("pattern", "near"),
    [
        ("bulider", "builder"),
        ("shop/bulider", "shop/builder"),
        ("shop-*/builder", None),
        ("*/bulider", "shop/builder"),
    ],
)
def test_a_pattern_that_matches_no_account_is_told(pattern: str, near: str | None) -> None:
    accounts = [("shop", "builder"), ("web", "default")]

    (found,) = unmatched_accounts(request(service_accounts=(pattern,)), accounts)

    assert (found.part, found.pattern) == (Part.ACCOUNTS, pattern)
    assert near is None or found.nearest == near


@pytest.mark.parametrize("pattern", ["*", "*/*", "builder", "shop/*", "*/def*", "s?op/builder"])
def test_a_pattern_that_matches_an_account_is_not_told(pattern: str) -> None:
    accounts = [("shop", "builder"), ("web", "default")]

    assert unmatched_accounts(request(ignore_service_accounts=(pattern,)), accounts) == ()


def test_what_one_cluster_has_is_no_slip() -> None:
    a, b = Unmatched(Part.NAMESPACES, "a"), Unmatched(Part.NAMESPACES, "b")
    near = Unmatched(Part.NAMESPACES, "a", "aa")

    assert unmatched_everywhere([[a, b], [near]]) == (near,)
    assert unmatched_everywhere([[a, b], []]) == ()
    assert unmatched_everywhere([]) == ()


@pytest.mark.parametrize(
    ("ignore", "told"),
    [
        (("shpo",), (Unmatched(Part.IGNORE, "shpo", "shop"),)),
        (("kube-system", "shop", "shpo-*"), ()),
    ],
)
def test_of_named_namespaces_only_a_likely_slip_in_ignore_is_told(
    ignore: tuple[str, ...], told: tuple[Unmatched, ...]
) -> None:
    assert slips_in_ignore(request(namespaces=("shop", "web"), ignore=ignore)) == told
