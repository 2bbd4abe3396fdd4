"""What a remediation warns of: each slip by itself, many of a kind together, so that they do not bury the outcome."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from remediation.caution import CautionCode
from remediation.unmatched import Part, Unmatched, unmatched_everywhere
from store.records import Remediation, Run

MOST_ALIKE = 5  # up to here each is told by itself
_NAMED = 3

_CAUTIONS = {
    CautionCode.DRIFT: "{by} writes its own value again and removes the Secret's name or login from {objects}",
    CautionCode.DRIFT_POSSIBLE: "{by} may write its own value again and remove the Secret's name or login from"
    " {objects}",
    CautionCode.ACCOUNT_MISSING: "ServiceAccounts that the request means do not exist yet in {namespaces}: their first"
    " pods get no pull Secret",
    CautionCode.ENTRY_KEPT: "the entry stays in {objects} that another writer made or took over",
    CautionCode.HELM_OWNED: "Helm releases own {objects}: an upgrade can refuse the Secret or write the chart's"
    " content again, and an uninstall deletes it although ServiceAccounts name it",
    CautionCode.LOGIN_LOST: "logins in {objects} are replaced and kept nowhere: an undo does not bring them back",
    CautionCode.LOGIN_WITHOUT_EFFECT: "nodes take another login, or none, for images of a registry of the credential:"
    " {objects}",
    CautionCode.OPERATOR_DRIFT: "pods of {by} use ServiceAccounts that get the new entry ({objects}): its operator may"
    " take that for drift and recreate the pods",
    CautionCode.SECRET_IN_USE: "pods, templates or ServiceAccounts name {objects} that the undo deletes",
    CautionCode.UNLISTED: "the API server cannot list {by} of all namespaces, because of {objects}: they were"
    " read one by one",
    CautionCode.WRITE_UNKNOWN: "it is not known whether the API server takes what would be written in {namespaces}"
    " ({by})",
    CautionCode.USE_UNKNOWN: "the worker could not list {by}, so it is not known what else names {objects} that an"
    " undo deletes",
}
_MANY_CAUTIONS = _CAUTIONS | {
    CautionCode.DRIFT: "{number} writers write their own values again and remove the Secret's name or login from"
    " {objects}: {names}",
    CautionCode.DRIFT_POSSIBLE: "{number} writers may write their own values again and remove the Secret's name or"
    " login from {objects}: {names}",
    CautionCode.LOGIN_WITHOUT_EFFECT: "nodes take another login, or none, for images of {number} keys of the"
    " credential: {names}, in {objects}",
    CautionCode.OPERATOR_DRIFT: "pods of {number} kinds use ServiceAccounts that get the new entry ({objects}): their"
    " operators may take that for drift and recreate the pods: {names}",
}
_SLIPS = {
    Part.NAMESPACES: (
        "namespace_not_found",
        "no namespace of any selected cluster matches '{pattern}'{unseen}",
        "{number} entries of `namespaces` match no namespace of any selected cluster{unseen}: {names}",
    ),
    Part.IGNORE: (
        "namespace_not_found",
        "no namespace of any selected cluster matches '{pattern}', which `ignore` names{unseen}",
        "{number} entries of `ignore` match no namespace of any selected cluster{unseen}: {names}",
    ),
    Part.SELECTOR: (
        "namespace_selector_not_matched",
        "no namespace that the request names has labels that match '{pattern}'{unseen}",
        "",
    ),
    Part.ACCOUNTS: (
        "service_account_not_found",
        "no ServiceAccount in the selected namespaces matches '{pattern}'{unseen}: the Secret {written} all the same,"
        " and no pod gets it through '{pattern}'",
        "{number} entries of `service_accounts` match no ServiceAccount in the selected namespaces{unseen}: the Secret"
        " {written} all the same, and no pod gets it through them: {names}",
    ),
    Part.IGNORED_ACCOUNTS: (
        "service_account_not_found",
        "no ServiceAccount in the selected namespaces matches '{pattern}', which `ignore_service_accounts` names"
        "{unseen}",
        "{number} entries of `ignore_service_accounts` match no ServiceAccount in the selected namespaces{unseen}:"
        " {names}",
    ),
}


@dataclass(frozen=True, slots=True)
class _Told:
    """A warning; `many` says it of all that have the same, with {number}, {names} and {objects} still to come.

    `number` counts the objects of rows that it sums up.
    """

    code: str
    name: str
    detail: str
    many: str = ""
    number: int = 0


def warnings_of(remediation: Remediation) -> list[dict[str, Any]]:
    """Return what is probably not meant, as callers see it."""
    told = [
        *_clusters(remediation),
        *_kept_secrets(remediation),
        *_nowhere(remediation),
        *_short_lived(remediation),
        *_cautions(remediation),
    ]
    # Sorting keeps the order in which they came; groups are told where the first of them stands.
    places: dict[tuple[str, str], int] = {}
    for place, each in enumerate(told):
        places.setdefault((each.code, each.many), place)
    told.sort(key=lambda each: places[each.code, each.many])
    found = []
    for (_, many), group in groupby(told, lambda each: (each.code, each.many)):
        alike = list(group)
        if many and len(alike) > MOST_ALIKE:
            found.append(_together(alike))
        else:
            found += [_body(each.code, [each.name], each.detail) for each in alike]
    return found


def _body(code: str, names: Sequence[str], detail: str) -> dict[str, Any]:
    return {"code": code, "name": names[0], "names": list(names), "detail": detail}


def _together(alike: Sequence[_Told]) -> dict[str, Any]:
    names = [each.name for each in alike]
    detail = alike[0].many.format(
        number=len(names), names=_first(names), objects=_count(sum(each.number for each in alike))
    )
    return _body(alike[0].code, names, f"{detail} (all of them: `names`)")


def _first(names: Sequence[str]) -> str:
    return f"{', '.join(repr(name) for name in names[:_NAMED])}, …"


def _clusters(remediation: Remediation) -> Iterator[_Told]:
    """Yield which clusters are not verified, and which names were left out for being another one's API server."""
    for run in remediation.runs:
        if run.insecure:
            yield _Told(
                "insecure_cluster",
                run.cluster,
                f"the certificate of the API server of {run.cluster} is not verified: anyone in between can read"
                " the worker's token and the Secret, and answer in its place",
                "the certificates of the API servers of {number} clusters are not verified: anyone in between"
                " can read the worker's tokens and the Secrets, and answer in their place: {names}",
            )
        if run.stands_for:
            names = ", ".join(run.stands_for)
            only = len(run.stands_for) == 1
            yield _Told(
                "same_api_server",
                run.cluster,
                f"{names} is the same API server as {run.cluster} and gets no run of its own; name it to have one"
                if only
                else f"{names} are the same API server as {run.cluster} and get no runs of their own; name each that is"
                " to have one",
                "{number} clusters are the same API server as others, which get no run of their own; name those to have"
                " one: {names}",
            )


