"""Holding what readiness says of random clusters against what pulls say after the flip, within a day.

The judgement is never asked what it means: what a pod will pull is decided here again, from the pod alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from controlplane.node_pull import PodPull
from tests.e2e.random_state import Source

Manifest = dict[str, Any]
Row = dict[str, Any]

# Where the verdict may be safe although a pull would fail: each is named, as a warning.
TOLERATED = frozenset(
    {"P_RISK_LOW", "P_UNKNOWN", "W_DORMANT", "W_SA_MISSING", "SA_UNUSED_UNPATCHED"}
)
# The state of a pod whose image is on its node and was pulled there with a login that it does not have.
VERIFIED = "K10 pulled with a login"
_ENDED = ("Succeeded", "Failed")
_BUILT_IN = ("apps", "batch", "v1")


@dataclass(frozen=True, slots=True)
class Subject:
    """A pod whose images were pulled after the flip, and what it is judged by: rows of `kind` and `name`.

    `prefix` tells which rows: P_ for a pod that ran when it was judged, W_ for one that came after the flip. A pod that
    somebody made anew by hand is judged by what was said of the one before it, and of its ServiceAccount (`account`).
    `needed` are the images that it will pull again, `always` those of them that it pulls by itself within the day,
    whatever its node has. `states` are the states that it is of, `sources` other objects in whose findings the same
    may stand. `changed` tells that it was covered until then, `by_person` that it needs a warning only: a deliberate
    act brings it about, or the object does not tell. `recorded` is as in `State`. `refused`: the API server did not
    take the pod at all. `own_list`: what its ServiceAccount lists is nothing to it.
    """

    namespace: str
    kind: str
    name: str
    prefix: str
    pulls: tuple[PodPull, ...]
    needed: frozenset[str]
    always: frozenset[str] = frozenset()
    account: str = ""
    states: frozenset[str] = frozenset()
    sources: frozenset[Source] = frozenset()
    changed: bool = False
    by_person: bool = False
    recorded: bool = False
    refused: bool = False
    own_list: bool = False

    @property
    def failing(self) -> set[str]:
        """The images that it needs and cannot pull."""
        return {one.pull.image for one in self.pulls if not one.pull.ok} & self.needed

    @property
    def well(self) -> bool:
        """Whether it can pull all of its images."""
        return not self.refused and all(one.pull.ok for one in self.pulls)

    def __str__(self) -> str:
        told = f"{self.namespace}/{self.kind}/{self.name}"
        return f"{told} [{', '.join(sorted(self.states))}]" if self.states else told


@dataclass
class Tally:
    """What came out for one way of judging. `remembers`: the service recorded there what it wrote over."""

    remembers: bool = True
    pods: int = 0
    pulls: int = 0
    failed: int = 0
    covered: int = 0
    alarmed: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    false_safety: list[str] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    lies: Counter[str] = field(default_factory=Counter)
    alarms: Counter[str] = field(default_factory=Counter)
    doubts: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def compare(self, verdict: str, rows: Sequence[Row], subjects: Sequence[Subject]) -> None:
        """Take one cluster, its verdict and findings, and what became of its pods."""
        self.verdicts[verdict] += 1
        true: set[int] = set()
        about = [self._about(rows, subject) for subject in subjects]
        for subject, found in zip(subjects, about, strict=True):
            self._subject(verdict, subject, found)
            if not subject.well:
                true |= {id(row) for row in (*found.own, *found.other)}
        for subject, found in zip(subjects, about, strict=True):
            if subject.well:
                self._alarms(subject, found, true)

    def slip(self, verdict: str) -> None:
        """Take the verdict on a question that matches nothing."""
        if verdict == "safe":
            self.lies["M2 a slip in the namespaces"] += 1
            self.false_safety.append("a namespace that is not there is safe")

    @property
    def share(self) -> float:
        """The part of the pods about which there was a false alarm, in percent."""
        return 100 * self.alarmed / self.pods if self.pods else 0.0

    def _about(self, rows: Sequence[Row], subject: Subject) -> _About:
        unknown = subject.recorded and not self.remembers
        known = replace(subject, by_person=True) if unknown else subject
        own = [
            row
            for row in rows
            if _is(row, (subject.namespace, subject.kind, subject.name))
            and row["class"].startswith(subject.prefix)
        ]
        own += [row for row in rows if _is_account(row, subject)]
        other = [
            row
            for row in rows
            if row not in own and any(_is(row, source) for source in subject.sources)
        ]
        return _About(known, own, other)

    def _subject(self, verdict: str, subject: Subject, about: _About) -> None:
        self.pods += 1
        self.pulls += len(subject.pulls)
        self.failed += sum(not one.pull.ok for one in subject.pulls)
        self.covered += bool(about.covering)
        self.states.update(subject.states)
        # By a person's hand, and what stood there before is recorded elsewhere: nothing here tells.
        untold = subject.recorded and subject.by_person and not self.remembers
        for reason in () if untold else _lies(verdict, about):
            self.lies[" + ".join(sorted(subject.states)) or "none of the states"] += 1
            classes = ", ".join(map(_told, (*about.own, *about.other)))
            pulls = "; ".join(f"{one.pull.image} {one.pull.outcome}" for one in subject.pulls)
            self.false_safety.append(
                f"{subject} ({verdict}; {classes or 'no finding'}): {reason}\n    {pulls}"
            )

    def _alarms(self, subject: Subject, about: _About, true: set[int]) -> None:
        wrong = [
            row
            for row in about.worrying
            if id(row) not in true
            # What was said of the pod before one that was made anew by hand is no alarm about the new one, nor what was
            # said of its ServiceAccount if that gives it nothing, or it needs nothing.
            and not (
                subject.account
                and (subject.own_list or not subject.pulls or row["class"][0] == "P")
            )
            # What a ServiceAccount does not give is no alarm about pods that others look after.
            and not (row in about.other and row["class"] == "SA_UNUSED_UNPATCHED")
        ]
        known = {row["class"] for row in wrong if not _is_doubt(row)}
        self.alarmed += bool(known)
        self.examples += [
            f"{subject}: {_told(row)}: {row['explanation']}" for row in wrong if not _is_doubt(row)
        ]
        self.alarms.update(known)
        self.doubts.update({row["class"] for row in wrong if _is_doubt(row)})

    def __str__(self) -> str:
        verdicts = ", ".join(f"{number} {name}" for name, number in sorted(self.verdicts.items()))
        return (
            f"{self.pods} pods judged, {self.covered} of them covered; {self.pulls} pulls, {self.failed} of them"
            f" failed; verdicts: {verdicts}; false safety: {len(self.false_safety)}; false alarms:"
            f" {_counts(self.alarms)} ({self.share:.1f} % of the pods); in doubt and well: {_counts(self.doubts)}"
        )


@dataclass(frozen=True, slots=True)
class _About:
    """A pod, as strictly as it can be judged, with the rows about its own object and those of its sources."""

    subject: Subject
    own: list[Row]
    other: list[Row]

    @property
    def covering(self) -> list[Row]:
        return [row for row in self.own if "_COVERED" in row["class"]]

    @property
    def worrying(self) -> list[Row]:
        rows = [row for row in (*self.own, *self.other) if "_COVERED" not in row["class"]]
        return [row for row in rows if row["severity"] != "info"]

    @property
    def of_cause(self) -> list[Row]:
        """The worrying rows that may take back what was said of images that are covered as of now."""
        failing = {one.pull.image for one in self.subject.pulls if not one.pull.ok}
        return [
            row
            for row in self.worrying
            # A row about what an operator makes names the registry as a whole.
            if row in self.other
            or not row["image"]
            or any(f"{image}/".startswith(f"{row['image']}/") for image in failing)
        ]


def _is(row: Row, source: Source) -> bool:
    namespace, kind, name = source
    # A row may tell the group of a kind as well.
    same = row["kind"] == kind or (row["kind"].partition(".")[0] == kind and "." not in kind)
    if row["namespace"] != namespace or not same:
        return False
    return row["name"] == name or name in row["examples"]


def _is_account(row: Row, subject: Subject) -> bool:
    mine = (row["namespace"], row["kind"]) == (subject.namespace, "ServiceAccount")
    return mine and subject.account in row["examples"]


def _told(row: Row) -> str:
    return f"{row['class']} {row['severity']} {row['kind']}/{row['name']} {row['image']}".rstrip()


def _is_doubt(row: Row) -> bool:
    """Tell whether a row says that something is not known, rather than known to be wrong.

    Drift is a warning where it is no more than possible; W_DORMANT keeps the severity where a Secret is unreadable.
    """
    possible = row["class"] == "W_DRIFT" and row["severity"] == "warning"
    return bool(row["doubt"]) or possible or row["coverage"] == "UNKNOWN_SECRET"


def _counts(counter: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(counter.items())) or "none"


def _lies(verdict: str, about: _About) -> Iterable[str]:
    subject, worrying = about.subject, about.worrying
    covering = about.covering
    if subject.refused:
        if covering and not worrying:
            yield "said to be covered, and the API server refuses the pod"
        return
    bad = {one.pull.image for one in subject.pulls if not one.pull.ok}
    covered = bad & {row["image"] for row in covering}
    if subject.account:
        # That the one before it was covered says something of this one, unless there was a warning; that it needed no
        # pull says nothing.
        if covered and not worrying:
            yield f"the pod before it was covered, and nobody was warned: {', '.join(sorted(covered))}"
        return
    if covered and not (subject.states and _answered(about)):
        yield f"said to be covered: {', '.join(sorted(covered))}"
        return
    if not subject.failing:
        return
    failing = ", ".join(sorted(subject.failing))
    if not worrying:
        yield f"nobody was warned of {failing}"
    elif subject.by_person:
        return
    elif verdict == "safe" and not {row["class"] for row in worrying} <= TOLERATED:
        yield f"the verdict is safe in spite of {failing}"
    elif subject.failing & subject.always and not any(
        row["severity"] == "blocking" for row in worrying
    ):
        yield f"it comes by itself, and nothing blocks: {failing}"


def _answered(about: _About) -> bool:
    """Tell whether it was said that what is covered as of now may not stay so; by a warning if a person undoes it."""
    severities = {row["severity"] for row in about.of_cause}
    return bool(severities) if about.subject.by_person else "blocking" in severities


def running(
    pods: Iterable[Manifest],
    owner: Callable[[Manifest], tuple[str, str]],
    pulls: Mapping[tuple[str, str], Sequence[PodPull]],
) -> list[Subject]:
    """Return pods that ran when they were judged; `owner` names the kind and name of a pod's top controller."""
    alive = [pod for pod in pods if pod["status"].get("phase") not in _ENDED]
    logged_in = _pulled_with_login(alive, pulls)
    found = []
    for pod in alive:
        needed, always = _needed(pod, logged_in)
        told = tuple(pulls.get(key(pod), ()))
        subject = Subject(pod["metadata"]["namespace"], *owner(pod), "P_", told, needed, always)
        if always != _needed(pod, set())[1]:
            subject = replace(subject, states=frozenset({VERIFIED}))
        found.append(subject)
    return found


