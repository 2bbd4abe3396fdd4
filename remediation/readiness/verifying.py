"""Findings about verifiers of images: after the flip they need a login, or they refuse every pod of the registry."""

from collections.abc import Iterator, Mapping

from remediation.readiness.call import Call
from remediation.readiness.finding import Finding, FindingClass, Severity
from remediation.readiness.reduction import Reduction
from remediation.readiness.rows import Decision, rows
from remediation.readiness.verifier import Login, Verifier

_NO_FIX = "see that it has a login for the registry before the flip (its own credentials, not those of pods)"


def verifying(kept: Reduction, used: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the verifiers that do, or may, ask the registry; `used` has an image for each repository in use."""
    images = [str(image) for text in used.values() if (image := kept.image(text))]
    if not images:
        return
    for verifier in dict.fromkeys(kept.verifiers):
        inside = not verifier.namespace or kept.judged(verifier.namespace)
        named = any(map(kept.options.target.mentioned_in, verifier.images))
        if inside and (not verifier.images or named or any(map(verifier.matches, images))):
            call = _call(kept, verifier)
            place = verifier.namespace
            yield from rows(kept.options.cluster, place, verifier.owner, [Decision("", call)])


def _call(kept: Reduction, verifier: Verifier) -> Call:
    tool, target = verifier.tool, kept.options.target
    if not verifier.images:
        return Call(
            FindingClass.W_ADMISSION,
            Severity.WARNING,
            f"{tool} may ask {target} about an image before a pod is created. Without a login it refuses such pods"
            " after the flip, also those that are covered.",
            _NO_FIX,
        )
    said = f"{tool} asks {target} about an image before a pod is created ({', '.join(verifier.images[:3])})"
    match verifier.login:
        case Login.NAMED:
            return Call(
                FindingClass.W_ADMISSION,
                Severity.WARNING,
                f"{said}, with credentials that its policy names. Whether they can read {target} is not known.",
                "see that these credentials can pull the images and their signatures",
            )
        case Login.OF_PODS:
            return Call(
                FindingClass.W_ADMISSION,
                Severity.WARNING,
                f"{said}, with the Secrets of that pod. Where these hold several logins for a registry it may try only"
                " one.",
                "see that a pod's Secrets hold one login for the registry, and that it can read signatures",
            )
        case _:
            refuses = "refuses every such pod" if verifier.enforces else "reports every such pod"
            return Call(
                FindingClass.W_ADMISSION,
                Severity.BLOCKING if verifier.enforces else Severity.WARNING,
                f"{said}, and its policy names no credentials: without a login it {refuses} after the flip, also those"
                " that are covered.",
                "name a Secret with a login in the policy (imageRegistryCredentials.secrets of verifyImages,"
                " credentials.secrets of an ImageValidatingPolicy), or waive this with an owner and a date if the"
                " verifier has a login of its own",
                doubt=verifier.enforces,
            )
