"""What a text that names the registry says: an image, what images may be made of, or an address that is called."""

import re
from dataclasses import dataclass
from enum import StrEnum

from remediation.image import ImageReference
from remediation.readiness.reduction import Reduction
from remediation.readiness.target import Sight

_BEFORE = 80
_LINE = 40
# Protocols in which no image is pulled; every other prefix, such as docker:// or oci://, is one of images and charts.
_ADDRESSES = re.compile(
    r"https?|git|ssh|s?ftp|ldaps?|rediss?|postgres(?:ql)?|mysql|mongodb|amqps?|nats|tcp|tls|udp|wss?|grpcs?|kafka|smtps?|s3|dns"
)
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://(?:[^/@\s\"']*@)?$")
_PATH = re.compile(r"/[A-Za-z0-9$({<%*_]")
_WORD = re.compile(r"[^\s,;\"'`|\]})<>\\]*")
_OF_IMAGES = re.compile(r"image|img|mirror|proxy|pull.?spec")
_OF_REGISTRIES = re.compile(r"regist|repo")
_PASSED_BY = re.compile(r"no_?proxy")
_OF_CONTAINER = re.compile(r" of container .*")


class Says(StrEnum):
    """What a text says, the worst of all that it does."""

    IMAGE = "image"  # an image, or a name that one is made of
    PREFIX = "prefix"  # the registry, where the name of the field is about images
    ADDRESS = "address"  # the registry, as anything may call it


@dataclass(frozen=True, slots=True)
class Wording:
    """What a text says and the images in it; `legible` tells that these are all of them."""

    says: Says
    images: tuple[ImageReference, ...] = ()
    legible: bool = True


def wording(kept: Reduction, place: str, text: str) -> Wording:
    """Return what a text says of the registry; `place` names the field that it is in."""
    target = kept.options.target
    says, images, legible = Says.ADDRESS, dict[ImageReference, None](), True
    for sight in target.sights(text):
        here = _says(place, sight)
        if here is Says.IMAGE:
            word = _WORD.match(sight.after)
            image = kept.image(f"{sight.host}{word[0].rstrip('.:/') if word else ''}")
            legible = legible and image is not None
            images |= {image: None} if image else {}
        says = min(says, here, key=tuple(Says).index)
    if target.goes_without_saying:
        short = [image for word in re.split(r"[\s=,;\"']+", text) if (image := kept.image(word))]
        images |= dict.fromkeys(short)
        says = Says.IMAGE if short else says
    return Wording(says, tuple(images), legible)


def _says(place: str, sight: Sight) -> Says:
    before = sight.before[-_BEFORE:].lower()
    scheme = _SCHEME.search(before)
    calls = bool(scheme and _ADDRESSES.fullmatch(scheme[1]))
    inside = not scheme and before.endswith("/")  # a directory, or a path at another host
    if _PATH.match(sight.after) and not (calls or inside):
        return Says.IMAGE
    line = re.split(r"[\n;,]", before)[-1][-_LINE:]
    name = f"{_OF_CONTAINER.sub('', place)} {line}".lower()
    if _PASSED_BY.search(name):
        return Says.ADDRESS
    if _OF_IMAGES.search(name) or (_OF_REGISTRIES.search(name) and not (calls or inside)):
        return Says.PREFIX
    return Says.ADDRESS
