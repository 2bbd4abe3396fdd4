"""`python -m worker.pin`: have a kubeconfig trust the certificate that an API server shows now."""

import argparse
import os
import ssl
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from network.trust import context as trusting
from network.trust import system_context
from worker.kubeconfig_addresses import check_server, check_server_name, proxy_of
from worker.kubeconfig_files import Entry, File, read_files
from worker.kubeconfig_names import named_apart
from worker.kubeconfig_rules import Unusable, authority
from worker.kubeconfigs import load
from worker.pin_file import write_like
from worker.pin_server import (
    NotTrusted,
    Place,
    Shown,
    Unreachable,
    bundle,
    check_trust,
    now,
    shown_by,
)
from worker.pin_text import CannotChange, with_authority
from worker.settings import kubeconfig_paths

# As cli/exit_codes.py has them.
_DONE, _INVALID, _UNREACHABLE, _CANCELLED, _INTERRUPTED, _PIPE_CLOSED = 0, 2, 5, 7, 130, 141
_ALL = ("*",)


@dataclass(frozen=True, slots=True)
class _Target:
    """The cluster entry to change, and the contexts that use it."""

    context: str
    cluster: str
    file: File
    used_by: tuple[str, ...]
    place: Place

    @property
    def entry(self) -> dict[str, object]:
        return dict(self.file.entries["cluster"][self.cluster][0])


class _Refused(Exception):
    """It is not done; the message says why."""


class _NoYes(Exception):
    """The question was not answered with yes; the message says how."""


def main(arguments: Sequence[str]) -> int:
    """Pin, and return the exit code."""
    asked = _parser().parse_args(arguments)
    paths = tuple(asked.kubeconfig) or kubeconfig_paths(os.environ)
    try:
        return _pin(asked.context, paths, asked.fingerprint, asked.tls_server_name)
    except (_Refused, CannotChange, Unusable) as error:
        return _say(f"{error}", _INVALID)
    except Unreachable as error:
        return _say(f"the API server of '{asked.context}': {error}", _UNREACHABLE)
    except _NoYes as error:
        return _say(f"cancelled: {error}; nothing was changed", _CANCELLED)
    except KeyboardInterrupt:
        return _say("interrupted", _INTERRUPTED)
    except BrokenPipeError:  # who reads what is told has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("remediator kubeconfig pin")
    parser.add_argument("context")
    parser.add_argument("--kubeconfig", type=Path, action="append", default=[])
    parser.add_argument("--fingerprint", action="append", default=[])
    parser.add_argument("--tls-server-name")
    return parser


def _pin(
    context: str, paths: tuple[Path, ...], fingerprints: Sequence[str], server_name: str | None
) -> int:
    target = _target(context, paths)
    if server_name:
        check_server_name(server_name)
        target = replace(target, place=replace(target.place, name=server_name))
    why = _why_not_trusted(target)
    if why is None:
        return _say(f"'{context}' is verified already; nothing is to be done", _DONE)
    shown = shown_by(target.place)
    _tell(f"context      {context} (cluster '{target.cluster}' of {target.file.path})")
    _tell(f"server       {target.place.server}")
    for each in shown:
        for name, value in each.described:
            _tell(f"{name:<12} {_printable(value)}")
    if others := [name for name in target.used_by if name != context]:
        _tell(f"also used by {', '.join(others)}")
    if why:
        _tell(f"warning      the CA of this context does not vouch for it: {_printable(why)}")
    _tell("Compare the SHA-256 with the one on the API server:")
    _tell("  openssl x509 -noout -fingerprint -sha256 -in /etc/kubernetes/pki/apiserver.crt")
    _check_usable(target.place, shown)
    _confirm(shown, fingerprints)
    _write(target, shown, server_name)
    return _served(context, paths)


def _target(context: str, paths: tuple[Path, ...]) -> _Target:
    problems: list[str] = []
    entries = named_apart(read_files(paths, problems), problems)
    entry = entries.get(context)
    if entry is None:
        known = ", ".join(sorted(entries)) or "none"
        raise _Refused("; ".join([f"no context '{context}'; there are: {known}", *problems]))
    entry.meaning()  # whatever is ambiguous is refused here
    cluster, file = _place_of(entry)
    found = file.entries["cluster"][cluster][0]
    server = check_server(found.get("server"))
    check_server_name(found.get("tls-server-name"))
    place = Place(server, proxy_of(found, server, os.environ), found.get("tls-server-name"))
    used_by = tuple(name for name, each in entries.items() if _place_of(each) == (cluster, file))
    return _Target(context, cluster, file, used_by, place)


