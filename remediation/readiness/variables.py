"""Variables in texts: $(NAME) as the kubelet expands it, and what shells and templates of tools may make of one.

The kubelet expands $(NAME) in variables, commands and arguments by the variables that stand before it, and leaves
$$(NAME) as it is. Here each is expanded by every value that is known for it: what a program does with it is not.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial

Variables = Mapping[str, tuple[str, ...]]

_MOST_PASSES = 4
_MOST_CHARACTERS = 1024 * 1024
_NAME = r"([A-Za-z_][\w.-]*)"
_VARIABLE = re.compile(
    rf"\$\$?\(\s*{_NAME}\s*\)"
    rf"|\$?\$\{{\s*([A-Za-z_][\w.]*)\s*(?::?[-=+?]([^{{}}]*))?[^{{}}]*\}}"
    rf"|\$(\w+)|%(\w+)%|\{{\{{-?\s*\.?{_NAME}\s*-?\}}\}}"
)
_MARK = re.compile(rb"\$[({A-Za-z_$]|\{\{|%\w+%")
_SET = re.compile(r"(?:^|[\s;&|(])([A-Za-z_]\w*)=(?:\"([^\"]*)\"|'([^']*)'|([^\s;&|\"']*))")


def may_vary(raw: bytes) -> bool:
    """Tell whether a text, as it stands, has variables in it."""
    return bool(_MARK.search(raw))


def expansions(text: str, variables: Variables) -> Iterator[str]:
    """Yield what a text may be once its variables are expanded, as often as that gives another text."""
    if "$" not in text and "{{" not in text and "%" not in text:
        return
    known = {text}
    for which in (0, -1, None):
        found = text
        for _ in range(_MOST_PASSES):
            once = _VARIABLE.sub(partial(_value, variables, which), found)
            if once == found or len(once) > _MOST_CHARACTERS:
                break
            found = once
        if found not in known:
            known.add(found)
            yield found


def set_in(text: str) -> Iterator[tuple[str, str]]:
    """Yield the variables that a script sets, such as REGISTRY=registry.example.com."""
    for name, *values in _SET.findall(text):
        yield name, "".join(values)


def _value(variables: Variables, which: int | None, found: re.Match[str]) -> str:
    """Return one of the values of a variable, its default for None; what has none stays as it is."""
    name = next(filter(None, (found[1], found[2], found[4], found[5], found[6])), "")
    values = variables.get(name) or variables.get(name.rpartition(".")[2])
    if found[3] is not None and (which is None or not values):
        return found[3]
    return values[which or 0] if values else found[0]
