"""Taking in: a remediation, or a readiness check, is recorded with its runs in one step, or not at all."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from redis import Redis

from remediation.permission import Permission
from remediation.readiness.request import CheckRequest
from remediation.request import RemediationRequest
from remediation.status import RemediationStatus
from store import clock, codec, events, keys, run_hash, writers
from store.arrival import Arrival
from store.idempotency import RequestKey
from store.ids import caller_digest
from store.lines import in_line, place
from store.records import FREE, NEW, ClusterFacts, Origin, Run, Terms
from store.sealed import life
from store.servers import known_as, uids_of


class AlreadyUndone(Exception):
    """Somebody undid the remediation a moment ago."""


class TooManyActive(Exception):
    """The caller has as many open remediations as may be."""

    def __init__(self, active: int) -> None:
        super().__init__(active)
        self.active = active


class AlreadyConfirming(Exception):
    """A check that confirms the same one is queued: it will see what is there now, so callers share it."""

    def __init__(self, check_id: str) -> None:
        super().__init__(check_id)
        self.check_id = check_id


class Intake:
    """Where remediations and checks come in. What is there already stays as it is."""

    def __init__(self, redis: Redis, retention_seconds: int) -> None:
        self._redis: Any = redis  # its replies are str here, which redis-py's types cannot say
        self._retention = retention_seconds

    def remediation(
        self,
        remediation_id: str,
        request: RemediationRequest,
        requested_by: str,
        clusters: Sequence[tuple[str, str]],
        key: RequestKey | None = None,
        origin: Origin = NEW,
        groups: Sequence[str] = (),
        needs: Permission = Permission.CREATE_REMEDIATIONS,
        terms: Terms = FREE,
        sealed: str | None = None,
    ) -> list[Run]:
        """Record a remediation and one queued run for each (cluster, pool), all or nothing; return the runs.

        `groups` and `needs` as in `Arrival`. `sealed` is the sealed login that came in the request; it is gone when the
        remediation ends.
        Having recorded nothing, raises KeyTaken if something was made of the idempotency key before, AlreadyUndone if a
        run that is to be taken back has been since, and TooManyActive beyond the terms.
        """
        timeout = request.timeout_seconds
        now = clock.text(clock.common(self._redis))
        arrival = Arrival(remediation_id, requested_by, groups, needs, clusters, key, now, timeout)
        callers = keys.open_of(caller_digest(requested_by))
        writes = not request.dry_run
        undoes = origin.undoes if writes else {}
        undone = [keys.run(identity) for identity in undoes.values()]
        names = [cluster for cluster, _ in clusters]
        servers = known_as(self._redis, names)
        uids = {**uids_of(self._redis, names), **origin.uids}
        lines = {
            cluster: keys.line(place(server, request.secret_name)) if writes else ""
            for cluster, server in servers.items()
        }

        def record(pipe: Any) -> None:
            if arrival.is_there(pipe):
                return
            already = not origin.retry_of and any(
                pipe.hexists(each, "undone_by") for each in undone
            )
            # The key is read last: it may be the same request that has undone it, a moment ago.
            arrival.check_key(pipe)
            if already:
                raise AlreadyUndone
            if terms.most_active is not None:
                active = len(pipe.sinter(callers, keys.OPEN))
                if active >= terms.most_active:
                    raise TooManyActive(active)
            paused = bool(pipe.exists(keys.PAUSE))  # nobody knows for how long
            pipe.multi()
            arrival.record(
                pipe,
                "remediation.accepted",
                {
                    "request": codec.encode_request(request),
                    "readiness": int(_is_followed(request, origin)),
                    **_origin(origin),
                    **_terms(terms),
                },
                {
                    cluster: {
                        "line": line,
                        **_server(cluster, servers, uids),
                        **_kinship(origin, cluster),
                        **_facts(terms.facts.get(cluster)),
                    }
                    for cluster, line in lines.items()
                },
            )
            pipe.zadd(keys.REMEDIATIONS, {remediation_id: 0})
            pipe.sadd(callers, remediation_id)
            if sealed:
                needed = life(timeout, arrival.deadline, terms.approval)
                pipe.set(keys.sealed(remediation_id), sealed, ex=None if paused else needed)
            if approval := terms.approval:
                until = clock.parse(approval.expires_at).timestamp()
                pipe.zadd(keys.APPROVALS, {remediation_id: until})
                events.tell(
                    pipe,
                    remediation_id,
                    "remediation.approval_requested",
                    digest=approval.digest,
                    expires_at=approval.expires_at,
                )
            if writes:
                places = (servers[cluster] for cluster in names)
                writers.accept(
                    pipe, remediation_id, dict(zip(arrival.run_ids, places, strict=True))
                )
            for identity, (cluster, _) in zip(arrival.run_ids, clusters, strict=True):
                # What waits for a second person does not make others wait: it takes its place when it is approved.
                if writes and not terms.approval:
                    pipe.rpush(lines[cluster], identity)
                if taken_back := undoes.get(cluster):
                    pipe.hset(keys.run(taken_back), "undone_by", identity)
            for known in origin.runs:
                for each in keys.of_run(known):
                    pipe.expire(each, self._retention)

        counted = [callers] if terms.most_active is not None else []
        # A pause that begins or ends at this moment has to find what is recorded here, or be seen.
        paused_or_not = [keys.PAUSE] if sealed else []
        self._redis.transaction(record, *arrival.watched, *undone, *counted, *paused_or_not)
        return in_line(self._redis, run_hash.read(self._redis, arrival.run_ids))

    def check(
        self,
        check_id: str,
        request: CheckRequest,
        requested_by: str,
        clusters: Sequence[tuple[str, str]],
        key: RequestKey | None = None,
        *,
        groups: Sequence[str] = (),
        needs: Permission = Permission.CREATE_READINESS_CHECKS,
        remediation_id: str | None = None,
        confirms: str | None = None,
        uids: Mapping[str, str] = MappingProxyType({}),
    ) -> list[Run]:
        """Record a readiness check and one queued run for each (cluster, pool), all or nothing; return the runs.

        `groups` and `needs` as in `Arrival`. One that only `confirms` another is in no list. `uids` are those of
        clusters whose names may mean another API server by now. Having recorded nothing, raises KeyTaken if something
        was made of the idempotency key before, and AlreadyConfirming.
        """
        timeout = request.timeout_seconds
        now = clock.text(clock.common(self._redis))
        arrival = Arrival(check_id, requested_by, groups, needs, clusters, key, now, timeout)
        names = [cluster for cluster, _ in clusters]
        servers = known_as(self._redis, names)
        meant = {**uids_of(self._redis, names), **uids}
        kinship = {"remediation": remediation_id, "confirms": confirms}

        def record(pipe: Any) -> None:
            if arrival.is_there(pipe):
                return
            arrival.check_key(pipe)
            if confirms and (queued := _queued_confirmation(pipe, confirms)):
                raise AlreadyConfirming(queued)
            pipe.multi()
            arrival.record(
                pipe,
                "check.accepted",
                {
                    "request": codec.encode_check_request(request),
                    **{name: value for name, value in kinship.items() if value},
                },
                # It writes nothing, so its runs wait for no other.
                {cluster: _server(cluster, servers, meant) for cluster in servers},
            )
            if confirms:
                pipe.hset(keys.remediation(confirms), "confirmation", check_id)
            else:
                pipe.zadd(keys.CHECKS, {check_id: 0})
            if remediation_id:
                pipe.hset(keys.remediation(remediation_id), "check", check_id)
                events.tell(pipe, remediation_id, "readiness.started", check_id=check_id)

        confirmed = [keys.remediation(confirms)] if confirms else []
        self._redis.transaction(record, *arrival.watched, *confirmed)
        return run_hash.read(self._redis, arrival.run_ids)


def _queued_confirmation(pipe: Any, check_id: str) -> str | None:
    """Return the newest check that confirms this one, if nothing of it has begun."""
    newest: str | None = pipe.hget(keys.remediation(check_id), "confirmation")
    if newest and pipe.hget(keys.remediation(newest), "status") == RemediationStatus.QUEUED:
        return newest
    return None


def _is_followed(request: RemediationRequest, origin: Origin) -> bool:
    """Tell whether a readiness check comes after it: not where nothing was written, or taken back."""
    return request.readiness and not request.dry_run and not origin.undo_of


def _origin(origin: Origin) -> dict[str, str | int]:
    """Return the fields of a remediation that repeats another one, or takes it back."""
    found = {
        "retry_of": origin.retry_of,
        "undo_of": origin.undo_of,
        "kept_secrets": origin.kept_secrets,
    }
    return {name: value for name, value in found.items() if value}


def _terms(terms: Terms) -> dict[str, str | int]:
    """Return the fields of a remediation's hash."""
    found: dict[str, str | int] = {"request_id": terms.request_id} if terms.request_id else {}
    if terms.most_namespaces is not None:
        found["most_namespaces"] = terms.most_namespaces
    return {**found, **(codec.encode_approval(terms.approval) if terms.approval else {})}


def _server(cluster: str, servers: Mapping[str, str], uids: Mapping[str, str]) -> dict[str, str]:
    """Return the fields of a run that say which API server is meant: its uid, and its name if that is another one."""
    found = {"server": servers[cluster]} if servers[cluster] != cluster else {}
    return found | ({"uid": uids[cluster]} if cluster in uids else {})


def _facts(facts: ClusterFacts | None) -> dict[str, str]:
    """Return the fields of a run on a cluster of which there is something to say."""
    found = {}
    if facts and facts.insecure:
        found["insecure"] = "1"
    if facts and facts.stands_for:
        found["stands_for"] = codec.dumps(list(facts.stands_for))
    return found


def _kinship(origin: Origin, cluster: str) -> dict[str, str]:
    """Return the fields of a run that goes on from others."""
    found = {}
    if parents := origin.parents.get(cluster):
        found["parents"] = codec.dumps(parents)
    if undoes := origin.undoes.get(cluster):
        found["undoes"] = undoes
    return found
