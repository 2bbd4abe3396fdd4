"""Reading the file of declared facts: a mapping, as YAML gives it, into values."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeVar

from remediation.label_selector import LabelSelector, SelectorError, parse_selector
from remediation.readiness.facts import (
    VERIFICATION_POLICIES,
    ClusterFacts,
    Facts,
    NodeLogin,
    WaiverRule,
)
from remediation.readiness.finding import FindingClass, Waiver
from remediation.readiness.target import InvalidTarget, parse_target

T = TypeVar("T")
_LISTS = ("clusters", "namespaces", "kinds", "names", "images")


class FactsError(ValueError):
    """The facts cannot be used; `problems` are all of them, each with its place: `waivers[0].owner: must be given`."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


def parse_facts(document: object) -> Facts:
    """Return the facts of a file's content, `{clusters: [...], waivers: [...]}`; None is an empty file.

    Raises FactsError with every problem at once.
    """
    reader = _Reader()
    top = reader.mapping({} if document is None else document, "", ("clusters", "waivers"))
    clusters = reader.each(top, "clusters", "", reader.cluster)
    waivers = reader.each(top, "waivers", "", reader.waiver)
    if reader.problems:
        raise FactsError(reader.problems)
    return Facts(clusters, waivers)


class _Reader:
    """Reads on after a problem, so that all of them are told at once."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def cluster(self, entry: object, place: str) -> ClusterFacts:
        known = ("names", "node_credentials", "runtime_credentials")
        fields = self.mapping(entry, place, (*known, "kubelet_verification", "always_pull_images"))
        policy = fields.get("kubelet_verification", "")
        if policy not in ("", *VERIFICATION_POLICIES):
            self._wrong(
                f"{place}.kubelet_verification",
                f"must be one of {', '.join(VERIFICATION_POLICIES)}",
            )
        always = fields.get("always_pull_images", False)
        if not isinstance(always, bool):
            self._wrong(f"{place}.always_pull_images", "must be true or false")
        if "names" not in fields:
            self._wrong(f"{place}.names", "must be given: clusters or globs, like ['prod-*']")
        return ClusterFacts(
            self._texts(fields, "names", place),
            self.each(fields, "node_credentials", place, self._login),
            self.each(fields, "runtime_credentials", place, self._login),
            policy if isinstance(policy, str) else "",
            always is True,
        )

    def waiver(self, entry: object, place: str) -> WaiverRule:
        fields = self.mapping(entry, place, (*_LISTS, "classes", "owner", "reason", "expires_at"))
        waiver = Waiver(
            self._text(fields, "owner", place, "who answers for it"),
            self._text(fields, "reason", place, "why it is accepted"),
            self._expiry(fields.get("expires_at"), f"{place}.expires_at"),
        )
        if not fields.get("classes"):
            self._wrong(f"{place}.classes", "must be given: classes of findings, like [W_OTHER]")
        classes = self._texts(fields, "classes", place, ())
        for unknown in sorted(set(classes) - set(FindingClass)):
            self._wrong(f"{place}.classes", f"there is no class '{unknown}'")
        lists = {name: self._texts(fields, name, place) for name in _LISTS}
        return WaiverRule(
            waiver,
            tuple(FindingClass(name) for name in classes if name in set(FindingClass)),
            **lists,
        )

    def mapping(self, entry: object, place: str, known: tuple[str, ...]) -> Mapping[str, Any]:
        if not isinstance(entry, Mapping):
            self._wrong(place or "the file", f"must be a mapping with {', '.join(known)}")
            return {}
        for unknown in (str(name) for name in entry if name not in known):
            self._wrong(_below(place, unknown), f"is not known here; there are: {', '.join(known)}")
        return entry

    def each(
        self, fields: Mapping[str, Any], name: str, place: str, read: Callable[[object, str], T]
    ) -> tuple[T, ...]:
        entries = fields.get(name) or []
        if not isinstance(entries, list):
            self._wrong(_below(place, name), "must be a list")
            return ()
        return tuple(
            read(entry, f"{_below(place, name)}[{number}]") for number, entry in enumerate(entries)
        )

    def _login(self, entry: object, place: str) -> NodeLogin:
        fields = self.mapping(entry, place, ("registry", "nodes"))
        nodes = fields.get("nodes")
        # Left empty it would mean every node, which is more than anybody who names it wants to say.
        if "nodes" in fields and not nodes:
            self._wrong(f"{place}.nodes", "must be a label selector; leave it out for all nodes")
        try:
            target = parse_target(self._text(fields, "registry", place, "host[:port][/path]"))
        except InvalidTarget as error:
            self._wrong(f"{place}.registry", str(error))
            target = parse_target("invalid")
        try:
            selector = parse_selector(nodes) if nodes else LabelSelector()
        except (SelectorError, TypeError) as error:
            self._wrong(f"{place}.nodes", f"must be a label selector: {error}")
            selector = LabelSelector()
        return NodeLogin(target, selector)

    def _text(self, fields: Mapping[str, Any], name: str, place: str, what: str) -> str:
        text = fields.get(name)
        if isinstance(text, str) and text.strip():
            return text
        self._wrong(f"{place}.{name}", f"must be given: {what}")
        return "-"

    def _texts(
        self,
        fields: Mapping[str, Any],
        name: str,
        place: str,
        default: tuple[str, ...] = ("*",),
    ) -> tuple[str, ...]:
        if name not in fields:
            return default
        texts = fields[name]
        if not (isinstance(texts, list) and texts and all(isinstance(text, str) for text in texts)):
            self._wrong(f"{place}.{name}", "must be a list of texts that is not empty")
            return default
        return tuple(texts)

    def _expiry(self, value: object, place: str) -> datetime:
        if isinstance(value, str):
            value = _day_or_time(value)
        if isinstance(value, datetime):
            return value if value.tzinfo else value.replace(tzinfo=UTC)
        if value == date.max:  # there is no day after it
            return datetime.max.replace(tzinfo=UTC)
        if isinstance(value, date):  # that day is included
            return datetime.combine(value + timedelta(days=1), time(), UTC)
        self._wrong(
            place, "must be given: a day or a time, like 2027-01-31 or 2027-01-31T12:00:00Z"
        )
        return datetime.max.replace(tzinfo=UTC)

    def _wrong(self, place: str, message: str) -> None:
        self.problems.append(f"{place}: {message}")


def _day_or_time(text: str) -> date | None:
    """Return a day, or a time, as YAML gives it without quotes; None for what is neither."""
    for read in (date.fromisoformat, datetime.fromisoformat):
        with suppress(ValueError):
            return read(text.strip())
    return None


def _below(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name
