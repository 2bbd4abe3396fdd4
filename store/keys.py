"""Every key of the service. Ids are ours, so no key is ever built of a caller's text."""

from remediation.audit import Trail
from remediation.outcome import Outcome

PREFIX = "rmd:"
REMEDIATIONS = PREFIX + "remediations"  # zset, score 0: ids in order of creation
OPEN = PREFIX + "open"  # set: remediations that have not ended
ACTIVE = PREFIX + "active"  # set: runs that have not ended
WORKERS = PREFIX + "workers"  # zset: worker id by the time of its last heartbeat
CLUSTERS = (
    PREFIX + "clusters"
)  # zset: names of clusters by the time when a worker last announced them
CLUSTER_UIDS = (
    PREFIX + "clusters:uids"
)  # hash: name of a cluster -> uid of its API server, as read last
SERVER_NAMES = (
    PREFIX + "clusters:servers"
)  # hash: uid of an API server -> the name that it goes by (see `servers`)
ACCEPTED = (
    PREFIX + "clusters:accepted"
)  # hash: name of an API server -> the remediation that was accepted last to write there
REAPER = PREFIX + "reaper"  # string: who looks for lost runs at this moment
CHECKS = PREFIX + "checks"  # zset, score 0: ids of readiness checks in order of creation
CHECKS_DUE = PREFIX + "checks:due"  # set: ended remediations that a check is to follow
PAUSE = PREFIX + "pause"  # hash: who paused the service, when and why; not there while it works
APPROVALS = (
    PREFIX + "approvals"
)  # zset: remediations that wait for a second person, by when that ends
QUOTAS = (
    PREFIX + "quotas"
)  # what begins so is kept by the library `limits`: a caller's requests of the last minute
POLICY = PREFIX + "policy"  # string: who may do what, where, as the API published it last
PROBE = PREFIX + "probe"  # string: written by the readiness probe


def remediation(remediation_id: str) -> str:
    """Hash: the request, its status and times; of a readiness check as well."""
    return f"{PREFIX}remediation:{remediation_id}"


def events(remediation_id: str) -> str:
    """Stream: one entry for each change; the last entry's id is the revision of the remediation."""
    return f"{PREFIX}remediation:{remediation_id}:events"


def sealed(remediation_id: str) -> str:
    """String with a time to live: the sealed login that came in the request, until the remediation ends."""
    return f"{PREFIX}sealed:{remediation_id}"


def run(run_id: str) -> str:
    """Hash: one remediation on one cluster, with its counters."""
    return f"{PREFIX}run:{run_id}"


def lease(run_id: str) -> str:
    """String with a time to live: the attempt that is at work."""
    return f"{PREFIX}run:{run_id}:lease"


def wake(run_id: str) -> str:
    """String with a time to live: a wake-up was sent a moment ago."""
    return f"{PREFIX}run:{run_id}:wake"


def line(place: str) -> str:
    """List: the runs that write one Secret on one cluster (see `lines.place`), in order; the first of them may work."""
    return f"{PREFIX}line:{place}"


def writers(server: str) -> str:
    """Zset, score 0: the open runs that write on an API server; `server` is a digest of its name (see `writers`)."""
    return f"{PREFIX}writers:{server}"


def memory(cluster: str) -> str:
    """Hash: namespace -> what is remembered of its objects; `cluster` is a digest of the name (see `memory`)."""
    return f"{PREFIX}memory:{cluster}"


def past(line_key: str) -> str:
    """List: the runs of a line that have ended and may have written, in order."""
    return f"{line_key}:past"


def journal(run_id: str) -> str:
    """Hash: namespace -> the writes intended there, noted before the first of them."""
    return f"{PREFIX}run:{run_id}:journal"


def rows(run_id: str, outcome: Outcome) -> str:
    """Zset, score 0: `namespace NUL row` in order of namespace, one key per outcome."""
    return f"{PREFIX}run:{run_id}:rows:{outcome}"


def findings(run_id: str) -> str:
    """List: what a readiness check found on one cluster, the blocking ones first."""
    return f"{PREFIX}run:{run_id}:findings"


def restarts(run_id: str) -> str:
    """String: which controllers of one cluster to restart, in order."""
    return f"{PREFIX}run:{run_id}:restarts"


def all_rows(run_id: str) -> list[str]:
    """The row keys of a run, in the order of `Outcome`."""
    return [rows(run_id, outcome) for outcome in Outcome]


def of_run(run_id: str) -> list[str]:
    """The keys of a run that live for as long as its records do."""
    return [run(run_id), journal(run_id), findings(run_id), restarts(run_id), *all_rows(run_id)]


def open_of(caller: str) -> str:
    """Set: the remediations of one caller that have not ended; `caller` is a digest of the subject (see `ids`)."""
    return f"{PREFIX}open-of:{caller}"


def audit(trail: Trail) -> str:
    """Stream: the newest entries of a trail, each with the hash of the one before it."""
    return f"{PREFIX}audit:{trail}"


def audit_head(trail: Trail) -> str:
    """Hash: the hash and the number of the newest entry of a trail."""
    return f"{PREFIX}audit:{trail}:head"


def idempotency(digest: str) -> str:
    """String with a time to live: the remediation that was made for a caller's idempotency key."""
    return f"{PREFIX}idempotency:{digest}"


def worker(worker_id: str) -> str:
    """String with a time to live: what a live worker announces."""
    return f"{PREFIX}worker:{worker_id}"
