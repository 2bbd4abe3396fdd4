"""Passwords that are nowhere else, and what of them must not be found."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.leaks import forms_of, texts_in


@dataclass(frozen=True)
class Canary:
    """A login of its own, made at random; its password holds what JSON, URLs and shells would rather not have."""

    name: str
    core: str = field(default_factory=lambda: secrets.token_hex(12), repr=False)

    @property
    def username(self) -> str:
        """A user name that belongs to it alone."""
        return f"robot-{self.name}"

    @property
    def password(self) -> str:
        """The password."""
        return f'p"\\ä $%+/&{self.core}'

    def login(self, registry: str) -> dict[str, str]:
        """Return it as a member of a request."""
        return {"registry": registry, "username": self.username, "password": self.password}

    @property
    def marks(self) -> list[bytes]:
        """What must be nowhere. The core needs no escaping anywhere: its forms show others that were cut or changed."""
        core = forms_of(self.core, self.username)
        twice = [base64.b64encode(b"x" * shift + form)[4:-4] for form in core for shift in range(3)]
        return list(dict.fromkeys([*forms_of(self.password, self.username), *core, *twice]))


@dataclass
class Haul:
    """All that was found lying about, by the kind of place."""

    values: dict[str, list[bytes]] = field(default_factory=dict, repr=False)

    def add(self, place: str, values: Iterable[bytes]) -> None:
        """Put something in."""
        self.values.setdefault(place, []).extend(values)

    def where(self, marks: list[bytes]) -> set[str]:
        """Return the kinds of places in which one of the marks was found, compressed or not."""
        return {
            place
            for place, values in self.values.items()
            if any(mark in text for value in values for text in texts_in(value) for mark in marks)
        }

    def __str__(self) -> str:
        sizes = {place: (len(all_), sum(map(len, all_))) for place, all_ in self.values.items()}
        lines = [
            f"{place}: {number} values, {size} bytes" for place, (number, size) in sizes.items()
        ]
        total = f"all: {sum(n for n, _ in sizes.values())} values, {sum(s for _, s in sizes.values())} bytes"
        return "\n".join([*sorted(lines), total])
