"""Judging pods that run, each on its own immutable list of Secrets."""

from dataclasses import dataclass

from remediation.readiness import fixes, renewing
from remediation.readiness.call import Call, why
from remediation.readiness.coverage import Cover, Wanted
from remediation.readiness.exposure import Exposure
from remediation.readiness.finding import Coverage, FindingClass, Severity
from remediation.readiness.observation import Owner
from remediation.readiness.renewing import Renewer

_MOST_PODS = 10


@dataclass(frozen=True, slots=True)
class PodUse:
    """One image of the target in a pod: `exposure` as if it were not covered.

    `node_login` and `runtime_login` tell that the pod's node is declared to hold a login for it. `asks_again` tells
    that its kubelet may ask for a login that pulled the image, if pods on the node pull it with one.
    """

    image: str
    repository: str
    exposure: Exposure
    node_login: bool = False
    runtime_login: bool = False
    asks_again: bool = False


@dataclass(frozen=True, slots=True)
class PodGroup:
    """Pods that are alike: the same controller, the same Secrets, the same state.

    `renewer` tells of their controller, or of the pod itself where it has none; `recreated_well` that a new pod in its
    place would be covered, or that only a new pod can show it (`unsure`). `in_place` names a Secret that they name
    already and that could take the login, "" for none. `ends` tells that their controller is being deleted,
    `ended` that a static pod has ended.
    """

    cluster: str
    namespace: str
    renewer: Renewer
    pods: tuple[str, ...]
    mirror: bool
    wanted: Wanted
    recreated_well: bool
    in_place: str = ""
    unsure: bool = False
    ends: bool = False
    ended: bool = False

    @property
    def owner(self) -> Owner:
        """The controller that findings name."""
        return self.renewer.owner

    @property
    def bare(self) -> bool:
        """Tell whether nobody makes it again."""
        return self.owner.kind == "Pod"


_NO_RESTART = "the pod reads the Secret at its next pull; no restart is needed"


def judge_pod(group: PodGroup, use: PodUse, cover: Cover) -> Call:
    """Return the class of the pods for one image."""
    if group.mirror:
        return _mirror(group, use)
    if cover.covers:
        severity = Severity.WARNING if cover.code is Coverage.SHADOWED else Severity.INFO
        return Call(FindingClass.P_COVERED, severity, f"{use.image}: {why(cover)}.")
    if use.exposure is Exposure.NONE:
        return Call(
            FindingClass.P_NO_PULL,
            Severity.INFO,
            f"{use.image} is not pulled again by this pod, whatever the registry does.",
        )
    if cover.code is Coverage.POISONED:
        return _poisoned(group, use, cover)
    if cover.code is Coverage.DELETING and not (
        use.node_login or (use.runtime_login and not cover.matched)
    ):
        return _going(group, use, cover)
    if cover.code is Coverage.UNKNOWN_SECRET:
        # It may be malformed, and then it keeps even a node's login from being used.
        return _unknown(group, use, cover)
    if use.node_login or (use.runtime_login and not cover.matched):
        who = "kubelet" if use.node_login else "container runtime"
        return Call(
            FindingClass.P_NODE,
            Severity.INFO,
            f"{use.image}: {why(cover)}, but its node's {who} is declared to hold a login.",
            "prove the node's login with a pod on that node: imagePullPolicy Always, a private image",
        )
    return _uncovered(group, use, cover)


def _mirror(group: PodGroup, use: PodUse) -> Call:
    if use.node_login or use.runtime_login:
        return Call(
            FindingClass.P_NODE,
            Severity.INFO,
            f"{use.image} belongs to a static pod; its node is declared to hold a login.",
            "prove the node's login by pulling a private image on that node",
        )
    login = (
        "put a login into the kubelet's or the runtime's configuration of that node, and declare it in the facts file"
        " (node_credentials)"
    )
    told = ""
    if group.ended:
        told = (
            " It has ended, and its node starts it again, such as after a reboot or a change of its manifest, as long"
            " as it has the manifest."
        )
        login = f"{login}; or remove the manifest from the node if the pod is not needed any more"
    return Call(
        FindingClass.P_NODE,
        Severity.BLOCKING,
        f"{use.image} belongs to a static pod, which can name no Secret: only a login on the node lets it be"
        f" pulled, and none is declared.{told}",
        login,
        doubt=True,
    )


def _poisoned(group: PodGroup, use: PodUse, cover: Cover) -> Call:
    edit = fixes.kubectl(group.cluster, group.namespace, "edit", "secret", cover.secret)
    return Call(
        FindingClass.P_POISONED,
        Severity.BLOCKING,
        f"{use.image} cannot be pulled by this pod even today: {why(cover)}.",
        fixes.renew_secret(group.cluster, group.namespace, cover.secret, group.wanted)
        if cover.immutable
        else f"correct or empty Secret '{cover.secret}': {edit}",
    )


def _unknown(group: PodGroup, use: PodUse, cover: Cover) -> Call:
    low = use.exposure is Exposure.LOW
    return Call(
        FindingClass.P_UNKNOWN,
        Severity.WARNING if low else Severity.BLOCKING,
        f"Whether {use.image} can be pulled is not known: {why(cover)}.",
        fixes.read_secret(group.namespace, cover.secret, cover.detail),
        doubt=True,
    )


def _going(group: PodGroup, use: PodUse, cover: Cover) -> Call:
    low = use.exposure is Exposure.LOW
    return Call(
        FindingClass.P_UNKNOWN,
        Severity.WARNING if low else Severity.BLOCKING,
        f"Whether {use.image} can be pulled is not known: {why(cover)}.",
        fixes.finish_deletion(group.cluster, group.namespace, cover.secret, group.wanted),
        doubt=True,
    )


