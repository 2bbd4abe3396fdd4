"""What must be true of the clusters after every episode: they are as the rows say, and others keep what is theirs.

What the rows say is told again from the beginning, run after run: what may be there after each of them. Only a run that
could not say what it did leaves more than one possibility.
"""

from __future__ import annotations

from typing import Any

from tests.chaos.episode import Record
from tests.chaos.findings import Findings, Run
from tests.chaos.fleet import ACCOUNTS, NAMESPACES, SECRET_NAMES, Content, Fleet, not_ours
from tests.chaos.kinship import LEFT_OVER, Kinship
from tests.e2e.fleet import docker_config

_IN_LINE = ("changed", "unchanged")
# `updated`: it was there at the last moment, by a late write of a process that had lost the run.
_MADE = ("created", "updated")
_THEIRS = "theirs"


def check_clusters(record: Record, runs: list[Run], fleet: Fleet, findings: Findings) -> None:
    """Compare what is said with what is there."""
    for run in runs:
        if run.order.dry_run and run.remediation in record.wrote[run.cluster]:
            findings.untrue.append(f"{run} was a dry run and wrote")
    kinship = Kinship(runs)
    for cluster in fleet.clusters:
        after = fleet.read(cluster)
        _check_foreign(record, cluster, after, findings)
        for name in SECRET_NAMES:
            mine = [
                run
                for run in runs
                if (run.cluster, run.order.secret_name) == (cluster, name) and not run.order.dry_run
            ]
            # They stood in one line.
            mine.sort(key=lambda run: str(run.body["finished_at"]))
            place = _Place(record, cluster, name, after, mine, kinship, findings)
            for namespace in NAMESPACES:
                place.check_secret(namespace)
                for account in ACCOUNTS:
                    place.check_name(namespace, account)


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
        kinship: Kinship,
        findings: Findings,
    ) -> None:
        self.before = record.before[cluster]
        self.after = after
        self.cluster = cluster
        self.name = name
        self.runs = runs
        self.kinship = kinship
        self.findings = findings

    def check_name(self, namespace: str, account: str) -> None:
        """A ServiceAccount carries the name as often as the rows say: put there once, taken away once."""
        place = (namespace, account)
        what = f"{self.cluster} {namespace}/{account} {self.name}"
        may = {self.before.entries[place].count(self.name)}
        for run in self.runs:
            row = run.row(namespace)
            if row and account in row["changed_service_accounts"]:
                step = -1 if run.order.undoes else 1
                came = {number + step for number in may if (number > 0) == run.order.undoes}
                self.findings.taken_back += run.order.undoes
                if not came:
                    self._double(f"{what} was there {may} times when {run} says it changed it")
            elif self._unknown(run, row):
                if run.order.undoes:
                    came = may | {number - 1 for number in may if number}
                else:
                    came = may | ({1} if 0 in may and account in run.order.accounts() else set())
            elif self._in_line(run, row) and account in run.order.accounts():
                came = may - {0}
                if not came:
                    self._lost(f"{what} is in line says {run}, and it was not there: {row}")
            elif run.order.undoes and row and self._put(run, namespace, account):
                came = may & {0}
                if not came:
                    self._lost(f"{what} was put there, and {run} left it: {row}")
            else:
                came = may
            may = came or may
        now = self.after.entries[place].count(self.name)
        if now > max(1, self.before.entries[place].count(self.name)):
            self._double(f"{what} is there {now} times")
        self._is_one_of(what, namespace, now, may)

    def check_secret(self, namespace: str) -> None:
        """A Secret is there, by the remediation that made it, if the rows say so; what was there before stays."""
        place = (namespace, self.name)
        what = f"{self.cluster} {namespace} Secret {self.name}"
        was, now = self.before.secrets.get(place), self.after.secrets.get(place)
        may: set[str | None] = {_THEIRS if was else None}
        for run in self.runs:
            came = self._secret_after(run, namespace, may, what)
            may = came or may
        there = (now.remediation if now.ours else _THEIRS) if now else None
        self._is_one_of(what, namespace, there, may)
        if was and was != now:
            self.findings.untrue.append(f"{what} is somebody else's and became {now}")
        if now and now.ours and now.config != docker_config():
            self.findings.untrue.append(f"{what} holds something else: {now}")

    def _secret_after(
        self, run: Run, namespace: str, may: set[str | None], what: str
    ) -> set[str | None]:
        """Return who may have made the Secret that is there after a run (None: there is none)."""
        row = run.row(namespace)
        action = row["secret"]["action"] if row else "none"
        if run.order.undoes:
            maker = self.kinship.undone(run).remediation
            made = self.kinship.undone(run).row(namespace)
            if action == "deleted":
                if maker not in may:
                    self._double(f"{what} was by {may} when {run} says it deleted that of {maker}")
                return {None}
            if self._unknown(run, row):
                return may | {None}
            created = made and made["secret"]["action"] == "created"
            if row and created and may == {maker} and not row["reason"]:
                self._lost(f"{what} stays without a reason: {run} {row}")
            if row and "changed" in (row["reason"] or "") and created:
                self.findings.untrue.append(f"{what} was changed by nobody: {run} {row}")
            return may
        if action in _MADE:
            if not may & {None, run.remediation}:
                self._double(f"{what} was by {may} when {run} says it made it")
            return {run.remediation}
        if self._unknown(run, row):
            return may | ({run.remediation} if None in may else set())
        if self._in_line(run, row):
            if not may - {None, _THEIRS}:
                self._lost(f"{what} is in line says {run}, and it was not there: {row}")
            return may - {None}
        return may

    def _put(self, undo: Run, namespace: str, account: str) -> bool:
        """Tell whether the run that an undo takes back says that it put the name there."""
        row = self.kinship.undone(undo).row(namespace)
        return row is not None and account in row["changed_service_accounts"]

    @staticmethod
    def _in_line(run: Run, row: dict[str, Any] | None) -> bool:
        """Tell whether a row says that all is as it was asked for."""
        return not run.order.undoes and row is not None and row["outcome"] in _IN_LINE

    @staticmethod
    def _unknown(run: Run, row: dict[str, Any] | None) -> bool:
        """Tell whether a run could not say what it did there: it failed, or had to end at once."""
        if row is None:
            return run.error is not None
        return row["outcome"] in LEFT_OVER

    def _is_one_of(self, what: str, namespace: str, now: object, may: set[Any]) -> None:
        if now in may:
            return
        said = "; ".join(
            f"{run} ({run.order.verb}, {run.body['status']}, attempt {run.body['attempt']}): {run.row(namespace)}"
            for run in self.runs
        )
        wrong = self.findings.untrue if now else self.findings.lost
        wrong.append(f"{what} is {now} and should be one of {may}: {said}")

    def _double(self, text: str) -> None:
        self.findings.double.append(text)

    def _lost(self, text: str) -> None:
        self.findings.lost.append(text)
