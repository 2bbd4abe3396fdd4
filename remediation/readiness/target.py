"""What is about to be flipped: a registry, or the repositories under a path of it."""

import re
from dataclasses import dataclass

from remediation.image import DOCKER_HUB, ImageReference

_TARGET = re.compile(
    r"((?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(?::[0-9]{1,5})?)(?:/([a-z0-9._/-]*))?"
)
_HTTPS_PORT = ":443"
_HUB_HOSTS = ("index.docker.io", "registry-1.docker.io")
_END_OF_HOST = r"(?![a-z0-9.-])"


class InvalidTarget(ValueError):
    """A text names no registry; the message says what would be right."""


@dataclass(frozen=True, slots=True)
class Target:
    """A registry, `host[:port]` in lower case, and a path under which repositories are meant ("" for all)."""

    registry: str
    path: str = ""

    def includes(self, image: ImageReference) -> bool:
        """Tell whether a pull of the image asks this registry.

        Letter case and the port of https do not count: such an image comes from here, though a key may not match it.
        """
        return _plain(image.domain) == _plain(self.registry) and self._reaches(image.path)

    @property
    def traces(self) -> tuple[str, ...]:
        """Texts in lower case, one of which stands in everything that names the registry."""
        return (self.registry, self.path) if self._goes_without_saying else (self.registry,)

    @property
    def _goes_without_saying(self) -> bool:
        """Whether images of it are known without its name: those of somebody on Docker Hub, such as team/app."""
        return self.registry == DOCKER_HUB and bool(self.path)

    def mentioned_in(self, text: str) -> bool:
        """Tell whether a text, such as a field of a custom resource, names the registry."""
        if self._goes_without_saying and self._named_shortly(text.lower()):
            return True
        hosts = (*_HUB_HOSTS, DOCKER_HUB) if self.registry == DOCKER_HUB else (self.registry,)
        host = "|".join(re.escape(name) for name in hosts)
        pattern = rf"(?<![a-z0-9.-])(?:{host})(?::443)?{_END_OF_HOST}(?:/([a-z0-9._/-]*)([:@]?))?"
        return any(
            self._may_mean(found[1] or "", whole=bool(found[2]))
            for found in re.finditer(pattern, text.lower())
        )

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


def parse_target(text: str) -> Target:
    """Read `HOST[:PORT][/PATH]`. Raises InvalidTarget."""
    found = _TARGET.fullmatch(text)
    if not found:
        raise InvalidTarget("must be a registry like 'registry.example.com[:port][/path]'")
    return Target(_plain(found[1]), (found[2] or "").strip("/"))


def _plain(domain: str) -> str:
    host = domain.lower().removesuffix(_HTTPS_PORT)
    return DOCKER_HUB if host in _HUB_HOSTS else host
