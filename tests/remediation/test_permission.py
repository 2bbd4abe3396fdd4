"""Roles, grants and what they cover."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.patterns import matcher, subsumes
from remediation.permission import (
    MOST_PLACES,
    ROLES,
    Binding,
    Grant,
    Permission,
    Place,
    Policy,
    Requester,
    Rights,
    Role,
)

PATTERNS = st.text("ab*?", min_size=1, max_size=7)
# All names of up to five letters, one of which appears in no pattern.
NAMES = ["".join(name) for size in range(6) for name in itertools.product("abc", repeat=size)]


def a_grant(
    role: Role = Role.REQUESTER,
    clusters: str = "*",
    namespaces: str = "*",
    credentials: str = "*",
) -> Grant:
    return Grant(
        role=role,
        clusters=tuple(clusters.split()),
        namespaces=tuple(namespaces.split()),
        credentials=tuple(credentials.split()),
    )


@given(PATTERNS, PATTERNS)
def test_a_subsumed_pattern_matches_nothing_else(wider: str, pattern: str) -> None:
    if subsumes(wider, pattern):
        outside = [name for name in NAMES if not matcher((wider,))(name)]
        assert not any(map(matcher((pattern,)), outside))


@given(PATTERNS)
def test_every_pattern_subsumes_itself_and_is_subsumed_by_a_star(pattern: str) -> None:
    assert subsumes(pattern, pattern)
    assert subsumes("*", pattern)


@given(PATTERNS, st.sampled_from(NAMES))
def test_a_name_is_subsumed_by_what_matches_it(pattern: str, name: str) -> None:
    assert subsumes(pattern, name) == matcher((pattern,))(name)


@given(PATTERNS, st.data())
def test_what_stands_for_a_wildcard_is_subsumed(pattern: str, data: st.DataObject) -> None:
    narrower = "".join(
        data.draw(st.text("ab*?", max_size=3)) if char == "*" else char for char in pattern
    )
    assert subsumes(pattern, narrower)


@pytest.mark.parametrize(
    ("wider", "pattern", "expected"),
    [
        ("team-*", "team-a", True),
        ("team-*", "team-*", True),
        ("team-*", "team-a-*", True),
        ("team-*", "team-?", True),
        ("team-*", "*", False),
        ("team-*", "team*", False),
        ("team-?", "team-*", False),
        ("team-?", "team-a", True),
        ("*-prod", "eu-*-prod", True),
        ("*-prod", "*-prod-*", False),
        ("?*", "*?", True),
        ("*?", "**?", True),
        ("a*a", "a", False),
        ("*a*b*", "*ab*", True),
        ("*ab*", "*a*b*", False),
        ("a", "?", False),
        ("", "*", False),
    ],
)
def test_subsumption_by_example(wider: str, pattern: str, expected: bool) -> None:
    assert subsumes(wider, pattern) is expected


def test_two_long_lists_are_compared_with_grants_and_not_with_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared = []

    def counting(wider: str, pattern: str) -> bool:
        compared.append(pattern)
        return subsumes(wider, pattern)

    monkeypatch.setattr("remediation.permission.subsumes", counting)
    rights = Rights((a_grant(clusters="eu-*", namespaces="team-*"), a_grant(namespaces="x-*")))
    clusters = [f"us-{number}" for number in range(900)]
    namespaces = [f"shop-{number}" for number in range(900)]

    uncovered = rights.uncovered(Permission.CREATE_REMEDIATIONS, clusters, namespaces)

    assert len(compared) <= 2 * (900 + 900)
    assert len(uncovered) == MOST_PLACES


def test_long_patterns_take_no_time() -> None:
    assert not subsumes("*a" * 126 + "b", "a*" * 126)


def test_a_requester_is_known_by_its_subject_and_by_its_groups() -> None:
    grants = [a_grant(clusters=name) for name in ("one", "two", "three", "four")]
    policy = Policy(
        (
            Binding(("user:mia", "client:portal"), grants[0]),
            Binding(("group:sre",), grants[1]),
            Binding(("serviceaccount:ops/*",), grants[2]),
            Binding(("*",), grants[3]),
        )
    )

    def of(*names: str) -> list[str]:
        return [grant.clusters[0] for grant in policy.grants_of(Requester(names[0], names[1:]))]

    assert of("user:mia", "sre") == ["one", "two", "four"]
    assert of("serviceaccount:ops/bot") == ["three", "four"]
    assert of("user:sre", "dev", "user:mia") == ["four"]  # a group is not a user, whatever its name
    assert of("client:mia") == ["four"]


def test_roles_grow_from_viewer_to_admin() -> None:
    assert ROLES[Role.VIEWER] < ROLES[Role.REQUESTER] < ROLES[Role.OPERATOR] < ROLES[Role.ADMIN]
    assert ROLES[Role.VIEWER] < ROLES[Role.AUDITOR] < ROLES[Role.ADMIN]
    assert set(ROLES) == set(Role)
    assert ROLES[Role.ADMIN] == set(Permission)


CREATE = Permission.CREATE_REMEDIATIONS


@pytest.mark.parametrize(
    ("asked", "uncovered"),
    [
        (("eu-1", "team-a"), []),
        (("eu-*", "team-*"), []),
        (("*", "team-a"), [Place("*", "team-a")]),
        (("eu-1", "*"), [Place("eu-1", "*")]),
        (("us-1", "team-a"), [Place("us-1", "team-a")]),
        (("us-1", "shop"), []),
        # Neither grant covers it alone, although each half is covered by one of them.
        (("eu-1", "shop"), [Place("eu-1", "shop")]),
    ],
)
def test_what_is_asked_for_must_lie_within_one_grant(
    asked: tuple[str, str], uncovered: list[Place]
) -> None:
    rights = Rights(
        (
            a_grant(clusters="eu-*", namespaces="team-* dev"),
            a_grant(clusters="us-1", namespaces="shop"),
            a_grant(Role.VIEWER),
        )
    )

    assert rights.uncovered(CREATE, [asked[0]], [asked[1]]) == uncovered


def test_a_credential_counts_where_its_grant_does() -> None:
    rights = Rights(
        (a_grant(clusters="eu", credentials="harbor"), a_grant(clusters="us", credentials="quay-*"))
    )

    def covered(cluster: str, credential: str | None) -> bool:
        return not rights.uncovered(CREATE, [cluster], ["a"], credential)

    assert covered("eu", "harbor")
    assert covered("us", "quay-1")
    assert covered("us", None)
    assert not covered("us", "harbor")
    assert not covered("eu", "quay-1")
    assert not covered("eu", "*")  # one without a name
    assert rights.credentials(CREATE)("harbor")
    assert not rights.credentials(Permission.READ_AUDIT)("harbor")


def test_rights_say_where_a_permission_counts() -> None:
    rights = Rights(
        (a_grant(Role.VIEWER, "eu-*", "team-*"), a_grant(Role.OPERATOR, "eu-1", "shop"))
    )

    assert rights.namespaces(Permission.READ_REMEDIATIONS, "eu-1") == ("team-*", "shop")
    assert rights.namespaces(Permission.READ_REMEDIATIONS, "eu-2") == ("team-*",)
    assert rights.namespaces(CREATE, "eu-2") == ()
    assert rights.clusters(Permission.READ_REMEDIATIONS)("eu-9")
    assert not rights.clusters(CREATE)("eu-9")
    assert rights.roles == (Role.VIEWER, Role.OPERATOR)
    assert rights.permissions == ROLES[Role.OPERATOR]
    assert not rights.everywhere(CREATE)
    assert Rights((a_grant(),)).everywhere(CREATE)
    assert Rights().permissions == frozenset()