def _uncovered(group: PodGroup, use: PodUse, cover: Cover) -> Call:
    reason = why(cover)
    match use.exposure:
        case Exposure.UNPULLED:
            return Call(
                FindingClass.P_BREAKS_ON_FLIP,
                Severity.BLOCKING,
                f"{use.image} is not on the node yet and cannot be pulled after the flip: {reason}.",
                _renew(group, cover),
            )
        case Exposure.DOUBTED:
            return Call(
                FindingClass.P_BREAKS_ON_FLIP,
                Severity.BLOCKING,
                f"Whether {use.image} is on the node is not known: the pod's status tells of another image, as after a"
                " change of the image that its kubelet has not carried out. After the flip it cannot be pulled:"
                f" {reason}.",
                _renew(group, cover),
                doubt=True,
            )
        case Exposure.RECORDED:
            return Call(
                FindingClass.P_RISK_RESTART,
                Severity.BLOCKING,
                f"Whether the next restart of the container may use {use.image}, which is on the node, is not known:"
                " it may have been pulled there with a login only, and a kubelet of 1.35 or newer may ask for one that"
                f" pulled it (imagePullCredentialsVerificationPolicy). The pod has none: {reason}.",
                f"{_renew(group, cover)}; or, if the kubelets are configured with NeverVerify, declare that in the"
                " facts file (kubelet_verification)",
                doubt=True,
            )
        case Exposure.RESTART:
            return Call(
                FindingClass.P_RISK_RESTART,
                Severity.BLOCKING,
                f"The next restart of the container pulls {use.image}, which fails after the flip: {reason}.",
                _renew(group, cover),
            )
        case _:
            return Call(
                FindingClass.P_RISK_LOW,
                Severity.WARNING,
                f"{use.image} is on the node and a restart uses it, but once the node loses it (clean-up, a new"
                " sandbox on another image store, a new tag), or a kubelet of 1.35 or newer asks for a login because"
                f" only pods with one pulled it there (such as pods that are gone), the pod cannot start: {reason}.",
                _renew(group, cover),
            )


def _renew(group: PodGroup, cover: Cover) -> str:
    mended = _mend_secret(group, cover)
    if mended:
        return mended
    if group.bare:
        pod = group.owner.name
        again = fixes.kubectl(group.cluster, group.namespace, "get", "pod", pod, "-o", "yaml")
        made = (
            "this pod has no controller: delete it and create it again from its own manifest, without the"
            f" imagePullSecrets that its ServiceAccount gave it; as it runs: {again}"
        )
        return made if group.recreated_well else f"{_first(group)}; then {made}"
    if group.ends:
        return _ending(group)
    line = _again(group)
    if not group.recreated_well:
        return f"{_first(group)}; then {line}"
    if group.in_place:
        return f"{line} (or, without a restart, add the login to Secret '{group.in_place}', which they name already)"
    return line


def _again(group: PodGroup) -> str:
    """Return how the pods are made again, on one line."""
    pods = group.pods[:_MOST_PODS]
    steps = renewing.lines(group.cluster, group.namespace, group.renewer, pods, len(pods))
    deleted = len(group.pods) - (1 if len(steps) > 1 else len(pods))
    if " delete pod " in steps[0]:
        line = steps[0] + (f" and {deleted} more" if deleted else "")
    else:
        line = ", then ".join(step for step in steps if " rollout status " not in step)
    notes = [renewing.note(group.renewer)]
    if group.unsure:
        notes.append("only a new pod shows whether it is covered: renew one and start a new check")
    told = "; ".join(filter(None, notes))
    return f"{line} ({told})" if told else line


def _ending(group: PodGroup) -> str:
    pods = group.pods[:_MOST_PODS]
    more = f" and {len(group.pods) - len(pods)} more" if len(group.pods) > len(pods) else ""
    line = fixes.kubectl(group.cluster, group.namespace, "delete", "pod", *pods)
    return (
        f"{group.owner.kind} {group.owner.name} is being deleted and makes no new pods: wait until its pods are gone,"
        f" or delete them: {line}{more}"
    )


def _first(group: PodGroup) -> str:
    if group.bare:
        return f"first {fixes.remediate(group.cluster, group.namespace, group.wanted)}"
    return f"first mend what {group.owner.kind} {group.owner.name} gives its new pods (its own finding says how)"


def _mend_secret(group: PodGroup, cover: Cover) -> str:
    """Return the fix that needs no restart: the kubelet reads the Secrets that a pod names at every pull."""
    if cover.secret != group.wanted.secret_name:
        return ""
    match cover.code:
        case Coverage.STALE | Coverage.KEY_MISMATCH if cover.immutable:
            name = cover.secret
            return fixes.renew_secret(group.cluster, group.namespace, name, group.wanted)
        case Coverage.STALE | Coverage.KEY_MISMATCH:
            return fixes.remediate(group.cluster, group.namespace, group.wanted, _NO_RESTART)
        case Coverage.MISSING:
            named = "the pod names the Secret already; no restart is needed"
            return fixes.remediate(group.cluster, group.namespace, group.wanted, named)
        case Coverage.WRONG_TYPE:
            kept = fixes.replace_secret(group.cluster, group.namespace, group.wanted)
            return f"{kept}; or use another --secret-name and recreate the pods"
        case Coverage.REFUSED:
            return (
                "give the credential the right to pull this repository, or use another credential"
            )
        case _:
            return ""
