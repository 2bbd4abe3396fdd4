"""Findings about what names the registry where no image is: variables, arguments, annotations, volumes of drivers."""

from collections.abc import Collection, Iterator, Sequence

from remediation.readiness.call import Call
from remediation.readiness.finding import FindingClass, Severity
from remediation.readiness.observation import By, Mention
from remediation.readiness.operands import Claim, accounted
from remediation.readiness.reduction import Reduction
from remediation.readiness.wording import Says, Wording, wording

_PASSING = ("Job",)
_METADATA = "metadata."


def judge_spoken(kept: Reduction, mentions: Sequence[Mention]) -> Iterator[tuple[Mention, Call]]:
    """Yield what texts mean, those of which there is something to tell."""
    said = [(mention, wording(kept, mention.field, mention.text)) for mention in mentions]
    said = [(mention, words) for mention, words in said if not _of_its_own(kept, mention, words)]
    known = accounted(kept, (claim for mention, words in said for claim in _claims(mention, words)))
    for mention, words in said:
        if call := _call(kept, mention, words, known):
            yield mention, call


def _call(
    kept: Reduction, mention: Mention, words: Wording, known: Collection[Claim]
) -> Call | None:
    told = ", ".join(map(str, words.images)) or str(kept.options.target)
    said = f"{mention.field} names the registry: {told}."
    if mention.unread:
        return _doubt(
            f"{mention.field} holds more than is decoded, or what cannot be: whether it names the registry is not"
            " known.",
            "look into it, then waive this with an owner and a date",
        )
    if mention.by is By.VOLUME:
        return _doubt(
            f"{said} A CSI driver, or another driver of volumes, pulls it, and with which login cannot be seen.",
            "find out how the driver logs in, then waive this with an owner and a date",
        )
    claims = _claims(mention, words)
    if words.says is Says.IMAGE and words.legible and claims and set(claims) <= set(known):
        return Call(
            FindingClass.W_OTHER,
            Severity.INFO,
            f"{said} Pods of an operator with this image are judged themselves.",
        )
    if words.says is Says.IMAGE:
        return _doubt(
            f"{said} It may make pods with this image, or have it put into pods. None is there that accounts for it, so"
            " which Secrets they name cannot be seen.",
            "have it make such a pod and judge again, or waive this with an owner and a date",
        )
    if words.says is Says.PREFIX:
        return _doubt(
            f"{said} It may make pods with images from there, and which Secrets they name cannot be seen.",
            "find out what it does with this name, then waive this with an owner and a date",
        )
    if mention.kind in _PASSING or mention.from_pod:
        return None
    return Call(
        FindingClass.W_OTHER,
        Severity.WARNING,
        f"{said} It may pull or push by itself, with a login that is not in imagePullSecrets.",
        "see that it logs in, before the flip",
    )


def _claims(mention: Mention, words: Wording) -> list[Claim]:
    if mention.by is not By.TEXT:
        return []
    return [(mention.namespace, mention.owner, image) for image in words.images]


def _of_its_own(kept: Reduction, mention: Mention, words: Wording) -> bool:
    """Tell whether metadata name repositories of the workload itself only: these are judged with its template."""
    reduced = kept.workloads.get((mention.namespace, mention.kind, mention.name))
    if reduced is None or not mention.field.startswith(_METADATA) or words.says is not Says.IMAGE:
        return False
    own = {image.repository for text in reduced.images if (image := kept.image(text))}
    return words.legible and {image.repository for image in words.images} <= own


def _doubt(explanation: str, fix: str) -> Call:
    return Call(FindingClass.W_OTHER, Severity.BLOCKING, explanation, fix, doubt=True)
