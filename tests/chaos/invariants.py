"""What records must say after every episode: all that was accepted, every namespace once, sums that fit."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from tests.chaos.episode import Record
from tests.chaos.findings import Findings, Run
from tests.chaos.fleet import ACCOUNTS, CLUSTERS, EXCLUDED
from tests.chaos.installation import Installation
from tests.chaos.kinship import Kinship
from tests.chaos.order import RETRY, UNDO, Order

_MOST_ATTEMPTS = 5
Rows = list[dict[str, Any]]
Summary = dict[str, dict[str, int]]


def read_runs(record: Record, installation: Installation) -> list[Run]:
    """Return what every remediation of the episode says."""
    orders = {order.number: order for order in record.traffic.orders}
    runs = []
    for body in record.bodies:
        path = f"/remediations/{body['id']}/results"
        answer = installation.request("GET", path, 30.0, params={"format": "ndjson"})
        rows = [json.loads(line) for line in answer.raise_for_status().text.splitlines()]
        order = orders[body["reason"]]
        for cluster in body["clusters"]:
            its_rows = [row for row in rows if row["cluster"] == cluster["name"]]
            runs.append(Run(order, body["id"], cluster, its_rows))
    return runs


def check_records(record: Record, runs: list[Run], findings: Findings) -> None:
    """Compare what was asked with what is said, and what is said with itself."""
    kinship = Kinship(runs)
    for order in record.traffic.orders:
        bodies = [body for body in record.bodies if body["reason"] == order.number]
        _check_accepted(order, bodies, kinship, findings)
    for body in record.bodies:
        rows = [row for run in runs if run.remediation == body["id"] for row in run.rows]
        findings.double += [f"{body['id']}: {each}" for each in _differences(body["summary"], rows)]
    for run in runs:
        findings.runs += 1
        findings.resumed += run.body["attempt"] > 1
        findings.rows += len(run.rows)
        _check_rows(run, kinship, findings)
        _check_reasons(record, run, findings)


def check_kept(
    bodies: list[dict[str, Any]], installation: Installation, findings: Findings
) -> None:
    """Compare remediations that have ended with what they say now: nothing changes any more, nothing goes away."""
    for body in bodies:
        answer = installation.request("GET", f"/remediations/{body['id']}", 30.0)
        if answer.status_code != 200:
            findings.lost.append(f"{body['id']} is gone ({answer.status_code})")
            continue
        # The links have another port after each start.
        now, then = ({**each, "links": None} for each in (answer.json(), body))
        if now != then:
            findings.untrue.append(f"{body['id']} changed after its end: {then} became {now}")


def _check_accepted(
    order: Order, bodies: list[dict[str, Any]], kinship: Kinship, findings: Findings
) -> None:
    there = {body["id"] for body in bodies}
    findings.accepted += len(there)
    findings.repeated += order.sent > 1
    for missing in order.ids - there:
        findings.lost.append(f"{missing} was accepted and is not there")
    if order.key and not there and not order.refused:
        findings.lost.append(f"order {order.number} was accepted and is not there")
    if len(there) > 1:
        findings.double.append(f"order {order.number} made {sorted(there)}")
    asked = set(CLUSTERS) if order.body["clusters"] == ["*"] else set(order.body["clusters"])
    must, may = kinship.clusters(order.follows, order.verb) if order.follows else (asked, asked)
    findings.retries += order.verb == RETRY and bool(there)
    findings.undos += order.verb == UNDO and bool(there)
    if order.refused:
        findings.refused[order.refused] += 1
        if order.refused in ("nothing-to-retry", "nothing-to-undo") and must:
            findings.untrue.append(f"{order} was refused, and there is something on {must}")
    for body in bodies:
        if not body["terminal"]:
            findings.lost.append(f"{body['id']} is {body['status']} for ever")
        if not must <= {cluster["name"] for cluster in body["clusters"]} <= may:
            findings.untrue.append(f"{body['id']} is not on {sorted(must)}")
        if order.follows not in (None, body["retry_of"], body["undo_of"]):
            findings.untrue.append(f"{body['id']} does not name {order.follows}")


def _check_rows(run: Run, kinship: Kinship, findings: Findings) -> None:
    times = Counter(row["namespace"] for row in run.rows)
    must, may = kinship.about(run)
    for namespace, count in times.items():
        if count > 1:
            findings.double.append(f"{run}: {namespace} has {count} rows")
        if namespace not in may:
            findings.untrue.append(f"{run}: {namespace} was not asked for")
    if run.reached_all and (missing := must - times.keys()):
        findings.lost.append(f"{run}: no row for {sorted(missing)}: {run.body}")
    findings.double += [f"{run}: {each}" for each in _differences(run.body["summary"], run.rows)]
    for row in run.rows:
        _check_row(run, row, findings)


def _check_row(run: Run, row: dict[str, Any], findings: Findings) -> None:
    accounts, outcome = row["service_accounts"], row["outcome"]
    namespace = row["namespace"]
    ignored = run.order.ignores(namespace) or namespace in EXCLUDED
    wrong = []
    if (outcome == "ignored") != ignored:
        wrong.append("it is ignored, or should be")
    if outcome == "skipped":
        wrong.append("nothing was terminating")
    if (outcome == "would_change") > run.order.dry_run or (outcome == "changed") > (
        not run.order.dry_run
    ):
        wrong.append("dry runs would change, others change")
    if accounts["total"] != sum(accounts[k] for k in ("changed", "unchanged", "ignored", "failed")):
        wrong.append("its ServiceAccounts do not add up")
    if accounts["changed"] != len(set(row["changed_service_accounts"])):
        wrong.append("it names other ServiceAccounts than it counts")
    if outcome in ("changed", "unchanged", "would_change"):
        if accounts["total"] != len(ACCOUNTS):
            wrong.append(f"there are {len(ACCOUNTS)} ServiceAccounts")
        if not run.order.undoes and accounts["ignored"] != len(ACCOUNTS) - len(
            run.order.accounts()
        ):
            wrong.append("other ServiceAccounts were meant")
        touched = accounts["changed"] or row["secret"]["action"] != "unchanged"
        if bool(touched) != (outcome != "unchanged"):
            wrong.append("what it did is not its outcome")
    findings.untrue += [f"{run}: {what}: {row}" for what in wrong]


def _check_reasons(record: Record, run: Run, findings: Findings) -> None:
    """What failed must have failed for a reason that we gave it."""
    namespaces = {
        namespace
        for namespace, name in record.before[run.cluster].secrets
        if name == run.order.secret_name
    }
    troubles = {
        fault.kind.rpartition(" ")[2] for fault in record.faults if fault.target == run.cluster
    }
    if run.error:
        findings.failed_runs[_reason(run.error)] += 1
        worn_out = run.error["code"] == "worker_lost" and run.body["attempt"] >= _MOST_ATTEMPTS
        # Another one stood in line before the undo, and wrote there.
        stood_on = run.order.undoes and run.error["code"] == "secret_conflict"
        if not worn_out and not stood_on and not _explained(run.error, troubles):
            findings.untrue.append(f"{run} failed without a reason: {run.error}")
    for row in run.rows:
        if row["outcome"] != "failed":
            continue
        findings.failed_rows[_reason(row["error"])] += 1
        conflict = row["error"]["code"] == "secret_conflict"
        if conflict != (row["namespace"] in namespaces) or not (
            conflict or _explained(row["error"], troubles)
        ):
            findings.untrue.append(f"{run}: failed without a reason: {row}")


def _reason(error: dict[str, Any]) -> str:
    return f"{error['code']} {error['http_status'] or ''}".strip()


def _explained(error: dict[str, Any], troubles: set[str]) -> bool:
    if error["code"] == "internal":
        return str(error["http_status"]) in troubles & {"500", "410"}
    return error["code"] in ("unreachable", "timeout") and bool(troubles)


def _differences(said: Summary, rows: Rows) -> list[str]:
    """Return where a summary does not say what its rows do."""
    counts = {
        "namespaces": Counter(row["outcome"] for row in rows),
        "service_accounts": Counter[str](),
        "secrets": Counter(name for row in rows for name in _secret_counts(row)),
    }
    counts["namespaces"].update(total=len(rows), done=len(rows))
    for row in rows:
        counts["service_accounts"].update(row["service_accounts"])
    return [
        f"{group}.{name} is {number} and not {counts[group][name]}"
        for group, numbers in said.items()
        for name, number in numbers.items()
        if number != counts[group][name]
    ]


def _secret_counts(row: dict[str, Any]) -> tuple[str, ...]:
    action = str(row["secret"]["action"])
    if action == "none":
        return ("failed" if row["outcome"] == "failed" else action,)
    return ("updated", action) if action in ("merged", "replaced") else (action,)
