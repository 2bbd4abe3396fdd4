"""The files of kubeconfigs, and which cluster and user a context in them means."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from worker.kubeconfig_unusable import Unusable

# PyYAML without its C loader needs 20 times as long for a fleet's file.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class File:
    """A kubeconfig as it was read."""

    path: Path
    document: Mapping[str, Any] = field(repr=False)

    @property
    def folder(self) -> Path:
        """Where relative paths start."""
        return self.path.absolute().parent

    @cached_property
    def entries(self) -> Mapping[str, Mapping[str, list[Mapping[str, Any]]]]:
        """What is defined under each name, by `cluster` and `user`; kubectl takes no file with two of one name."""
        found: dict[str, dict[str, list[Mapping[str, Any]]]] = {"cluster": {}, "user": {}}
        for kind, named in found.items():
            items = self.document.get(f"{kind}s")
            for item in items if isinstance(items, list) else ():
                if isinstance(item, dict) and isinstance(item.get("name"), str):
                    entry = item.get(kind)
                    named.setdefault(item["name"], []).append(
                        entry if isinstance(entry, dict) else {}
                    )
        return found


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a context means; each folder is where relative paths in the entry start."""

    cluster: Mapping[str, Any] = field(repr=False)
    folder: Path
    user: Mapping[str, Any] = field(repr=False)
    user_folder: Path


@dataclass(frozen=True, slots=True)
class Entry:
    """A context under the name that its file gives it; `files` are all there are. `repeated`: the file has another."""

    name: str
    context: Mapping[str, Any] = field(repr=False)
    file: File
    files: tuple[File, ...] = field(repr=False)
    repeated: bool = False

    def meaning(self) -> Meaning:
        """Return what it means: its own file counts first, then the others in order. Raises Unusable."""
        if self.repeated:
            raise Unusable("its file has two contexts of this name: rename one")
        cluster, folder = self._named("cluster")
        user, user_folder = self._named("user")
        return Meaning(cluster, folder, user, user_folder)

    def _named(self, kind: str) -> tuple[Mapping[str, Any], Path]:
        name = self.context.get(kind)
        if not isinstance(name, str) or not name:
            raise Unusable(f"the context names no {kind}")
        for file in (self.file, *self.files):
            if found := file.entries[kind].get(name):
                if len(found) > 1:
                    raise Unusable(f"its {kind} '{name}' is defined twice in one file: rename one")
                return found[0], file.folder
        raise Unusable(f"its {kind} '{name}' is defined nowhere")


def read_files(paths: tuple[Path, ...], problems: list[str]) -> tuple[File, ...]:
    """Return what can be read, each file once; what cannot is added to `problems`."""
    files: dict[Path, File] = {}
    for path in paths:
        for found in expand(path, problems):
            try:
                same = found.resolve()
                if same not in files:
                    files[same] = File(found, _read(found))
            except (Unusable, OSError) as error:
                problems.append(f"{found}: {error}")
    return tuple(files.values())


def expand(path: Path, problems: list[str]) -> Iterator[Path]:
    """Yield a file, or those in a folder."""
    try:
        if path.is_dir():
            # A mounted Secret has hidden entries that lead to the same files again.
            yield from sorted(
                child for child in path.iterdir() if child.is_file() and child.name[0] != "."
            )
        elif path.exists():
            yield path
        else:
            problems.append(f"{path}: no such file")
    except OSError as error:
        problems.append(f"{path}: cannot be read ({error.strerror})")


def _read(path: Path) -> Mapping[str, Any]:
    try:
        # Of several documents in a file the first counts, as with kubectl.
        document = next(yaml.load_all(path.read_bytes(), _LOADER), None)
    except OSError as error:
        raise Unusable(f"cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise Unusable(f"is not YAML{where}") from None
    if not isinstance(document, dict) or not isinstance(document.get("contexts"), list):
        raise Unusable("is not a kubeconfig: it has no list 'contexts'")
    for key, right in (("apiVersion", "v1"), ("kind", "Config")):
        if document.get(key) not in (None, "", right):
            raise Unusable(f"is not a kubeconfig: its {key} must be {right}")
    return document
