"""The names that contexts are served under: those of their files, unless two files have the same."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from itertools import count

from remediation.patterns import matcher
from worker.kubeconfig_files import Entry, File
from worker.kubeconfig_rules import absolute
from worker.kubeconfig_unusable import Unusable

_MAX_LISTED = 10


def named_apart(files: tuple[File, ...], problems: list[str]) -> dict[str, Entry]:
    """Return every context by a name of its own, and add to `problems` what is not called as its file calls it.

    The first of several keeps the name, as with kubectl; one in `b.yaml` becomes `NAME@b`. One that means the same as
    an earlier one of its name, as in a copy of a file, is that one.
    """
    entries = [entry for file in files for entry in _entries(file, files, problems)]
    taken = {entry.name for entry in entries}
    served: dict[str, Entry] = {}
    alike: dict[str, dict[str, Entry]] = {}
    for entry in entries:
        earlier, content, path = alike.setdefault(entry.name, {}), _content(entry), entry.file.path
        if same := earlier.get(content):
            problems.append(
                f"{path}: context '{entry.name}' is the same as in {same.file.path}, and counts once"
            )
            continue
        name = entry.name
        if earlier:
            name, first = _free(entry, taken), next(iter(earlier.values()))
            problems.append(
                f"{path}: context '{entry.name}' is served as '{name}': {first.file.path} has one of that name; rename "
                "it in the file to choose another"
            )
        earlier[content] = entry
        served[name] = entry
        taken.add(name)
    return served


def unmatched(patterns: tuple[str, ...], entries: Mapping[str, Entry]) -> Iterator[str]:
    """Yield what is wrong with REMEDIATOR_CONTEXTS where a pattern in it matches no context."""
    names = dict.fromkeys(name for known, entry in entries.items() for name in (known, entry.name))
    idle = [pattern for pattern in patterns if not any(map(matcher((pattern,)), names))]
    if idle and names:
        yield f"REMEDIATOR_CONTEXTS '{','.join(idle)}' matches none of: {_listed(names)}"


def _entries(file: File, files: tuple[File, ...], problems: list[str]) -> Iterator[Entry]:
    found: dict[str, Entry] = {}
    for item in file.document["contexts"]:
        name = item.get("name") if isinstance(item, dict) else None
        if name is not None and not isinstance(name, str):
            problems.append(
                f"{file.path}: has a context whose name is not text: put the name in quotes"
            )
        elif not name:
            problems.append(f"{file.path}: has a context without a name")
        elif name in found:
            found[name] = replace(found[name], repeated=True)
        else:
            context = item.get("context")
            found[name] = Entry(name, context if isinstance(context, dict) else {}, file, files)
    yield from found.values()


def _content(entry: Entry) -> str:
    """Return what tells contexts of one name apart; never to be shown."""
    try:
        meaning = entry.meaning()
    except Unusable as error:
        return f"{entry.file.path}: {error}"
    user = absolute(meaning.user, meaning.user_folder)
    return repr((absolute(meaning.cluster, meaning.folder), user))


def _free(entry: Entry, taken: Collection[str]) -> str:
    file = re.sub(r"[^\w.-]", "-", entry.file.path.stem)
    wanted = f"{entry.name}@{file}"
    names = (wanted if number == 1 else f"{wanted}-{number}" for number in count(1))
    return next(name for name in names if name not in taken)


def _listed(names: Collection[str]) -> str:
    more = len(names) - _MAX_LISTED
    return ", ".join(sorted(names)[:_MAX_LISTED]) + (f" and {more} more" if more > 0 else "")