def _place_of(entry: Entry) -> tuple[str, File]:
    name = str(entry.context.get("cluster"))
    files = (entry.file, *entry.files)
    return name, next((file for file in files if name in file.entries["cluster"]), entry.file)


def _why_not_trusted(target: _Target) -> str | None:
    """Return why the context does not trust its server, "" where it does not look, None if it does."""
    if target.entry.get("insecure-skip-tls-verify"):
        return ""
    try:
        vouched = authority(target.entry, target.file.folder)
        anchors = [ssl.PEM_cert_to_DER_cert(pem) for pem in _certificates(vouched or "")]
        check_trust(target.place, trusting(anchors) if vouched else system_context())
    except (NotTrusted, Unusable) as error:
        return str(error)
    return None


def _certificates(pem: str) -> list[str]:
    end = "-----END CERTIFICATE-----\n"
    return [f"{part}{end}" for part in pem.split(end) if part.strip()]


def _check_usable(place: Place, shown: Sequence[Shown]) -> None:
    """Raise _Refused where neither kubectl nor a worker would take the certificates even as a CA."""
    for each in shown:
        if why := each.out_of_time(now()):
            raise _Refused(f"the certificate cannot be used: {why}; have the server renew it")
        if not each.names:
            raise _Refused(
                "the certificate has no subject alternative names: neither kubectl nor a worker takes it, pinned or not"
            )
    try:
        check_trust(place, trusting([each.der for each in shown]))
    except NotTrusted as error:
        names = list(dict.fromkeys(name for each in shown for name in each.names))
        usual = "kubernetes" if "kubernetes" in names else names[0]
        raise _Refused(
            f"it would not be trusted as '{place.known_as}' ({_printable(str(error))}); it is for "
            f"{_printable(', '.join(names))}. If it is the right server, add --tls-server-name {_printable(usual)}"
        ) from None


def _confirm(shown: Sequence[Shown], fingerprints: Sequence[str]) -> None:
    """Return once it is certain that these certificates are meant. Raises _Refused."""
    if fingerprints:
        known = {_plain(text) for text in fingerprints}
        if any(_plain(each.fingerprint) not in known for each in shown):
            raise _Refused(
                "the server shows another certificate than --fingerprint says; nothing was changed"
            )
        return
    if not sys.stdin.isatty():
        raise _Refused("there is no terminal to ask on: compare, then give --fingerprint SHA256")
    sys.stdout.write("Trust it from now on? [y/N] ")
    sys.stdout.flush()
    answer = sys.stdin.readline()
    if not answer:
        raise _NoYes("there is no answer")
    if answer.strip().lower() not in ("y", "yes"):
        raise _NoYes("the answer is not yes")


def _plain(fingerprint: str) -> str:
    return fingerprint.lower().removeprefix("sha256").lstrip(":= ").replace(":", "").strip()


def _write(target: _Target, shown: Sequence[Shown], server_name: str | None) -> None:
    """Replace the file as a whole, keeping a copy of it. Raises _Refused and CannotChange."""
    path = Path(os.path.realpath(target.file.path))  # a link stays one
    try:
        before = path.read_bytes()
        text = with_authority(before.decode(), target.cluster, bundle(shown), server_name)
        # With a dot: a worker that serves the folder would take it for another kubeconfig.
        kept = path.with_name(f".{path.name}.before-pin-{_stamp(now())}")
        write_like(path, kept, before)
        write_like(path, path, text.encode())
    except OSError as error:
        raise _Refused(f"{path} cannot be written ({error.strerror})") from None
    except UnicodeDecodeError:
        raise _Refused(f"{path} is not UTF-8") from None
    _tell(f"wrote        {path}")
    _tell(f"kept         {kept}, as it was before")


def _served(context: str, paths: tuple[Path, ...]) -> int:
    contexts = load(paths, _ALL, _ALL)
    if why := contexts.broken.get(context):
        return _say(f"'{context}' is still refused: {why}", _INVALID)
    _tell(
        f"served       '{context}' is verified from now on; when the server's certificate is renewed, pin it again"
    )
    return _DONE


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y%m%dT%H%M%S%fZ")


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _say(text: str, code: int) -> int:
    sys.stderr.write(f"{text}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
