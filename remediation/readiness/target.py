"""What is about to be flipped: a registry, or the repositories under a path of it."""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from remediation.image import ImageReference
from remediation.readiness.forms import forms
from remediation.registry_host import DOCKER_HUB, HTTPS_PORT, HUB_HOSTS, dialled, split_dialled
from remediation.registry_key import DOCKER_HUB_KEY, effective_key, is_docker_hub, may_match

_TARGET = re.compile(
    r"((?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?\.?|\[[0-9a-f:.]+\])(?::[0-9]{1,20})?)(?:/([a-z0-9._/-]*))?"
)
# What makes it another host: a label before it, and a longer last label or one more behind it.
_START_OF_HOST = r"(?<![a-z0-9])(?<![a-z0-9_*})\]]\.)(?<![a-z0-9})]-)"
_END_OF_HOST = r"(?![a-z0-9]|[.-]+[a-z0-9])"
_SEEN = 512  # characters on each side of a host
_ADDRESS = re.compile(r"\[[0-9a-f:.]+\](?::[0-9]+)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Sight:
    """Where a text names the registry: the host as it stands there, what is before it and what is after it."""

    before: str
    host: str
    after: str


class InvalidTarget(ValueError):
    """A text names no registry; the message says what would be right."""


@dataclass(frozen=True, slots=True)
class Target:
    """A registry, `host[:port]` as `dialled` spells it, and a path under which repositories are meant ("" for all)."""

    registry: str
    path: str = ""

    def includes(self, image: ImageReference) -> bool:
        """Tell whether a pull of the image asks this registry.

        Hosts are compared by what is dialled, not as texts: an image may come from here though no key matches it.
        """
        return dialled(image.domain) == self.registry and self._reaches(image.path)

    @property
    def traces(self) -> tuple[str, ...]:
        """Texts in lower case, one of which stands in everything that names the registry."""
        host, _ = split_dialled(self.registry)
        short = (self.path,) if self.goes_without_saying else ()
        # An IPv6 address has too many spellings to look for each.
        spellings = ("[",) if host.startswith("[") else _spellings(host)
        return tuple(dict.fromkeys((self.registry, *spellings, *short)))

    @property
    def goes_without_saying(self) -> bool:
        """Whether images of it are known without its name: those of somebody on Docker Hub, such as team/app."""
        return self.registry == DOCKER_HUB and bool(self.path)

    @property
    def shortest(self) -> int:
        """Of how many characters base64 is at least, if it holds the registry's name."""
        host, _ = split_dialled(self.registry)
        return min(map(len, (*_spellings(host), *self.traces))) * 4 // 3

    def mentioned_in(self, text: str) -> bool:
        """Tell whether a text, such as a field of a custom resource, names the registry in any of its forms."""
        return any(map(self.names, forms(text, self.shortest).texts))

    def names(self, text: str) -> bool:
        """Tell whether a text names the registry as it stands."""
        if self.goes_without_saying and self._named_shortly(text.lower()):
            return True
        return any(self.sights(text))

    def sights(self, text: str) -> Iterator[Sight]:
        """Yield each place where a text names the registry by its host."""
        text = _with_one_spelling(text)
        for found in re.finditer(self._pattern, text, re.IGNORECASE):
            if self._may_mean((found["path"] or "").lower(), whole=bool(found["whole"])):
                start, end = found.start(), found.end("host")
                yield Sight(
                    text[max(0, start - _SEEN) : start], found["host"], text[end : end + _SEEN]
                )

    @property
    def _pattern(self) -> str:
        host, port = split_dialled(self.registry)
        hosts = HUB_HOSTS if self.registry == DOCKER_HUB else _spellings(host)
        names = "|".join(map(re.escape, hosts))
        ending = "(?::0*443)?" if port == HTTPS_PORT else f":0*{port}"
        host = rf"(?P<host>(?:{names})\.?{ending})"
        return rf"{_START_OF_HOST}{host}{_END_OF_HOST}(?:/(?P<path>[a-z0-9._/-]*)(?P<whole>[:@]?))?"

    def _named_shortly(self, text: str) -> bool:
        # A part alone is any word; and what stands behind a slash belongs to another host.
        rest = r"(?![a-z0-9._-])" if "/" in self.path else "/[a-z0-9]"
        return bool(re.search(rf"(?<![a-z0-9._/:@-]){re.escape(self.path)}{rest}", text))

    def _may_mean(self, path: str, *, whole: bool) -> bool:
        """Tell whether a path in a text leads here; what goes on after it, unless it is `whole`, cannot be seen."""
        path = path.strip("._/-")
        above = not path or self.path.startswith(f"{path}/")
        return self._reaches(path) or (above and not whole)

    def _reaches(self, path: str) -> bool:
        return not self.path or path == self.path or path.startswith(f"{self.path}/")

    def __str__(self) -> str:
        return f"{self.registry}/{self.path}" if self.path else self.registry


def serves(keys: Iterable[str], target: Target) -> bool:
    """Tell whether one of a credential's registry keys can match an image of the target, in whatever spelling."""
    host, port = split_dialled(target.registry)
    found = [effective for key in keys if (effective := effective_key(key))]
    # The kubelet takes a host without a dot for a user of Docker Hub.
    short = target.registry == DOCKER_HUB or (port == HTTPS_PORT and is_docker_hub(f"{host}/x"))
    return (short and DOCKER_HUB_KEY in found) or any(
        may_match(effective, host, port, target.path) for effective in found
    )


def parse_target(text: str) -> Target:
    """Read `HOST[:PORT][/PATH]`. Raises InvalidTarget."""
    found = _TARGET.fullmatch(text)
    if not found:
        raise InvalidTarget("must be a registry like 'registry.example.com[:port][/path]'")
    return Target(dialled(found[1]), (found[2] or "").strip("/"))


def _spellings(host: str) -> tuple[str, ...]:
    """Return the host, and what people write for one that DNS knows by an ASCII form."""
    with suppress(UnicodeError):
        return tuple(dict.fromkeys((host, host.encode().decode("idna"))))
    return (host,)


def _with_one_spelling(text: str) -> str:
    """Return a text with each IPv6 address as `dialled` spells it."""
    return _ADDRESS.sub(lambda found: dialled(found[0]), text) if "[" in text else text