def key(pod: Manifest) -> tuple[str, str]:
    """Return the namespace and name of a pod."""
    return pod["metadata"]["namespace"], pod["metadata"]["name"]


def by_pod(pulls: Iterable[PodPull]) -> dict[tuple[str, str], list[PodPull]]:
    """Return pulls by the namespace and name of their pods."""
    found: dict[tuple[str, str], list[PodPull]] = {}
    for one in pulls:
        found.setdefault((one.namespace, one.pod), []).append(one)
    return found


def kind_of(reference: Manifest) -> str:
    """Return the kind of an owner as findings name it: with its group where a built-in kind has the same name."""
    group = reference["apiVersion"].partition("/")[0]
    clashes = reference["kind"] == "StatefulSet" and group not in _BUILT_IN
    return f"{reference['kind']}.{group}" if clashes else str(reference["kind"])


def _pulled_with_login(
    pods: Sequence[Manifest], pulls: Mapping[tuple[str, str], Sequence[PodPull]]
) -> set[tuple[str, str]]:
    """Return (node, image) of what kubelets of 1.35 and newer pulled with a login, and never without one.

    Such a kubelet asks for a login of every pod that finds the image on the node.
    """
    told: dict[tuple[str, str], set[bool]] = {}
    for pod in pods:
        outcome = {one.pull.image: one.pull.ok for one in pulls.get(key(pod), ())}
        for container in _containers(pod["spec"]):
            image = container["image"]
            pulls_again = container.get("imagePullPolicy") == "Always" and image in outcome
            if pulls_again and _is_there(pod, container):
                place = (pod["spec"].get("nodeName", ""), image)
                told.setdefault(place, set()).add(outcome[image])
    return {place for place, ok in told.items() if place[0].endswith("-new") and ok == {True}}


