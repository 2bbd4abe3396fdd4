"""Changing one cluster entry in the text of a kubeconfig, and not a byte of anything else."""

from typing import Any

import yaml

_LOADER: Any = yaml.SafeLoader  # the one with the C parser counts places otherwise
_REPLACED = ("certificate-authority-data", "certificate-authority", "insecure-skip-tls-verify")
_NO_REPLACEMENT = "its text cannot be changed without touching something else; write {} by hand"
_Pair = tuple[Any, Any]


class CannotChange(Exception):
    """The text has to be changed by hand; the message says how."""


def with_authority(text: str, cluster: str, data: str, server_name: str | None = None) -> str:
    """Return the kubeconfig with `data` (base64) as the CA of a cluster entry, and perhaps its tls-server-name.

    What said otherwise goes: another CA, and insecure-skip-tls-verify. Raises CannotChange.
    """
    wanted = {"certificate-authority-data": data}
    if server_name:
        wanted["tls-server-name"] = server_name
    changed = text
    for name, value in wanted.items():
        others = _REPLACED if name == _REPLACED[0] else (name,)
        changed = _with_pair(changed, cluster, name, value, others)
    _check(text, changed, cluster, wanted)
    return changed


def _with_pair(text: str, cluster: str, name: str, value: str, others: tuple[str, ...]) -> str:
    """Put a pair into the place of the first of the `others`, or before the first pair; the rest of them goes."""
    while True:
        entry = _entry(text, cluster)
        found = [pair for pair in entry.value if pair[0].value in others]
        if len(found) <= 1:
            break
        text = _without(text, entry, found[-1])
    quoted = bool(entry.value) and entry.value[0][0].style == '"'
    pair = f'"{name}": "{value}"' if quoted else f"{name}: {value}"
    if found:
        begin, end = found[0][0].start_mark.index, _end(text, found[0][1])
        return text[:begin] + pair + text[end:]
    if not entry.value:
        raise CannotChange(_NO_REPLACEMENT.format(name))
    first = entry.value[0][0].start_mark
    between = ", " if entry.flow_style else "\n" + " " * first.column
    return text[: first.index] + pair + between + text[first.index :]


def _without(text: str, entry: Any, pair: _Pair) -> str:
    at = entry.value.index(pair)  # never the first: that one is replaced
    begin, end = _end(text, entry.value[at - 1][1]), _end(text, pair[1])
    if not entry.flow_style:
        begin = text.rfind("\n", 0, pair[0].start_mark.index)
    return text[:begin] + text[end:]


def _end(text: str, value: Any) -> int:
    """Return where a value ends: the mark of a block scalar is at the start of what follows."""
    end: int = value.end_mark.index
    while end > value.start_mark.index and text[end - 1] in " \r\n":
        end -= 1
    return end


def _entry(text: str, cluster: str) -> Any:
    """Return the node of the cluster entry in the first document. Raises CannotChange."""
    by_hand = CannotChange(_NO_REPLACEMENT.format("certificate-authority-data"))
    document: Any = next(iter(yaml.compose_all(text, _LOADER)), None)
    for item in getattr(_value(document, "clusters"), "value", ()):
        name = _value(item, "name")
        if name is not None and name.value == cluster:
            found = _value(item, "cluster")
            if isinstance(found, yaml.MappingNode):
                return found
            raise by_hand
    raise by_hand


def _value(node: Any, key: str) -> Any:
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return next((value for name, value in pairs if name.value == key), None)


def _check(before: str, after: str, cluster: str, wanted: dict[str, str]) -> None:
    """Raise CannotChange unless exactly the cluster entry means something else now: anchors and merges may spread."""
    try:
        was, found = (list(yaml.load_all(text, _LOADER)) for text in (before, after))
    except yaml.YAMLError:
        was, found = [], [None]
    for item in was[0]["clusters"] if was else ():
        if isinstance(item, dict) and item.get("name") == cluster:
            rest = {key: value for key, value in item["cluster"].items() if key not in _REPLACED}
            item["cluster"] = rest | wanted
    if was != found:
        raise CannotChange(_NO_REPLACEMENT.format("certificate-authority-data"))
