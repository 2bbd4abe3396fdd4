"""What a caller gets to see: what it may not see is not there for it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from api.access import Caller, Permission, caller
from api.services import services
from remediation.outcome import Summary, summarise_row
from remediation.patterns import is_literal, matcher
from remediation.request import RemediationRequest
from remediation.unmatched import ACCOUNT_PARTS, Part, Unmatched
from store.records import Remediation, Row, Run

_READ = Permission.READ_REMEDIATIONS


@dataclass(frozen=True)
class Sight:
    """What one caller sees of remediations."""

    who: Caller

    @cached_property
    def everything(self) -> bool:
        """Tell whether nothing is hidden."""
        return self.who.rights.everywhere(_READ)

    @property
    def mark(self) -> str:
        """A text that is another one when something else is hidden: cursors are bound to it."""
        return "" if self.everything else repr(self.who.rights.grants)

    def sees(self, remediation: Remediation) -> bool:
        """Tell whether there is anything to be seen of a remediation."""
        return self.everything or any(self._visible(run.cluster) for run in remediation.runs)

    def of(self, remediation: Remediation) -> Remediation:
        """Return a remediation with the clusters that are seen, their sums over the namespaces that are seen.

        Plain names in its request that are hidden are left out; status and times are those of the whole. Raises
        StoreUnavailable.
        """
        if self.everything:
            return remediation
        asked = remediation.request.namespaces
        seen = tuple(
            self._run(run, asked) for run in remediation.runs if self._visible(run.cluster)
        )
        clusters = [run.cluster for run in seen]
        request = self._request(remediation.request, clusters)
        if request.credential is None and request.inline_credential is None:
            seen = tuple(replace(run, endings=()) if run.endings else run for run in seen)
        # What the number is made of may be hidden.
        kept_secrets = remediation.kept_secrets if seen == remediation.runs else 0
        return replace(remediation, runs=seen, request=request, kept_secrets=kept_secrets)

    def runs(self, remediation: Remediation) -> tuple[Run, ...]:
        """Return the runs on clusters that are seen, as they are."""
        return tuple(run for run in remediation.runs if self._visible(run.cluster))

    def rows(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield the rows of namespaces that are seen."""
        if self.everything:
            yield from rows
            return
        visible: dict[str, Callable[[str], bool]] = {}
        for row in rows:
            if row.cluster not in visible:
                visible[row.cluster] = matcher(self._namespaces(row.cluster))
            if visible[row.cluster](row.result.namespace):
                yield row

    def _visible(self, cluster: str) -> bool:
        return bool(self._namespaces(cluster))

    def _namespaces(self, cluster: str) -> tuple[str, ...]:
        return self.who.rights.namespaces(_READ, cluster)

    def _run(self, run: Run, asked: tuple[str, ...]) -> Run:
        """Return a run without what is hidden of the namespaces that it was asked for."""
        names = self._namespaces(run.cluster)
        run = replace(run, unmatched=_visible_slips(run.unmatched, matcher(names)))
        if not self.who.rights.uncovered(_READ, [run.cluster], asked):
            return run
        return replace(
            run,
            summary=self._summary(run, names),
            missing=run.missing and tuple(filter(matcher(names), run.missing)),
            registry_check=None,  # it may name images of any namespace
            cautions=(),  # they count every namespace; the rows have those that are seen
        )

    def _summary(self, run: Run, names: tuple[str, ...]) -> Summary:
        if not run.summary.done:
            return Summary()
        rows = services().store.results.rows([run], namespaces=names)
        summary = sum((summarise_row(row.result) for row in rows), Summary())
        return replace(summary, total=summary.done)

    def _request(self, request: RemediationRequest, clusters: list[str]) -> RemediationRequest:
        allowed = matcher(tuple(name for each in clusters for name in self._namespaces(each)))

        def kept(names: tuple[str, ...]) -> tuple[str, ...]:
            # Of an account, `namespace/name`, it is the namespace that counts.
            spaces = [(name, name.split("/")[0]) for name in names]
            return tuple(name for name, space in spaces if not is_literal(space) or allowed(space))

        def kept_accounts(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(name for name in names if "/" not in name or kept((name,)))

        own = self.who.rights.credentials(_READ)
        return replace(
            request,
            credential=request.credential if own(request.credential or "") else None,
            # It has no name that a binding could give: who may use any sees whose login it is.
            inline_credential=request.inline_credential if own("*") else None,
            clusters=tuple(
                name for name in request.clusters if not is_literal(name) or name in clusters
            ),
            namespaces=kept(request.namespaces),
            ignore=kept(request.ignore),
            service_accounts=kept_accounts(request.service_accounts),
            ignore_service_accounts=kept_accounts(request.ignore_service_accounts),
        )


def _visible_slips(
    slips: tuple[Unmatched, ...], visible: Callable[[str], bool]
) -> tuple[Unmatched, ...]:
    """Return those about namespaces that are seen, with suggestions of such only."""

    def seen(slip: Unmatched, name: str | None) -> bool:
        if name is None or slip.part is Part.SELECTOR:
            return True
        space = name.rpartition("/")[0] if slip.part in ACCOUNT_PARTS else name
        return not space or not is_literal(space) or visible(space)

    return tuple(
        slip if seen(slip, slip.nearest) else replace(slip, nearest=None)
        for slip in slips
        if seen(slip, slip.pattern)
    )


def sight() -> Sight:
    """Return what the present caller sees."""
    return Sight(caller())
