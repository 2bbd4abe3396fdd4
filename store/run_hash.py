"""A run's hash: written when the run is queued, changed by the scripts, read back as a run."""

from collections.abc import Mapping, Sequence
from typing import Any

from remediation.caution import read_cautions
from remediation.outcome import Summary
from remediation.status import RunStatus
from store import codec, keys
from store.ids import owner_of
from store.records import Run

WAKE_MS = 2000
_COUNT_PREFIX = "n."


def queue(
    pipe: Any, run_id: str, cluster: str, pool: str, deadline: str, more: Mapping[str, str]
) -> None:
    """Record a run that nobody has begun; `more` are fields that not every run has."""
    pipe.set(keys.wake(run_id), 1, px=WAKE_MS)  # the caller sends the first wake-up
    pipe.hset(
        keys.run(run_id),
        mapping={
            "remediation": owner_of(run_id),
            "cluster": cluster,
            "pool": pool,
            "status": RunStatus.QUEUED,
            "attempt": 0,
            "deadline": deadline,
            **more,
        },
    )


def read(redis: Any, run_ids: Sequence[str]) -> list[Run]:
    """Return those of the runs that are there, in the same order, in one round trip."""
    with redis.pipeline(transaction=False) as pipe:
        for run_id in run_ids:
            pipe.hgetall(keys.run(run_id))
        return [
            _decode(run_id, raw) for run_id, raw in zip(run_ids, pipe.execute(), strict=True) if raw
        ]


def _decode(run_id: str, raw: Mapping[str, str]) -> Run:
    counts = {
        name.removeprefix(_COUNT_PREFIX): int(value)
        for name, value in raw.items()
        if name.startswith(_COUNT_PREFIX)
    }
    return Run(
        id=run_id,
        remediation_id=raw["remediation"],
        cluster=raw["cluster"],
        pool=raw["pool"],
        status=RunStatus(raw["status"]),
        attempt=int(raw["attempt"]),
        handed_back=int(raw.get("handed_back", 0)),
        deadline=raw["deadline"],
        summary=Summary.from_counts(counts),
        cautions=read_cautions(counts),
        started_at=raw.get("started_at"),
        finished_at=raw.get("finished_at"),
        error=codec.decode_error(codec.loads(raw["error"])) if "error" in raw else None,
        missing=tuple(codec.loads(raw["missing"])) if "missing" in raw else None,
        unmatched=codec.decode_unmatched(raw["unmatched"]) if "unmatched" in raw else (),
        endings=tuple(codec.loads(raw["endings"])) if "endings" in raw else (),
        line=raw.get("line") or None,
        parents=tuple(codec.loads(raw["parents"])) if "parents" in raw else (),
        undoes=raw.get("undoes"),
        undone_by=raw.get("undone_by"),
        judged=codec.decode_judged(raw["judged"]) if "judged" in raw else None,
        registry_check=(
            codec.decode_check(raw["registry_check"]) if "registry_check" in raw else None
        ),
        credential_fingerprint=raw.get("credential_fingerprint"),
        insecure="insecure" in raw,
        server=raw.get("server"),
        uid=raw.get("uid"),
        stands_for=tuple(codec.loads(raw["stands_for"])) if "stands_for" in raw else (),
    )
