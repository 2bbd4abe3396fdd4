"""The API key of this machine's user: made once, kept in the data directory."""

import os
from typing import Any

from cli.data_dir import DataDir, write_private
from cli.errors import CliError
from remediation.api_key import ENTROPY_BYTES, ApiKey, digest, new_api_key, parse_api_key

SUBJECT = "local"
_NAME = f"client:{SUBJECT}"
_EVERYTHING = {
    "subjects": [_NAME],
    "role": "admin",
    "clusters": ["*"],
    "namespaces": ["*"],
    "credentials": ["*"],
}


def ensure_token(data_dir: DataDir) -> str:
    """Return the token in the data directory; make one, and let it in, if there is none or it is not let in.

    Other entries of the access file stay. Raises CliError if the access file cannot be understood.
    """
    access = _read_access(data_dir)
    token = data_dir.token()
    key_id = parse_api_key(token) if token else None
    if not token or not key_id:
        key = new_api_key(os.urandom(ENTROPY_BYTES))
        token, key_id = key.token, key.id
        write_private(data_dir.token_file, f"{token}\n")
    data_dir.token_file.chmod(0o600)
    if not _lets_in(access, token) or not _is_bound(access):
        _write_access(data_dir, access, ApiKey(key_id, token))
    return token


def _read_access(data_dir: DataDir) -> dict[str, Any]:
    import yaml

    if not data_dir.access_file.exists():
        return {}
    try:
        access = yaml.safe_load(data_dir.access_file.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CliError(f"{data_dir.access_file} cannot be read: {_short(error)}") from error
    keys = access.get("keys", []) if isinstance(access, dict) else None
    bindings = access.get("bindings", []) if isinstance(access, dict) else None
    for name, entries in (("keys", keys), ("bindings", bindings)):
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise CliError(f"{data_dir.access_file} must hold a list of entries under '{name}'")
    return dict(access)


def _lets_in(access: dict[str, Any], token: str) -> bool:
    wanted = digest(token)
    return any(
        entry.get("sha256") == wanted and "expires_at" in entry for entry in access.get("keys", [])
    )


def _is_bound(access: dict[str, Any]) -> bool:
    return any(_NAME in (entry.get("subjects") or ()) for entry in access.get("bindings", []))


def _write_access(data_dir: DataDir, access: dict[str, Any], key: ApiKey) -> None:
    import yaml

    # A lost token must not stay valid: there is one local key at a time.
    others = [entry for entry in access.get("keys", []) if entry.get("subject") != SUBJECT]
    entry = {
        "id": key.id,
        "subject": SUBJECT,
        "sha256": digest(key.token),
        "expires_at": "never",
    }
    bindings = access.get("bindings", [])
    written = {
        **access,
        "keys": [*others, entry],
        "bindings": bindings if _is_bound(access) else [*bindings, _EVERYTHING],
    }
    text = yaml.safe_dump(written, sort_keys=False)
    write_private(
        data_dir.access_file,
        "# Who may call, and who may do what. Keys are kept as SHA-256 only.\n" + text,
    )


def _short(error: Exception) -> str:
    return " ".join(str(error).split())
