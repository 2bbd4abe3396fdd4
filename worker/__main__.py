"""`python -m worker`: the worker, configured by its environment."""

import gc
import logging
import os
import socket
import sys
import time
import uuid
from functools import partial

import remediation
from remediation.inventory import Announcement
from remediation.readiness.facts_file import FactsError
from remediation.registry.rules import InvalidRules
from remediation.sealing import SealingKeyError
from store import clock
from store.connection import PROMPT, StoreUnavailable, safe_url
from store.trouble import trouble_of
from worker import logs
from worker.attendant import attend
from worker.credentials import CredentialFolder
from worker.job import execute
from worker.kubeconfigs import Kubeconfigs
from worker.process import serve
from worker.readiness.facts_file import load_facts
from worker.registries import RegistriesFile
from worker.sealing import SealingKeys
from worker.settings import Settings, SettingsError
from worker.supervisor import WRONG_SETTINGS, Supervisor

log = logging.getLogger("worker")


def main() -> int:
    """Run until told to stop; return the exit code."""
    try:
        settings = Settings.from_environment(os.environ)
        sealing_keys = _sealing_keys(settings)
        registries = RegistriesFile.opened(settings.registries_file)
        load_facts(settings.facts_file)
    except SettingsError as error:
        sys.stderr.write(f"remediator worker: {error}\n")
        return 2
    except InvalidRules as error:
        sys.stderr.write(
            f"remediator worker: REMEDIATOR_REGISTRIES_FILE {settings.registries_file}: {error}; for example "
            "'registries: {registry.example.com: {realm_hosts: [auth.example.com]}}'\n"
        )
        return 2
    except FactsError as error:
        sys.stderr.write(
            f"remediator worker: REMEDIATOR_FACTS_FILE {settings.facts_file}: {error}; for example "
            "'waivers: [{classes: [W_OTHER], owner: sre, reason: told, expires_at: 2027-01-31}]'\n"
        )
        return 2
    logs.set_up(settings.log_format, settings.log_level)
    kubeconfigs = Kubeconfigs(
        settings.kubeconfigs,
        settings.contexts,
        settings.cluster_name,
        settings.exec_plugins,
        settings.insecure_contexts,
    )
    contexts = kubeconfigs.current()
    for wrong in contexts.problems:
        log.warning("kubeconfig %s", wrong)
    for name, reason in contexts.broken.items():
        log.warning("context '%s' is not served: %s", name, reason)
    for name, context in contexts.usable.items():
        if context.insecure:
            log.warning("context '%s' is insecure: its server's certificate is not verified", name)
    log.info(
        "serving %d clusters from queue '%s' at %s with %d processes",
        len(contexts.usable),
        settings.pool,
        safe_url(settings.redis_url),
        settings.processes,
    )
    if problem := CredentialFolder(settings.credentials_dir).problem():
        log.warning("%s", problem)
    if sealing_keys.ids:
        log.info("opening logins that were sealed with %s", ", ".join(sealing_keys.ids))
    try:
        _wait_for_redis(settings)
    except SettingsError as error:
        sys.stderr.write(f"remediator worker: {error}\n")
        return WRONG_SETTINGS
    announcement = Announcement(
        worker_id=uuid.uuid4().hex,
        pool=settings.pool,
        version=remediation.__version__,
        host=socket.gethostname(),
        pid=os.getpid(),
        started_at=clock.now(),
        processes=settings.processes,
    )

    def carry_out(run_id: str) -> None:
        execute(settings, kubeconfigs.current(), registries.current(), run_id)

    def read_files() -> None:
        kubeconfigs.current()
        registries.current()

    bodies = {
        f"process {number}": partial(serve, settings, carry_out, read_files)
        for number in range(1, settings.processes + 1)
    }
    bodies["attendant"] = partial(
        attend, settings, kubeconfigs.current, registries.problem, announcement
    )
    gc.freeze()  # what is loaded now is shared with the forked processes, and no collection touches it
    return Supervisor(bodies).run()


def _sealing_keys(settings: Settings) -> SealingKeys:
    """Return the keys, which are read again later on. Raises SettingsError."""
    try:
        return SealingKeys.read(settings.sealing_key_file)
    except SealingKeyError as error:
        raise SettingsError(
            f"REMEDIATOR_SEALING_KEY_FILE is {str(settings.sealing_key_file)!r}, which {error}; "
            "`remediator keys create` makes one, for example /etc/remediator/sealing.key"
        ) from None


def _wait_for_redis(settings: Settings) -> None:
    """Return when Redis answers; say once that it does not. Raises SettingsError if it refuses what is needed."""
    store = settings.store(retries=PROMPT)
    url = safe_url(settings.redis_url)
    waiting = False
    while True:
        try:
            found = store.check()
        except StoreUnavailable as error:
            trouble = trouble_of(error)
            if trouble.hopeless:
                raise SettingsError(
                    f"REDIS_URL leads to a Redis at {url} that {trouble.text}"
                ) from None
            if not waiting:
                log.warning("Redis at %s %s (%s): waiting", url, trouble.text, error)
            waiting = True
            time.sleep(1)
        else:
            break
    if waiting:
        log.info("Redis answers at %s", url)
    for warning in found.warnings:
        log.warning("%s", warning)
    store.close()


if __name__ == "__main__":
    sys.exit(main())
