"""The process beside the RQ workers: announces what this worker serves, and looks for runs that nobody works on."""

import logging
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace

from remediation.inventory import AnnouncedCluster, Announcement
from remediation.sealing import SealingKeyError
from store.connection import PROMPT, StoreUnavailable
from store.inventory import BEAT_SECONDS
from store.recovery import PERIOD_SECONDS, recover, until_next_turn
from store.trouble import trouble_of
from worker.credentials import CredentialFolder
from worker.identity import Identities
from worker.kubeconfigs import Contexts
from worker.sealing import SealingKeys
from worker.settings import Settings
from worker.supervisor import WRONG_SETTINGS

# In a row; a failover may bring one that passes.
_REFUSALS = 1

log = logging.getLogger(__name__)


class _Stopped(Exception):
    """SIGTERM came."""


def attend(
    settings: Settings,
    contexts: Callable[[], Contexts],
    registries_problem: Callable[[], str | None],
    announcement: Announcement,
) -> None:
    """Beat until SIGTERM, then say goodbye. `announcement` holds what does not change.

    Ends with WRONG_SETTINGS if Redis refuses what is needed.
    """
    store = settings.store(retries=PROMPT)
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent passes on SIGTERM
    identities = Identities()
    next_beat = 0.0
    away = False
    refusals = 0
    try:
        while True:
            pause = PERIOD_SECONDS
            try:
                if time.monotonic() >= next_beat:
                    known = contexts()
                    identities.look_at(known.usable.values())
                    problem = registries_problem()
                    current = _current(announcement, known, settings, problem, identities)
                    store.inventory.announce(current)
                    next_beat = time.monotonic() + BEAT_SECONDS
                for run in recover(store):
                    log.info("woke run %s on cluster %s", run.id, run.cluster)
                pause = until_next_turn(store)
            except StoreUnavailable as error:
                trouble = trouble_of(error)
                if not away:
                    log.warning("Redis %s (%s): waiting", trouble.text, error)
                away = True
                refusals = refusals + 1 if trouble.hopeless else 0
                if refusals > _REFUSALS:
                    log.error("Redis %s; the worker ends", trouble.text)  # noqa: TRY400
                    sys.exit(WRONG_SETTINGS)
            else:
                refusals = 0
                if away:
                    log.info("Redis is back")
                away = False
            time.sleep(pause)
    except _Stopped:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            store.inventory.leave(announcement.worker_id)
        except StoreUnavailable:
            log.warning("Redis is away: the announcement runs out by itself")
    finally:
        identities.stop()
        store.close()


def _stop(signum: int, frame: object) -> None:
    raise _Stopped


def _current(
    announcement: Announcement,
    contexts: Contexts,
    settings: Settings,
    registries_problem: str | None,
    identities: Identities,
) -> Announcement:
    clusters = [
        replace(identities.of(context), name=name, server=context.server, insecure=context.insecure)
        for name, context in contexts.usable.items()
    ]
    clusters += [AnnouncedCluster(name, None, reason) for name, reason in contexts.broken.items()]
    folder = CredentialFolder(settings.credentials_dir)
    problems = [folder.problem(), registries_problem]
    try:
        keys = SealingKeys.read(settings.sealing_key_file)
    except SealingKeyError as error:
        keys = SealingKeys()
        problems.append(f"sealing key file {settings.sealing_key_file}: {error}")
    return replace(
        announcement,
        clusters=tuple(sorted(clusters, key=lambda cluster: cluster.name)),
        credentials=folder.announced(keys.fingerprint),
        problems=(*contexts.problems, *filter(None, problems)),
        sealing_keys=keys.ids,
    )
