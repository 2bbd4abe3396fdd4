"""Wake-ups for workers. The truth is in the records: a wake-up may get lost or come twice without harm."""

from uuid import uuid4

from redis import Redis
from rq import Queue as RqQueue
from rq.serializers import JSONSerializer

# The only function that a worker accepts (worker.process refuses others); its one argument is a run id.
JOB = "worker.job.execute"
_FAILURE_TTL_SECONDS = 3600
NO_TIMEOUT = -1


def queue_name(pool: str) -> str:
    """Return the RQ queue of a pool."""
    return f"rmd-{pool}"


class Queue:
    """The RQ queues, one for each pool. `redis` replies with bytes, as RQ wants it."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def wake(self, pool: str, run_id: str) -> None:
        """Have some worker of the pool look at the run."""
        self.of(pool).enqueue(
            JOB,
            run_id,
            job_id=f"{run_id}-{uuid4().hex}",
            job_timeout=NO_TIMEOUT,  # a run has its own deadline; RQ's does not stop it under uvloop
            result_ttl=0,
            failure_ttl=_FAILURE_TTL_SECONDS,
            description=run_id,
        )

    def waiting(self, pool: str) -> int:
        """Return the number of wake-ups that no worker has taken."""
        return int(self._redis.llen(self.of(pool).key))

    def waiting_runs(self, pool: str) -> set[str]:
        """Return the runs that have a wake-up which no worker has taken."""
        return {job_id.rpartition("-")[0] for job_id in self.of(pool).job_ids}

    def of(self, pool: str) -> RqQueue:
        """Return the RQ queue of a pool."""
        return RqQueue(queue_name(pool), connection=self._redis, serializer=JSONSerializer)

    def close(self) -> None:
        """Drop the connection."""
        self._redis.close()
