"""How the service is, and who the caller is to it."""

from dataclasses import asdict
from typing import Any

from flask import Response
from marshmallow import fields

import remediation
from api.access import Permission, authenticated, caller, permission
from api.answers import json_answer
from api.health import NOT_USED
from api.identity import Method
from api.pause import PausedSchema, paused_body
from api.schemas import Answer, flag, maybe_text, number, one_of, text, texts, time
from api.services import services
from api.spec import Blueprint
from remediation.inventory import Announcement
from remediation.permission import Role
from store import clock
from store.condition import Condition

blueprint = Blueprint("system")


class GrantSchema(Answer):
    """A role of the caller, and where it counts."""

    role = one_of(Role)
    clusters = texts("Names or globs.")
    namespaces = texts("Names or globs.")
    credentials = texts("Names or globs.")


class WhoamiSchema(Answer):
    """The caller."""

    subject = text("Its name: `client:`, `user:` or `serviceaccount:`, and what it is called.")
    method = one_of(Method, "How it proved who it is.")
    key_id = maybe_text("The public part of its API key, if it has one.")
    expires_at = time("When its token ends, if that is known.")
    groups = texts()
    roles = texts("Its roles, wherever they count.")
    permissions = texts("What it may do, be it in one place only.")
    scopes = fields.List(fields.Nested(GrantSchema), required=True)


class RedisSchema(Answer):
    """The store."""

    ok = flag()
    durable = fields.Boolean(
        required=True,
        allow_none=True,
        metadata={
            "description": "Whether a crash of Redis loses nothing that was accepted; null if Redis does not say."
        },
    )
    version = text("Empty if Redis does not say.")
    eviction_policy = maybe_text(
        "Its `maxmemory-policy`, null if Redis does not say. Any but `noeviction` may lose what was accepted."
    )
    warnings = texts("What endangers what was accepted, with what to do.")


class WorkerSchema(Answer):
    """A live worker."""

    id = text()
    pool = text("Its queue.")
    host = text()
    pid = number()
    version = text()
    processes = number("How many runs it carries out at once.")
    started_at = text(format="date-time")
    clusters = number("How many clusters it serves.")


class QueueSchema(Answer):
    """The queue of a pool."""

    pool = text()
    waiting = number("Wake-ups that no worker has taken.")


class AccessSchema(Answer):
    """The access file."""

    ok = flag("Whether it is used as it stands.")
    detail = maybe_text("What counts instead.")


class RunsSchema(Answer):
    """Runs: one remediation on one cluster each."""

    active = number("Those that have not ended.")


class SystemSchema(Answer):
    """The service."""

    version = text()
    time = text(format="date-time")
    redis = fields.Nested(RedisSchema, required=True)
    workers = fields.List(fields.Nested(WorkerSchema), required=True)
    queues = fields.List(fields.Nested(QueueSchema), required=True)
    runs = fields.Nested(RunsSchema, required=True)
    paused = fields.Nested(
        PausedSchema,
        required=True,
        allow_none=True,
        metadata={"description": "Why no run begins at present; null while it works."},
    )
    access = fields.Nested(AccessSchema, required=True)
    retention_days = number("How long a remediation that has ended is kept.")


@blueprint.operation("GET", "/whoami", "whoami")
@authenticated
@blueprint.answers(200, WhoamiSchema)
@blueprint.problems(401, 406, 503)
def whoami() -> Response:
    """Say who the caller is, and what the caller may do."""
    who = caller()
    expires_at = who.identity.expires_at
    return json_answer(
        {
            "subject": who.subject,
            "method": who.identity.method,
            "key_id": who.key_id,
            "expires_at": clock.text(expires_at) if expires_at else None,
            "groups": who.requester.groups,
            "roles": who.rights.roles,
            "permissions": sorted(who.permissions),
            "scopes": [asdict(grant) for grant in who.rights.grants],
        }
    )


@blueprint.operation("GET", "/system", "getSystem")
@permission(Permission.READ_SYSTEM)
@blueprint.answers(200, SystemSchema)
@blueprint.problems(401, 403, 406, 503)
def system() -> Response:
    """Say how the service is."""
    store = services().store
    workers = store.inventory.workers()
    active = store.runs.active()
    pools = sorted({worker.pool for worker in workers} | {run.pool for run in active})
    return json_answer(
        {
            "version": remediation.__version__,
            "time": clock.now(),
            "redis": _redis(store.condition()),
            "workers": [_worker(worker) for worker in workers],
            "queues": [{"pool": pool, "waiting": store.queue.waiting(pool)} for pool in pools],
            "runs": {"active": len(active)},
            "paused": paused_body(store.pause.current()),
            "access": _access(),
            "retention_days": services().settings.retention_days,
        }
    )


def _access() -> dict[str, Any]:
    broken = services().access.problem is not None
    return {"ok": not broken, "detail": NOT_USED if broken else None}


def _redis(found: Condition) -> dict[str, Any]:
    return {
        "ok": True,
        "durable": found.durable,
        "version": found.version,
        "eviction_policy": found.eviction_policy,
        "warnings": found.warnings,
    }


def _worker(worker: Announcement) -> dict[str, Any]:
    return {
        "id": worker.worker_id,
        "pool": worker.pool,
        "host": worker.host,
        "pid": worker.pid,
        "version": worker.version,
        "processes": worker.processes,
        "started_at": worker.started_at,
        "clusters": sum(1 for cluster in worker.clusters if not cluster.problem),
    }
