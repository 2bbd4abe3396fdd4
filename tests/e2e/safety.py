"""Holding what readiness says of random clusters against what pulls say after the flip.

The judgement is never asked what it means: what a pod will pull is decided here again, from the pod alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from controlplane.node_pull import PodPull

Manifest = dict[str, Any]
Row = dict[str, Any]

# Where the verdict may be safe although a pull would fail: each is named, as a warning.
TOLERATED = frozenset(
    {"P_RISK_LOW", "P_UNKNOWN", "W_DORMANT", "W_SA_MISSING", "SA_UNUSED_UNPATCHED"}
)
_ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Subject:
    """A pod whose images were pulled after the flip, and what it is judged by: rows of `kind` and `name`.

    `prefix` tells which rows: P_ for a pod that ran when it was judged, W_ for one that came after the flip. A pod that
    somebody made anew by hand is judged by what was said of the one before it, and of its ServiceAccount (`account`).
    `needed` are the images that it will pull again, `always` those of them that every start of a container pulls.
    """

    namespace: str
    kind: str
    name: str
    prefix: str
    pulls: tuple[PodPull, ...]
    needed: frozenset[str]
    always: frozenset[str] = frozenset()
    account: str = ""

    @property
    def failing(self) -> set[str]:
        """The images that it needs and cannot pull."""
        return {one.pull.image for one in self.pulls if not one.pull.ok} & self.needed

    def __str__(self) -> str:
        return f"{self.namespace}/{self.kind}/{self.name}"


@dataclass
class Tally:
    """What came out for one way of judging."""

    pods: int = 0
    pulls: int = 0
    failed: int = 0
    covered: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    false_safety: list[str] = field(default_factory=list)
    alarms: Counter[str] = field(default_factory=Counter)

    def compare(self, verdict: str, rows: Sequence[Row], subjects: Iterable[Subject]) -> None:
        """Take one cluster, its verdict and findings, and what became of its pods."""
        self.verdicts[verdict] += 1
        by_object: dict[tuple[str, str, str], list[Row]] = {}
        for row in rows:
            by_object.setdefault((row["namespace"], row["kind"], row["name"]), []).append(row)
        for subject in subjects:
            found = by_object.get((subject.namespace, subject.kind, subject.name), [])
            about = [row for row in found if row["class"].startswith(subject.prefix)]
            about += [row for row in rows if _is_account(row, subject)]
            self._subject(verdict, subject, about)

    def _subject(self, verdict: str, subject: Subject, rows: Sequence[Row]) -> None:
        self.pods += 1
        self.pulls += len(subject.pulls)
        self.failed += sum(not one.pull.ok for one in subject.pulls)
        covering = [row for row in rows if "_COVERED" in row["class"]]
        self.covered += bool(covering)
        worrying = [row for row in rows if row not in covering and row["severity"] != "info"]
        for reason in _lies(verdict, subject, covering, worrying):
            classes = ", ".join(f"{row['class']} {row['image']}" for row in rows) or "no finding"
            pulls = "; ".join(f"{one.pull.image} {one.pull.outcome}" for one in subject.pulls)
            self.false_safety.append(f"{subject} ({verdict}; {classes}): {reason}\n    {pulls}")
        if all(one.pull.ok for one in subject.pulls):
            # What was said of the pod before one that was made anew by hand is no alarm about the new one.
            about = [row for row in worrying if not (subject.account and row["class"][0] == "P")]
            self.alarms.update({row["class"] for row in about})

    def __str__(self) -> str:
        alarms = ", ".join(f"{name} {number}" for name, number in sorted(self.alarms.items()))
        verdicts = ", ".join(f"{number} {name}" for name, number in sorted(self.verdicts.items()))
        return (
            f"{self.pods} pods judged, {self.covered} of them covered; {self.pulls} pulls, {self.failed} of them"
            f" failed; verdicts: {verdicts}; false safety: {len(self.false_safety)}; false alarms: {alarms or 'none'}"
        )


def _is_account(row: Row, subject: Subject) -> bool:
    mine = (row["namespace"], row["kind"]) == (subject.namespace, "ServiceAccount")
    return mine and subject.account in row["examples"]


def _lies(
    verdict: str, subject: Subject, covering: Sequence[Row], worrying: Sequence[Row]
) -> Iterable[str]:
    bad = {one.pull.image for one in subject.pulls if not one.pull.ok}
    covered = bad & {row["image"] for row in covering}
    if subject.account:
        # That the one before it was covered says something of this one, unless there was a warning; that it needed no
        # pull says nothing.
        if covered and not worrying:
            yield f"the pod before it was covered, and nobody was warned: {', '.join(sorted(covered))}"
        return
    if covered:
        yield f"said to be covered: {', '.join(sorted(covered))}"
    if not subject.failing:
        return
    failing = ", ".join(sorted(subject.failing))
    if not worrying:
        yield f"nobody was warned of {failing}"
    elif verdict == "safe" and not {row["class"] for row in worrying} <= TOLERATED:
        yield f"the verdict is safe in spite of {failing}"
    elif subject.failing & subject.always and not any(
        row["severity"] == "blocking" for row in worrying
    ):
        yield f"the next restart breaks, and nothing blocks: {failing}"


def running(
    pods: Iterable[Manifest],
    owner: Callable[[Manifest], tuple[str, str]],
    pulls: dict[tuple[str, str], list[PodPull]],
) -> list[Subject]:
    """Return pods that ran when they were judged; `owner` names the kind and name of a pod's top controller."""
    return [
        Subject(
            pod["metadata"]["namespace"],
            *owner(pod),
            "P_",
            tuple(pulls.get(key(pod), ())),
            *_needed(pod),
        )
        for pod in pods
        if pod["status"].get("phase") not in _ENDED
    ]


def key(pod: Manifest) -> tuple[str, str]:
    """Return the namespace and name of a pod."""
    return pod["metadata"]["namespace"], pod["metadata"]["name"]


def by_pod(pulls: Iterable[PodPull]) -> dict[tuple[str, str], list[PodPull]]:
    """Return pulls by the namespace and name of their pods."""
    found: dict[tuple[str, str], list[PodPull]] = {}
    for one in pulls:
        found.setdefault((one.namespace, one.pod), []).append(one)
    return found


def _needed(pod: Manifest) -> tuple[frozenset[str], frozenset[str]]:
    """Return the images that a pod will pull again, and those of them that each start of a container pulls."""
    spec = pod["spec"]
    started = pod["status"].get("phase") == "Running" and not _waits(pod)
    restarts = spec.get("restartPolicy") != "Never"
    needed, always = set(), set()
    containers = [(one, one["image"], one.get("imagePullPolicy")) for one in _containers(spec)]
    volumes = [one["image"] for one in spec.get("volumes") or () if one.get("image")]
    containers += [({}, one["reference"], one.get("pullPolicy")) for one in volumes]
    for container, image, policy in containers:
        again = restarts or container.get("restartPolicy") == "Always"
        if policy == "Never" or (started and not again):
            continue
        needed.add(image)
        if policy == "Always" or not started:
            always.add(image)
    return frozenset(needed), frozenset(always)


def _containers(spec: Manifest) -> list[Manifest]:
    # Not those of debuggers: they are never started again.
    return [*(spec.get("initContainers") or ()), *spec["containers"]]


def _waits(pod: Manifest) -> bool:
    status = pod["status"]
    told = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    return any("waiting" in one["state"] for one in told)
