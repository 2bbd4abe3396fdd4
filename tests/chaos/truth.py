"""What must be true of the clusters after every episode: they are as the rows say, and others keep what is theirs."""

from __future__ import annotations

from collections import defaultdict

from tests.chaos.episode import Record
from tests.chaos.findings import Findings, Run
from tests.chaos.fleet import ACCOUNTS, NAMESPACES, SECRET_NAMES, Content, Fleet, not_ours
from tests.e2e.fleet import docker_config

_IN_LINE = ("changed", "unchanged")
# `updated`: it was there at the last moment, by a late write of a process that had lost the run.
_MADE = ("created", "updated")


def check_clusters(record: Record, runs: list[Run], fleet: Fleet, findings: Findings) -> None:
    """Compare what is said with what is there."""
    for run in runs:
        if run.order.dry_run and run.remediation in record.wrote[run.cluster]:
            findings.untrue.append(f"{run} was a dry run and wrote")
    for cluster in fleet.clusters:
        after = fleet.read(cluster)
        _check_foreign(record, cluster, after, findings)
        for name in SECRET_NAMES:
            mine = [
                run
                for run in runs
                if (run.cluster, run.order.secret_name) == (cluster, name) and not run.order.dry_run
            ]
            place = _Place(record, cluster, name, after, mine, findings)
            place.check_names()
            place.check_secrets()
            place.check_rows()


def _check_foreign(record: Record, cluster: str, after: Content, findings: Findings) -> None:
    others = record.others[cluster]
    findings.foreign += others.written
    for place, expected in others.expected.items():
        found = not_ours(after.entries.get(place, []))
        if found != expected:
            findings.foreign_lost.append(f"{cluster} {place}: {expected} became {found}")


class _Place:
    """One Secret's name on one cluster, with the runs that wrote it, one after the other."""

    def __init__(
        self,
        record: Record,
        cluster: str,
        name: str,
        after: Content,
        runs: list[Run],
        findings: Findings,
    ) -> None:
        self.before = record.before[cluster]
        self.after = after
        self.cluster = cluster
        self.name = name
        self.runs = runs
        self.findings = findings

    def check_names(self) -> None:
        """Each ServiceAccount carries the name as often as it should, and one run says that it put it there."""
        claims: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for run in self.runs:
            for row in run.rows:
                for account in row["changed_service_accounts"]:
                    claims[row["namespace"], account].append(run.remediation)
        for namespace in NAMESPACES:
            for account in ACCOUNTS:
                place = (namespace, account)
                self._judge(
                    f"{self.cluster} {namespace}/{account} {self.name}",
                    namespace,
                    self.before.entries[place].count(self.name),
                    self.after.entries[place].count(self.name),
                    claims[place],
                )

    def check_secrets(self) -> None:
        """Each Secret is there as often as it should, and one run says that it made it."""
        for namespace in NAMESPACES:
            place = (namespace, self.name)
            said = f"{self.cluster} {namespace} Secret {self.name}"
            claims = [
                run.remediation
                for run in self.runs
                if (row := run.row(namespace)) and row["secret"]["action"] in _MADE
            ]
            was, now = self.before.secrets.get(place), self.after.secrets.get(place)
            self._judge(said, namespace, int(was is not None), int(now is not None), claims)
            if was and was != now:
                self.findings.untrue.append(f"{said} is somebody else's and became {now}")
            if claims and now and now.remediation != claims[0]:
                self.findings.untrue.append(f"{said} names {now.remediation}, made by {claims}")

    def check_rows(self) -> None:
        """Where a row says that all is in line, it is."""
        for run in self.runs:
            for row in run.rows:
                if row["outcome"] not in _IN_LINE:
                    continue
                secret = self.after.secrets.get((row["namespace"], self.name))
                if secret is None or not secret.ours or secret.config != docker_config():
                    self.findings.lost.append(f"{run}: {row} and the Secret is {secret}")
                for account in run.order.accounts():
                    if self.name not in self.after.entries[row["namespace"], account]:
                        self.findings.lost.append(f"{run}: {row} and {account} lacks the name")

    def _judge(self, what: str, namespace: str, was: int, now: int, claims: list[str]) -> None:
        if now > 1:
            self.findings.double.append(f"{what} is there {now} times")
        if len(claims) > 1 or (claims and was):
            self.findings.double.append(f"{what} was there {was} times, and came by {claims}")
        if now < was or (claims and not now):
            self.findings.lost.append(f"{what} is gone; it came by {claims}")
        if now and not was and not claims and not self._unknown(namespace):
            said = "; ".join(
                f"{run} ({run.body['status']}, attempt {run.body['attempt']}): {run.row(namespace)}"
                for run in self.runs
            )
            self.findings.untrue.append(f"{what} is there, and nobody put it there: {said}")

    def _unknown(self, namespace: str) -> bool:
        """Tell whether some run could not say what it did there: it failed, or had to end at once."""
        for run in self.runs:
            row = run.row(namespace)
            if row is None and run.error is not None:
                return True
            if row is not None and row["outcome"] in ("failed", "cancelled"):
                return True
        return False
