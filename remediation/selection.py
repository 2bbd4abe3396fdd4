"""Which clusters, namespaces and ServiceAccounts a request means."""

import difflib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from remediation.label_selector import LabelSelector, parse_selector
from remediation.outcome import Outcome
from remediation.patterns import literals, matcher
from remediation.request import RemediationRequest
from remediation.scope import EVERYTHING, Scope
from remediation.state import EXCLUDE_ANNOTATION, Namespace


@dataclass(frozen=True, slots=True)
class UnknownCluster:
    """An entry of `clusters` that no live worker serves; `index` is its place in the request."""

    index: int
    pattern: str
    nearest: str | None


def select_clusters(
    patterns: Iterable[str], known: Collection[str]
) -> tuple[tuple[str, ...], tuple[UnknownCluster, ...]]:
    """Return the known clusters that are meant, in the order of `known`, and the entries that mean none."""
    wanted: set[str] = set()
    unknown = []
    for index, pattern in enumerate(patterns):
        matches = matcher((pattern,))
        found = {name for name in known if matches(name)}
        wanted |= found
        if not found:
            unknown.append(UnknownCluster(index, pattern, nearest(pattern, known)))
    return tuple(name for name in known if name in wanted), tuple(unknown)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that looks most like a mistyped one."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)


@dataclass(frozen=True, slots=True)
class Judgement:
    """How a selected namespace is treated: `outcome` is None where there is work to consider."""

    outcome: Outcome | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class NamespaceSelection:
    """The namespaces of a request, but for those of `without`."""

    include: Callable[[str], bool]
    ignore: tuple[str, ...]
    selector: LabelSelector
    without: Collection[str] = frozenset()

    @classmethod
    def of(cls, request: RemediationRequest, scope: Scope = EVERYTHING) -> "NamespaceSelection":
        """Compile the request's patterns and selector, narrowed by the scope."""
        request = scope.narrow(request)
        return cls(
            include=matcher(request.namespaces),
            ignore=request.ignore,
            selector=parse_selector(request.namespace_selector)
            if request.namespace_selector
            else LabelSelector(),
            without=scope.without,
        )

    def judge(self, namespace: Namespace) -> Judgement | None:
        """Return how the namespace is treated, None if it is outside the request. Ignoring always wins."""
        if not self.include(namespace.name) or not self.selector.matches(namespace.labels):
            return None
        if namespace.name in self.without:
            return None
        for pattern in self.ignore:
            if matcher((pattern,))(namespace.name):
                return Judgement(Outcome.IGNORED, f"ignored by '{pattern}'")
        if namespace.excluded:
            return Judgement(Outcome.IGNORED, f"excluded by annotation {EXCLUDE_ANNOTATION}")
        if namespace.terminating:
            return Judgement(Outcome.SKIPPED, "the namespace is terminating")
        return Judgement()


@dataclass(frozen=True, slots=True)
class AccountSelection:
    """The ServiceAccounts of a request: patterns are `name` or `namespace/name`; ignoring wins."""

    include: Callable[[str, str], bool]
    ignore: Callable[[str, str], bool]

    @classmethod
    def of(cls, request: RemediationRequest) -> "AccountSelection":
        """Compile the request's patterns."""
        return cls(
            _account_matcher(request.service_accounts),
            _account_matcher(request.ignore_service_accounts),
        )

    def selects(self, namespace: str, name: str) -> bool:
        """Tell whether the ServiceAccount is to carry the pull Secret."""
        return self.include(namespace, name) and not self.ignore(namespace, name)


def missing_names(request: RemediationRequest, present: Collection[str]) -> tuple[str, ...]:
    """Return the plain names in `namespaces` and `ignore` that the cluster does not have: likely typing errors."""
    named = dict.fromkeys((*literals(request.namespaces), *literals(request.ignore)))
    return tuple(name for name in named if name not in present)


def _account_matcher(patterns: tuple[str, ...]) -> Callable[[str, str], bool]:
    anywhere = matcher(tuple(pattern for pattern in patterns if "/" not in pattern))
    qualified = tuple(tuple(pattern.split("/")) for pattern in patterns if "/" in pattern)

    def matches(namespace: str, name: str) -> bool:
        return anywhere(name) or any(
            matcher((spaces,))(namespace) and matcher((names,))(name) for spaces, names in qualified
        )

    return matches