def _needed(
    pod: Manifest, logged_in: set[tuple[str, str]]
) -> tuple[frozenset[str], frozenset[str]]:
    """Return the images that a pod will pull again, and those of them that each start of a container pulls."""
    spec = pod["spec"]
    started = pod["status"].get("phase") == "Running" and not _waits(pod)
    restarts = spec.get("restartPolicy") != "Never" or _restarts_all(spec)
    needed, always = set(), set()
    containers = [(one, one["image"], one.get("imagePullPolicy")) for one in _containers(spec)]
    volumes = [one["image"] for one in spec.get("volumes") or () if one.get("image")]
    containers += [({}, one["reference"], one.get("pullPolicy")) for one in volumes]
    for container, image, policy in containers:
        changed = started and bool(container) and not _is_there(pod, container)
        again = restarts or container.get("restartPolicy") == "Always" or changed
        verified = (spec.get("nodeName", ""), image) in logged_in
        if (policy == "Never" and not verified) or (started and not again):
            continue
        needed.add(image)
        if policy == "Always" or not started or changed or verified:
            always.add(image)
    return frozenset(needed), frozenset(always)


def _restarts_all(spec: Manifest) -> bool:
    return any(
        rule.get("action") == "RestartAllContainers"
        for container in _containers(spec)
        for rule in container.get("restartPolicyRules") or ()
    )


def _is_there(pod: Manifest, container: Manifest) -> bool:
    """Tell whether the image that a container names is the one that its status is about."""
    name = container["image"].partition("@")[0]
    head, _, last = name.rpartition("/")
    repository = "/".join(filter(None, (head, last.partition(":")[0])))
    told = [one for one in _statuses(pod) if one["name"] == container["name"]]
    return any(one["imageID"].partition("@")[0].endswith(repository) for one in told)


def _containers(spec: Manifest) -> list[Manifest]:
    # Not those of debuggers: they are never started again.
    return [*(spec.get("initContainers") or ()), *spec["containers"]]


def _waits(pod: Manifest) -> bool:
    return any("waiting" in one["state"] for one in _statuses(pod))


def _statuses(pod: Manifest) -> list[Manifest]:
    status = pod["status"]
    return [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
