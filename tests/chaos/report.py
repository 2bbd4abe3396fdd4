"""The table of faults and recoveries, and what was found."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable

from tests.chaos.faults import (
    JOB_KILLED,
    JOB_STOPPED,
    KILLS,
    KINDS,
    PROCESS_KILLED,
    WORKER_KILLED,
    Back,
    Fault,
)
from tests.chaos.findings import Findings

_AFTERMATH_SECONDS = 2.0
_ONE_RUN = (JOB_KILLED, PROCESS_KILLED, JOB_STOPPED)


def table(faults: list[Fault], findings: Findings, seed: int, seconds: float) -> str:
    """Return the whole report as text."""
    lines = [
        f"chaos: seed {seed}, {len(faults)} faults in {seconds:.0f} s",
        "",
        f"{'fault':<36} {'times':>6} {'measured':>9} {'median s':>9} {'most s':>7}",
    ]
    for kind in KINDS:
        same = [fault for fault in faults if fault.kind == kind]
        lines.append(f"{kind:<36} {len(same):>6} {_figures(f for f in same if _alone(f, faults))}")
    kills = [fault for fault in faults if fault.kind in KILLS]
    alone = [fault for fault in kills if _alone(fault, faults)]
    lines += [
        "",
        "Seconds to recovery, measured where nothing else was wrong. A killed process: to its run's next write.",
        "API, Redis and all: to the next good answer after it was mended. The way to an API server: to the next",
        "write after it was mended.",
        "",
        f"{'kill -9 of a worker, nothing else':<36} {len(alone):>6} {_figures(alone)}",
        f"{'kill -9 of a worker, whatever else':<36} {len(kills):>6} {_figures(kills)}",
        "",
        f"remediations accepted {findings.accepted}, all ended; asked for more than once {findings.repeated}",
        f"of these retries {findings.retries}, undos {findings.undos}, which took back {findings.taken_back} entries; "
        f"refused {_listed(findings.refused)}",
        f"runs {findings.runs}, of which resumed {findings.resumed}, failed as a whole {_listed(findings.failed_runs)}",
        f"rows checked {findings.rows}, of which failed {_listed(findings.failed_rows)}",
        f"foreign writes {findings.foreign}, lost {len(findings.foreign_lost)}",
        f"lost {len(findings.lost)}, double counted {len(findings.double)}, untrue {len(findings.untrue)}",
    ]
    return "\n".join(lines)


def timeline(faults: list[Fault], started: float) -> str:
    """Return what went wrong when, in seconds since `started`."""
    return "\n".join(
        f"{fault.began - started:8.2f} {fault.kind:<36} {fault.run or fault.target:<34} "
        f"{fault.cluster or '':<6} {_seconds(fault.ended, fault.began)} {_seconds(fault.recovered, fault.since)}"
        for fault in faults
    )


def _seconds(later: float | None, earlier: float | None) -> str:
    return f"{'-':>6}" if later is None or earlier is None else f"{later - earlier:6.2f}"


def _listed(reasons: Counter[str]) -> str:
    each = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    return f"{reasons.total()} ({each})" if each else "0"


def _figures(faults: Iterable[Fault]) -> str:
    took = [
        fault.recovered - fault.since
        for fault in faults
        if fault.recovered is not None and fault.since is not None
    ]
    if not took:
        return f"{0:>9} {'-':>9} {'-':>7}"
    return f"{len(took):>9} {statistics.median(took):>9.2f} {max(took):>7.2f}"


def _alone(fault: Fault, faults: list[Fault]) -> bool:
    """Tell whether nothing else that could matter was wrong, or just had been (a killed process), until it was over."""
    if fault.recovered is None or fault.since is None:
        return False
    aftermath = _AFTERMATH_SECONDS if fault.back is Back.RUN else 0.0
    return not any(
        other is not fault
        and other.began < fault.recovered
        and max(other.ended or 0.0, other.recovered or 0.0) + aftermath > fault.since
        and _touches(other, fault)
        for other in faults
    )


def _touches(other: Fault, fault: Fault) -> bool:
    if other.target in ("redis", "up"):
        return True
    if fault.back is Back.ANSWERS or other.target in ("api", "attendant"):
        return fault.target == other.target
    if other.kind in _ONE_RUN:
        return other.run == fault.run or (fault.back, other.cluster) == (
            Back.CLUSTER,
            fault.cluster,
        )
    return other.kind == WORKER_KILLED or other.cluster == fault.cluster
