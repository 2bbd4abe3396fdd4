"""How the service is, and who the caller is to it."""

from typing import Any

from flask import Response
from marshmallow import fields

import remediation
from api.access import Permission, caller, permission
from api.answers import json_answer
from api.pause import PausedSchema, paused_body
from api.schemas import Answer, flag, number, text, texts
from api.services import services
from api.spec import Blueprint
from remediation.inventory import Announcement
from store import clock
from store.store import Store

blueprint = Blueprint("system")


class WhoamiSchema(Answer):
    """The caller."""

    subject = text("Whom the API key belongs to.")
    key_id = text("The public part of the API key.")
    permissions = texts("What the caller may do.")


class RedisSchema(Answer):
    """The store."""

    ok = flag()
    durable = flag("Whether a crash of Redis loses nothing that was accepted.")
    version = text()


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
    retention_days = number("How long a remediation that has ended is kept.")


@blueprint.operation("GET", "/whoami", "whoami")
@permission(Permission.READ_SYSTEM)
@blueprint.answers(200, WhoamiSchema)
@blueprint.problems(401, 406)
def whoami() -> Response:
    """Say who the caller is, and what the caller may do."""
    who = caller()
    return json_answer(
        {
            "subject": who.subject,
            "key_id": who.key_id,
            "permissions": sorted(who.permissions),
        }
    )


@blueprint.operation("GET", "/system", "getSystem")
@permission(Permission.READ_SYSTEM)
@blueprint.answers(200, SystemSchema)
@blueprint.problems(401, 406, 503)
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
            "redis": {"ok": True, "durable": store.durable(), "version": _redis_version(store)},
            "workers": [_worker(worker) for worker in workers],
            "queues": [{"pool": pool, "waiting": store.queue.waiting(pool)} for pool in pools],
            "runs": {"active": len(active)},
            "paused": paused_body(store.pause.current()),
            "retention_days": services().settings.retention_days,
        }
    )


def _redis_version(store: Store) -> str:
    return str(store.redis.info("server").get("redis_version", ""))


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
