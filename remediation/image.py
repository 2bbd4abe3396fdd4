"""Image references as nodes read them.

The rules are those of github.com/distribution/reference (ParseNormalizedNamed, v0.6), as the kubelet and containerd use
them: what it refuses is refused here, what it takes has the same parts.
"""

import re
from dataclasses import dataclass

DOCKER_HUB = "docker.io"

_LEGACY_HUB = "index.docker.io"
_OFFICIAL = "library/"
_DEFAULT_TAG = "latest"
_LONGEST_PATH = 255

_HOST_COMPONENT = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = rf"(?:{_HOST_COMPONENT}(?:\.{_HOST_COMPONENT})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_PATH_COMPONENT = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?:({_DOMAIN})/)?({_PATH_COMPONENT}(?:/{_PATH_COMPONENT})*)(?::([a-zA-Z0-9_][a-zA-Z0-9_.-]{{0,127}}))?(?:@(.+))?"
)
_DIGEST = re.compile("sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}")
_IDENTIFIER = re.compile("[a-f0-9]{64}")


class InvalidReference(ValueError):
    """No node could pull that; the message says why."""


@dataclass(frozen=True, slots=True)
class ImageReference:
    """A reference with its defaults filled in.

    `domain` is `host[:port]`, empty for the few names whose first part looks like a host but is none; `path` the
    repository there. At least one of `tag` and `digest` is set; where both are, the digest is what is pulled.
    """

    domain: str
    path: str
    tag: str | None = None
    digest: str | None = None

    @property
    def repository(self) -> str:
        """What registry keys are matched against: `domain/path`."""
        return f"{self.domain}/{self.path}" if self.domain else self.path

    @property
    def reference(self) -> str:
        """What is asked for at the registry: the digest, else the tag."""
        return self.digest or self.tag or _DEFAULT_TAG

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}{tag}{digest}"


def parse_image(text: str) -> ImageReference:
    """Read the `image` of a container. Raises InvalidReference."""
    if _IDENTIFIER.fullmatch(text):
        raise InvalidReference("64 hexadecimal digits are an image's id, which cannot be pulled")
    domain, remainder = _split(text)
    name = remainder.partition(":")[0]
    if name.lower() != name:
        raise InvalidReference("the repository must be in lower case")
    found = _REFERENCE.fullmatch(f"{domain}/{remainder}")
    if not found:
        raise InvalidReference("is no image reference like 'registry.example.com/team/app:1.0'")
    host, path, tag, digest = found.groups()
    if len(path) > _LONGEST_PATH:
        raise InvalidReference(f"the repository is longer than {_LONGEST_PATH} characters")
    if digest is not None and not _DIGEST.fullmatch(digest):
        raise InvalidReference("the digest is none like 'sha256:' and 64 hexadecimal digits")
    return ImageReference(
        host or "", path, tag or (None if digest else _DEFAULT_TAG), digest or None
    )


def _split(text: str) -> tuple[str, str]:
    """Return the registry and the rest; a first part that looks like no host is a part of the repository."""
    first, slash, rest = text.partition("/")
    if not slash:
        return DOCKER_HUB, _OFFICIAL + text
    if first == _LEGACY_HUB:
        domain, remainder = DOCKER_HUB, rest
    elif first == "localhost" or "." in first or ":" in first or first.lower() != first:
        domain, remainder = first, rest
    else:
        domain, remainder = DOCKER_HUB, text
    if domain == DOCKER_HUB and "/" not in remainder:
        remainder = _OFFICIAL + remainder
    return domain, remainder
