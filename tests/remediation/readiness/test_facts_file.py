"""The file of declared facts."""

from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from remediation.readiness.facts import ClusterFacts, Facts
from remediation.readiness.facts_file import FactsError, parse_facts
from remediation.readiness.finding import FindingClass

WHOLE = """
clusters:
  - names: ["prod-*"]
    node_credentials:
      - registry: registry.example.com
        nodes: pool in (gpu, batch)
    runtime_credentials:
      - registry: registry.example.com/team
    kubelet_verification: AlwaysVerify
    always_pull_images: true
  - names: [prod-eu]
    kubelet_verification: NeverVerify
waivers:
  - classes: [W_OTHER, P_NODE]
    clusters: ["prod-*"]
    namespaces: [ci]
    kinds: [ImageCache]
    names: [nightly]
    images: ["registry.example.com/*"]
    owner: platform@example.com
    reason: logs in by its own Secret
    expires_at: 2027-01-31
"""


def parsed(text: str) -> Facts:
    return parse_facts(yaml.safe_load(text))


def problems(text: str) -> tuple[str, ...]:
    """Return what is wrong with a file."""
    with pytest.raises(FactsError) as caught:
        parsed(text)
    return caught.value.problems


def test_a_whole_file_is_read() -> None:
    facts = parsed(WHOLE)

    (first, second), (rule,) = facts.clusters, facts.waivers
    assert first.names == ("prod-*",)
    assert str(first.kubelet_logins[0].target) == "registry.example.com"
    assert first.kubelet_logins[0].nodes.matches({"pool": "gpu"})
    assert not first.kubelet_logins[0].nodes.matches({})
    assert str(first.runtime_logins[0].target) == "registry.example.com/team"
    assert first.runtime_logins[0].nodes.matches({})
    assert first.always_pull_images
    assert second == ClusterFacts(("prod-eu",), kubelet_verification="NeverVerify")
    assert rule.classes == (FindingClass.W_OTHER, FindingClass.P_NODE)
    assert (rule.namespaces, rule.kinds, rule.names) == (("ci",), ("ImageCache",), ("nightly",))
    assert rule.waiver.owner == "platform@example.com"


@pytest.mark.parametrize("text", ["", "{}", "clusters: []", "waivers:"])
def test_a_file_may_say_nothing(text: str) -> None:
    assert parsed(text) == Facts()


def test_what_entries_say_of_one_cluster_adds_up_and_the_stricter_wins() -> None:
    facts = parsed(WHOLE)

    assert facts.of("prod-eu").kubelet_verification == "AlwaysVerify"
    assert facts.of("prod-eu").verifies
    assert len(facts.of("prod-eu").kubelet_logins) == 1
    assert facts.of("dev") == ClusterFacts(("dev",))


@pytest.mark.parametrize(
    ("written", "ends"),
    [
        ("2027-01-31", datetime(2027, 2, 1, tzinfo=UTC)),  # that day is included
        ("2027-01-31T12:00:00Z", datetime(2027, 1, 31, 12, tzinfo=UTC)),
        ("2027-01-31 12:00:00", datetime(2027, 1, 31, 12, tzinfo=UTC)),
        ('"2027-01-31"', datetime(2027, 2, 1, tzinfo=UTC)),
        ("9999-12-31", datetime.max.replace(tzinfo=UTC)),
        ('"9999-12-31"', datetime.max.replace(tzinfo=UTC)),
        ('"2027-01-31T12:00:00+02:00"', datetime(2027, 1, 31, 10, tzinfo=UTC)),
    ],
)
def test_a_waiver_ends_at_a_day_or_a_time(written: str, ends: datetime) -> None:
    (rule,) = parsed(WHOLE.replace("2027-01-31\n", f"{written}\n")).waivers

    assert rule.waiver.expires_at == ends


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- 1", "the file: must be a mapping with clusters, waivers"),
        ("cluster: []", "cluster: is not known here; there are: clusters, waivers"),
        ("clusters: {}\nwaivers: x", "waivers: must be a list"),
        ("clusters: [x]", "clusters[0]: must be a mapping with names"),
        ("clusters: [{}]", "clusters[0].names: must be given"),
        ("clusters: [{names: []}]", "clusters[0].names: must be a list of texts that is not empty"),
        ("clusters: [{names: prod}]", "clusters[0].names: must be a list"),
        ("clusters: [{names: [a], verify: x}]", "clusters[0].verify: is not known here"),
        (
            "clusters: [{names: [a], kubelet_verification: Always}]",
            "clusters[0].kubelet_verification: must be one of NeverVerify, ",
        ),
        (
            "clusters: [{names: [a], always_pull_images: 1}]",
            "clusters[0].always_pull_images: must be true or false",
        ),
        (
            "clusters: [{names: [a], node_credentials: [{nodes: a=b}]}]",
            "clusters[0].node_credentials[0].registry: must be given: host[:port][/path]",
        ),
        (
            "clusters: [{names: [a], runtime_credentials: [{registry: 'https://x'}]}]",
            "clusters[0].runtime_credentials[0].registry: must be a registry like",
        ),
        (
            "clusters: [{names: [a], node_credentials: [{registry: r.io, nodes: '=x'}]}]",
            "clusters[0].node_credentials[0].nodes: must be a label selector",
        ),
        (
            "clusters: [{names: [a], node_credentials: [{registry: r.io, nodes: [x]}]}]",
            "clusters[0].node_credentials[0].nodes: must be a label selector",
        ),
        (
            "clusters: [{names: [a], node_credentials: [{registry: r.io, nodes: }]}]",
            "clusters[0].node_credentials[0].nodes: must be a label selector; leave it out for all",
        ),
        (
            "clusters: [{names: [a], runtime_credentials: [{registry: r.io, nodes: ''}]}]",
            "clusters[0].runtime_credentials[0].nodes: must be a label selector; leave it out",
        ),
        ("waivers: [{owner: a}]", "waivers[0].reason: must be given: why it is accepted"),
        ("waivers: [{reason: a}]", "waivers[0].owner: must be given: who answers for it"),
        ("waivers: [{owner: a}]", "waivers[0].expires_at: must be given: a day or a time"),
        ("waivers: [{owner: a, expires_at: soon}]", "waivers[0].expires_at: must be given"),
        ("waivers: [{owner: a}]", "waivers[0].classes: must be given"),
        ("waivers: [{classes: [W_ANY]}]", "waivers[0].classes: there is no class 'W_ANY'"),
    ],
)
def test_a_problem_is_told_with_its_place(text: str, expected: str) -> None:
    assert any(problem.startswith(expected) for problem in problems(text)), problems(text)


def test_all_problems_are_told_at_once() -> None:
    found = problems("clusters: [{}]\nwaivers: [{classes: [W_KEY]}]\nx: 1")

    assert [problem.split(":")[0] for problem in found] == [
        "x",
        "clusters[0].names",
        "waivers[0].owner",
        "waivers[0].reason",
        "waivers[0].expires_at",
    ]


@pytest.mark.parametrize("document", [0, 1, "", "text", [], [1], False, True])
def test_a_document_of_another_kind_is_refused(document: Any) -> None:
    with pytest.raises(FactsError):
        parse_facts(document)
