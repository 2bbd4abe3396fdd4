"""What can be named in a request: the clusters and credentials that live workers announce."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from flask import Response
from marshmallow import fields

from api import parameters
from api.access import Permission, caller, permission
from api.answers import json_answer
from api.formats import Format, offers, wanted
from api.schemas import Answer, Strict, maybe_text, one_of, text, texts, time
from api.services import services
from api.spec import Blueprint
from api.table import table_answer
from remediation.inventory import (
    Holder,
    KnownCluster,
    KnownCredential,
    known_clusters,
    known_credentials,
)
from remediation.same_server import same_server
from remediation.short_lived import ShortLived, short_lived_names

blueprint = Blueprint("announced")

_READY = "ready"
_INVALID = "invalid"
_FORMATS = (Format.JSON, Format.TABLE)
_TABLE = {200: {"content": {Format.TABLE.media_type: {"schema": {"type": "string"}}}}}


class _FormatQuery(Strict):
    format = parameters.format_of(*_FORMATS)


class ClusterSchema(Answer):
    """A kubeconfig context that a live worker serves."""

    name = text()
    server = maybe_text("Its API server.")
    pools = texts("The pools whose workers serve it.")
    status = one_of((_READY, _INVALID), "`invalid`: the context is there but cannot be used.")
    reason = maybe_text("Why it cannot be used.")
    insecure = fields.Boolean(
        required=True,
        metadata={
            "description": "Its certificate is not verified, as `REMEDIATOR_INSECURE_CONTEXTS` allows."
        },
    )
    uid = maybe_text(
        "The uid of its namespace kube-system. Null until its workers have read it, and where they read different ones."
    )
    same_as = texts("Other names of the same API server.")
    warning = maybe_text(
        "What to look at: it is insecure, a worker cannot read it, its workers reach different API servers, or it is "
        "the same API server as others."
    )


class WorkerProblemSchema(Answer):
    """What a worker could not make sense of."""

    pool = text()
    host = text()
    detail = text()


class ClustersSchema(Answer):
    """All clusters in order of name."""

    items = fields.List(fields.Nested(ClusterSchema), required=True)
    problems = fields.List(
        fields.Nested(WorkerProblemSchema),
        required=True,
        metadata={"description": "Kubeconfig files and the like that workers could not read."},
    )


class HolderSchema(Answer):
    """What the workers of a pool hold under a name."""

    pool = text()
    fingerprint = maybe_text("Null without a sealing key.")
    since = time("Since when it has this content.")
    reason = maybe_text("Why it cannot be used.")


class CredentialSchema(Answer):
    """A named registry login, without its secrets."""

    name = text()
    registries = texts("Registry keys, which images are matched against.")
    usernames = texts()
    fingerprint = maybe_text(
        "A keyed hash of its content: the same for the same content. Null where pools hold different contents, or "
        "where workers have no sealing key."
    )
    pools = texts("The pools whose workers hold it.")
    since = time("Since when it has its present content.")
    status = one_of((_READY, _INVALID), "`invalid`: it is there but cannot be used.")
    reason = maybe_text("Why it cannot be used.")
    warning = maybe_text(
        "What is probably not meant: pools hold different contents, one cannot use its own, or a login ends by itself."
    )
    ends_at = time("When the first of its logins ends, of those that say so themselves.")
    holders = fields.List(
        fields.Nested(HolderSchema),
        required=True,
        metadata={
            "description": "What each pool holds; a pool whose workers differ is there several times."
        },
    )


class CredentialsSchema(Answer):
    """All credentials in order of name."""

    items = fields.List(fields.Nested(CredentialSchema), required=True)


@blueprint.operation("GET", "/clusters", "listClusters", responses=_TABLE)
@offers(*_FORMATS)
@permission(Permission.READ_INVENTORY)
@blueprint.query(_FormatQuery)
@blueprint.answers(200, ClustersSchema)
@blueprint.problems(401, 403, 406, 422, 503)
def clusters(_: dict[str, Any]) -> Response:
    """List the clusters that can be named."""
    workers = services().store.inventory.workers()
    rights = caller().rights
    visible = rights.clusters(Permission.READ_INVENTORY)
    found = known_clusters(workers)
    seen = {name: known for name, known in found.items() if visible(name)}
    same = same_server(seen)
    items = [_cluster(known, same.get(name, ())) for name, known in seen.items()]
    if wanted() is Format.TABLE:
        for item in items:
            item["reason"] = item["reason"] or item["warning"]
        return _table(items, ("name", "status", "pools", "server", "reason"))
    problems = [
        {"pool": worker.pool, "host": worker.host, "detail": problem}
        for worker in workers
        for problem in worker.problems
        # It may be about any cluster.
        if rights.everywhere(Permission.READ_INVENTORY)
    ]
    return json_answer({"items": items, "problems": problems})


@blueprint.operation("GET", "/credentials", "listCredentials", responses=_TABLE)
@offers(*_FORMATS)
@permission(Permission.READ_INVENTORY)
@blueprint.query(_FormatQuery)
@blueprint.answers(200, CredentialsSchema)
@blueprint.problems(401, 403, 406, 422, 503)
def credentials(_: dict[str, Any]) -> Response:
    """List the registry credentials that can be named; never what is in them."""
    found = known_credentials(services().store.inventory.workers())
    visible = caller().rights.credentials(Permission.READ_INVENTORY)
    items = [_credential(known) for name, known in found.items() if visible(name)]
    if wanted() is Format.TABLE:
        for item in items:
            item["reason"] = item["reason"] or item["warning"]
        columns = ("name", "status", "registries", "usernames", "fingerprint", "pools", "reason")
        return _table(items, columns)
    return json_answer({"items": items})


def _cluster(known: KnownCluster, same_as: tuple[str, ...]) -> dict[str, Any]:
    cluster = known.cluster
    return {
        "name": cluster.name,
        "server": _without_user(cluster.server) if cluster.server else None,
        "pools": known.pools,
        "status": _INVALID if cluster.problem else _READY,
        "reason": cluster.problem,
        "insecure": known.insecure,
        "uid": known.uid,
        "same_as": same_as,
        "warning": _cluster_warning(known, same_as),
    }


def _cluster_warning(known: KnownCluster, same_as: tuple[str, ...]) -> str | None:
    parts = []
    if known.insecure:
        parts.append("insecure: the certificate of its API server is not verified")
    if known.trouble:
        parts.append(f"a worker could not read it: {known.trouble}")
    if len(known.uids) > 1:
        parts.append("its workers reach different API servers under this name")
    if same_as:
        parts.append(f"the same API server as {', '.join(same_as)}; '*' counts it once")
    return "; ".join(parts) or None


def _credential(known: KnownCredential) -> dict[str, Any]:
    credential = known.credential
    return {
        "name": credential.name,
        "registries": credential.registries,
        "usernames": credential.usernames,
        "fingerprint": known.fingerprint,
        "pools": known.pools,
        "since": credential.since,
        "status": _INVALID if credential.problem else _READY,
        "reason": credential.problem,
        "warning": _warning(known),
        "ends_at": _ends_at(known),
        "holders": [_holder(holder) for holder in known.holders],
    }


def _holder(holder: Holder) -> dict[str, Any]:
    return {
        "pool": holder.pool,
        "fingerprint": holder.credential.fingerprint,
        "since": holder.credential.since,
        "reason": holder.credential.problem,
    }


def _warning(known: KnownCredential) -> str | None:
    """Return what is not the same everywhere, and which logins end by themselves."""
    if known.credential.problem:
        return None
    parts = []
    if known.differs:
        contents = ", ".join(
            f"{holder.pool} ({holder.credential.fingerprint or 'no fingerprint'})"
            for holder in known.holders
            if not holder.credential.problem
        )
        parts.append(
            f"workers hold different contents under this name: {contents}; a run uses its own worker's"
        )
    unusable = sorted({holder.pool for holder in known.holders if holder.credential.problem})
    if unusable:
        parts.append(f"a worker of {', '.join(unusable)} cannot use its own; see holders")
    now = datetime.now(UTC)
    parts += dict.fromkeys(life.told(now) for life in _endings(known))
    return "; ".join(parts) or None


def _endings(known: KnownCredential) -> Iterator[ShortLived]:
    """Yield the logins that end by themselves; of a worker that does not look, only what their names tell is known."""
    for holder in known.holders:
        credential = holder.credential
        if credential.endings is not None:
            yield from credential.endings
        elif not credential.problem:
            yield from short_lived_names(credential.registries, credential.usernames)


def _ends_at(known: KnownCredential) -> str | None:
    times = [life.ends_at for life in _endings(known) if life.ends_at]
    return min(times).isoformat(timespec="seconds").replace("+00:00", "Z") if times else None


def _without_user(server: str) -> str | None:
    try:
        parts = urlsplit(server)
    except ValueError:
        return None
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _table(items: list[dict[str, Any]], columns: tuple[str, ...]) -> Response:
    lines = [[_text(item[name]) for name in columns] for item in items]
    return table_answer([name.upper() for name in columns], lines)


def _text(value: Any) -> str:
    return (",".join(value) if isinstance(value, tuple) else value) or "-"