def _kept_secrets(remediation: Remediation) -> Iterator[_Told]:
    number = remediation.kept_secrets
    if number and remediation.undo_of:
        secrets = "1 Secret" if number == 1 else f"{number} Secrets"
        yield _Told(
            "secrets_kept",
            remediation.undo_of,
            f"{secrets} that it updated cannot be undone: what was there before is kept nowhere, so "
            f"{'it stays as it is' if number == 1 else 'they stay as they are'}",
        )


def _nowhere(remediation: Remediation) -> Iterator[_Told]:
    """Yield what was asked for and is nowhere, once every cluster was looked at or has ended."""
    observed = [run for run in remediation.runs if run.missing is not None]
    others = [run for run in remediation.runs if run.missing is None]
    if not observed or not all(run.status.terminal for run in others):
        return
    unseen = _unseen(others)
    written = "would be written" if remediation.request.dry_run else "is written"
    slips = unmatched_everywhere([run.unmatched for run in observed])
    near = {slip.pattern: slip.nearest for slip in slips}
    nowhere = set.intersection(*(set(run.missing or ()) for run in observed))
    asked = set(remediation.request.namespaces)
    for name in sorted(nowhere):
        part = Part.NAMESPACES if name in asked else Part.IGNORE
        yield _Told(
            "namespace_not_found",
            name,
            f"no selected cluster has a namespace '{name}'{unseen}{_meant(near.get(name))}",
            _many_slips(part, unseen, written),
        )
    for slip in slips:
        if slip.pattern not in nowhere:
            yield _slip(slip, unseen, written)


def _slip(slip: Unmatched, unseen: str, written: str) -> _Told:
    code, detail, _ = _SLIPS[slip.part]
    told = detail.format(pattern=slip.pattern, unseen=unseen, written=written)
    many = _many_slips(slip.part, unseen, written)
    return _Told(code, slip.pattern, told + _meant(slip.nearest), many)


def _many_slips(part: Part, unseen: str, written: str) -> str:
    # Names of clusters may hold braces, and the rest is filled in later.
    return _SLIPS[part][2].replace("{unseen}", _literal(unseen)).replace("{written}", written)


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _unseen(others: Sequence[Run]) -> str:
    if not others:
        return ""
    names = [run.cluster for run in others]
    more = f" and {len(names) - MOST_ALIKE} more" if len(names) > MOST_ALIKE else ""
    return f" (not looked at: {', '.join(names[:MOST_ALIKE])}{more})"


def _short_lived(remediation: Remediation) -> Iterator[_Told]:
    """Yield which logins end by themselves, and with them what the pods can pull."""
    request = remediation.request
    inline = request.inline_credential
    name = request.credential or (inline.name if inline else "")
    for ending in dict.fromkeys(ending for run in remediation.runs for ending in run.endings):
        yield _Told(
            "credential_short_lived",
            name,
            f"{ending}; after that, no pod can pull with the Secrets that hold it",
        )


def _meant(name: str | None) -> str:
    return f"; did you mean '{name}'?" if name else ""


def _cautions(remediation: Remediation) -> Iterator[_Told]:
    """Yield what the rows warn of, summed up: the rows name the objects."""
    numbers: Counter[tuple[CautionCode, str]] = Counter()
    for run in remediation.runs:
        for caution in run.cautions:
            numbers[caution.code, caution.by] += caution.number
    for (code, by), number in sorted(numbers.items()):
        spaces = "1 namespace" if number == 1 else f"{number} namespaces"
        detail = _CAUTIONS[code].format(by=by, objects=_count(number), namespaces=spaces)
        many = _MANY_CAUTIONS[code] if code in _GROUPED else ""
        yield _Told(code, by, f"{detail}{_OF_ROWS}", f"{many}{_OF_ROWS}" if many else "", number)


def _count(number: int) -> str:
    return "1 object" if number == 1 else f"{number} objects"


_OF_ROWS = " (see `warnings` of the rows)"
_GROUPED = frozenset(
    {
        *(CautionCode.DRIFT, CautionCode.DRIFT_POSSIBLE),
        *(CautionCode.LOGIN_WITHOUT_EFFECT, CautionCode.OPERATOR_DRIFT),
    }
)
