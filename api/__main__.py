"""`python -m api`: the API process."""

import logging
import os
import sys
from typing import NoReturn

from api import logs
from api.access_file import AccessFile, AccessFileError, read_access_file
from api.sealing import read_public_key
from api.server import Server, listen, without_gunicorns_environment
from api.settings import Address, Settings, SettingsError, open_store
from remediation.sealing import SealingKeyError
from store.connection import StoreUnavailable, safe_url
from store.trouble import trouble_of

_WRONG_SETTINGS = 2
_NO_ADDRESS = 1

log = logging.getLogger("api")


def main() -> None:
    """Serve until SIGTERM.

    Ends with 2 for a wrong setting, among them a Redis that refuses us; with 1 for an address that cannot be had.
    """
    try:
        settings = Settings.from_environment(os.environ)
        file = _access_file(settings)
        _check_sealing_key(settings)
        _check_redis(settings)
    except SettingsError as error:
        _end(str(error), _WRONG_SETTINGS)
    logs.configure(settings.log_format, settings.log_level)
    try:
        listener = listen(settings.listen)
    except OSError as error:
        _end(
            f"cannot listen on {settings.listen}: {error.strerror}; set REMEDIATOR_LISTEN to another",
            _NO_ADDRESS,
        )
    if not file.lets_in:
        log.warning(
            "nobody can get in: %s; `remediator token create` makes a key and prints its entry for the file",
            f"{settings.access_file} holds no keys"
            if settings.access_file
            else "REMEDIATOR_ACCESS_FILE is not set",
        )
    bound = Address(settings.listen.host, listener.getsockname()[1])
    log.info("the API listens on http://%s; its reference is http://%s/api/v1/docs", bound, bound)
    without_gunicorns_environment()
    server = Server(settings, listener)
    try:
        server.run()
    except SystemExit:
        if server.refused:
            sys.exit(_WRONG_SETTINGS)
        raise


def _check_redis(settings: Settings) -> None:
    """Look at Redis once; one that is away may come back. Raises SettingsError if it refuses what is needed."""
    store = open_store(settings)
    try:
        store.check()
    except StoreUnavailable as error:
        trouble = trouble_of(error)
        if trouble.hopeless:
            where = safe_url(settings.redis_url)
            raise SettingsError(
                f"REDIS_URL leads to a Redis at {where} that {trouble.text}"
            ) from None
    finally:
        store.close()


def _access_file(settings: Settings) -> AccessFile:
    """Read the access file. Raises SettingsError for one that is there and cannot be used."""
    path = settings.access_file
    if path is None or not path.exists():
        return AccessFile()
    try:
        return read_access_file(path)
    except AccessFileError as error:
        raise SettingsError(
            f"REMEDIATOR_ACCESS_FILE names a file that cannot be used: {error}; "
            "`remediator token create` prints an example of an entry"
        ) from error


def _check_sealing_key(settings: Settings) -> None:
    """Look at the key, which is read again for each login. Raises SettingsError for one that cannot be used."""
    try:
        read_public_key(settings.sealing_public_key_file)
    except SealingKeyError as error:
        raise SettingsError(
            f"REMEDIATOR_SEALING_PUBLIC_KEY_FILE names a file that {error}; `remediator keys create` makes a pair; "
            "example: REMEDIATOR_SEALING_PUBLIC_KEY_FILE=/etc/remediator/sealing.pub"
        ) from None


def _end(message: str, code: int) -> NoReturn:
    sys.stderr.write(f"remediator api: {message}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
