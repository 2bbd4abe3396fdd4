"""Which namespaces a run is about where more than the request decides: a retry goes on from what came before."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from remediation.request import RemediationRequest


@dataclass(frozen=True, slots=True)
class Scope:
    """Exactly the namespaces of `only`, whatever the request's patterns say (None: those that the request means).

    Those of `without` are left out: they have had their turn.
    """

    only: frozenset[str] | None = None
    without: frozenset[str] = frozenset()

    def after(
        self, finished: Collection[str], unfinished: Collection[str], *, complete: bool
    ) -> "Scope":
        """Return what is left when a run over this scope has ended.

        `unfinished` are its namespaces that failed or were cancelled, `finished` the others with a row; `complete`
        tells that it gave every namespace a row, so that nothing else can be left.
        """
        if complete:
            return Scope(only=frozenset(unfinished))
        if self.only is not None:
            return replace(self, only=self.only - set(finished))
        return replace(self, without=self.without | set(finished))

    def narrow(self, request: RemediationRequest) -> RemediationRequest:
        """Return the request with the namespaces of this scope in place of its own patterns."""
        if self.only is None:
            return request
        names = tuple(sorted(self.only))
        return replace(request, namespaces=names, ignore=(), namespace_selector=None)


EVERYTHING = Scope()
