"""Waiting for a remediation to end, by long polling."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Protocol

import click

from cli.client import Answer, ApiClient
from cli.colour import escapes
from cli.errors import ClientError, CliError, Unreachable, WaitTimeout
from cli.exit_codes import ExitCode
from cli.request import JsonObject, get
from cli.views import changed, changed_word, count

LIVE_WAIT_SECONDS = 20
QUIET_WAIT_SECONDS = 60
REFRESH_SECONDS = 0.125  # changes can come faster than anyone can look
OUTAGE_SECONDS = 60.0  # how long the service may be away before waiting makes no sense


class Display(Protocol):
    """What shows the progress; a context manager around the whole wait."""

    def __enter__(self) -> "Display": ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def show(self, remediation: JsonObject) -> None:
        """Show how far the remediation is."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How to poll: with `live`, every change is an answer, otherwise only the end is."""

    live: bool
    wait_seconds: int


def follow(
    client: ApiClient,
    remediation: JsonObject,
    timeout: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> JsonObject:
    """Show progress until the remediation ends and return it.

    Raises WaitTimeout after `timeout` seconds, Interrupted on Ctrl-C, Unreachable if the service stays away.
    """
    if remediation.get("terminal"):
        return remediation
    watch = _Watch(client, str(remediation["id"]), timeout, clock)
    try:
        if escapes(sys.stderr):
            from cli.progress import FleetBars

            return watch.until_terminal(FleetBars(), Pace(True, LIVE_WAIT_SECONDS), remediation)
        return watch.until_terminal(Lines(), Pace(False, QUIET_WAIT_SECONDS), remediation)
    except KeyboardInterrupt as error:
        raise Interrupted(watch.id) from error


class Interrupted(CliError):
    """The caller stopped waiting; the remediation did not stop."""

    def __init__(self, remediation_id: str) -> None:
        super().__init__(
            f"stopped waiting; the remediation goes on. To follow it: remediator wait {remediation_id}",
            ExitCode.INTERRUPTED,
        )


class Lines:
    """A line for each look at a remediation that goes on: for logs."""

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, remediation: JsonObject) -> None:
        """Print how far it is, on standard error."""
        if remediation.get("terminal") or remediation.get("status") == "queued":
            return
        done, total = (count(remediation, "namespaces", name) for name in ("done", "total"))
        failed = count(remediation, "namespaces", "failed")
        click.echo(
            f"{remediation.get('id')} {remediation.get('status')}: {done}/{total} namespaces,"
            f" {changed(remediation)} {changed_word(remediation)}, {failed} failed",
            err=True,
        )


class _Watch:
    """One wait: knows when it must end and since when the service is away."""

    def __init__(
        self, client: ApiClient, id: str, timeout: float | None, clock: Callable[[], float]
    ) -> None:
        self.id = id
        self._client = client
        self._clock = clock
        self._timeout = timeout
        self._deadline = None if timeout is None else clock() + timeout
        self._last_answer = clock()

    def until_terminal(self, display: Display, pace: Pace, remediation: JsonObject) -> JsonObject:
        with display:
            display.show(remediation)
            etag: str | None = None
            while not remediation.get("terminal"):
                asked = self._clock()
                answer = self._ask(pace, etag)
                if answer is None:
                    continue
                if not answer.unchanged:
                    remediation, etag = answer.body, answer.etag
                    display.show(remediation)
                if not remediation.get("terminal"):
                    self._rest(pace, answer, self._clock() - asked)
        return remediation

    def _ask(self, pace: Pace, etag: str | None) -> Answer | None:
        """Return the next answer, None if the service is away for the moment."""
        wait = self._wait_seconds(pace)
        request = get(f"/remediations/{self.id}")
        if not pace.live:
            request = replace(request, wait_seconds=wait)
        elif etag:
            request = replace(request, wait_seconds=wait, headers={"If-None-Match": etag})
        try:
            answer = self._client.send(request)
        except (Unreachable, ClientError) as error:
            away = isinstance(error, Unreachable) or error.passing
            if not away or self._clock() - self._last_answer > OUTAGE_SECONDS:
                raise
            time.sleep(0.5)
            return None
        self._last_answer = self._clock()
        return answer

    def _wait_seconds(self, pace: Pace) -> int:
        if self._deadline is None:
            return pace.wait_seconds
        left = self._deadline - self._clock()
        if left <= 0:
            raise WaitTimeout(
                f"{self.id} has not ended within {self._timeout:g} s; it goes on."
                f" To follow it: remediator wait {self.id}"
            )
        return max(1, min(pace.wait_seconds, int(left)))

    def _rest(self, pace: Pace, answer: Answer, held: float) -> None:
        if pace.live and not answer.unchanged:
            time.sleep(REFRESH_SECONDS)
        elif held < 1:
            # The service has no room for another waiter and says when to come back.
            time.sleep(min(answer.retry_after or 1.0, 2.0))
