"""Who will make pods that use the target: templates, and controllers that are seen only through their pods."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from remediation.readiness.observation import WORKLOAD_KINDS, Owner, Workload
from remediation.readiness.old_templates import CONTROLLER_REVISION
from remediation.readiness.proof import AdmissionProof
from remediation.readiness.reduction import PodKey, Reduced, Reduction
from remediation.readiness.workloads import DEFAULT_ACCOUNT, Future

Admissions = Mapping[tuple[str, str, str], AdmissionProof]


@dataclass(frozen=True, slots=True)
class Maker:
    """A future with the images that its pods will use."""

    future: Future
    images: tuple[str, ...]


def makers(kept: Reduction, admissions: Admissions) -> Iterator[Maker]:
    """Yield every future that uses the target.

    Images that only its pods have are a template's as well: a webhook puts them in, and will do so again. So are those
    that the API server says it would put in. What it would take out stays: a webhook may fail, and be passed over.
    """
    seen: dict[tuple[str, str, str], dict[str, None]] = {}
    strange: dict[tuple[str, Owner, str, tuple[str, ...]], dict[str, None]] = {}
    for key in kept.pods:
        if key.owner is None:
            continue
        owner = kept.top(key.namespace, key.owner)
        place = (key.namespace, owner.kind, owner.name)
        images = dict.fromkeys(use.image for use in key.uses)
        if place in kept.workloads:
            seen.setdefault(place, {}).update(images)
        if place not in kept.workloads or (
            kept.revisions_unread and _of_older_template(kept, place, key)
        ):
            other = (key.namespace, owner, key.account or DEFAULT_ACCOUNT, key.pull_secrets)
            strange.setdefault(other, {}).update(images)
    for place, reduced in kept.workloads.items():
        own = _with_admitted(kept, reduced, admissions.get(place))
        injected = _other_repositories(kept, own, seen.get(place, {}))
        if own or injected:
            future = _of_template(kept, reduced.workload, admissions.get(place))
            yield Maker(future, (*own, *injected))
    for place, old in kept.revisions.items():
        own = _with_admitted(kept, old, admissions.get(place))
        if own and not _same_pods(kept, old.workload, own, admissions):
            yield Maker(_of_template(kept, old.workload, admissions.get(place)), own)
    for (namespace, owner, account, names), images in strange.items():
        if (namespace, owner) in kept.ending:
            continue  # nothing makes these pods again
        if owner.kind not in WORKLOAD_KINDS or not kept.controllers.get((namespace, owner)):
            yield Maker(_of_pods(kept, namespace, owner, account, names), tuple(images))


def _with_admitted(
    kept: Reduction, reduced: Reduced, proof: AdmissionProof | None
) -> tuple[str, ...]:
    """Return the images of a template and those that admission brings."""
    brought = (text for text in (proof.images if proof else ()) if kept.image(text))
    return tuple(dict.fromkeys((*reduced.images, *brought)))


def _of_older_template(kept: Reduction, place: tuple[str, str, str], key: PodKey) -> bool:
    """Tell whether pods will be made again by a template that is not there any more, with other Secrets.

    A pod without any is one of the present template only if that is silent: then it is older than what its
    ServiceAccount lists by now.
    """
    workload = kept.workloads[place].workload
    if not workload.held:
        return False
    name = workload.account or DEFAULT_ACCOUNT
    account = kept.accounts.get((workload.namespace, name))
    now = workload.pull_secrets or (account.pull_secrets if account else ())
    older = not key.pull_secrets and not workload.pull_secrets
    return (key.account or DEFAULT_ACCOUNT) != name or not (older or key.pull_secrets == now)


def _same_pods(
    kept: Reduction, old: Workload, images: tuple[str, ...], admissions: Admissions
) -> bool:
    """Tell whether what is controlled makes pods as its controller would: not in the middle of a rollout."""
    top = kept.top(old.namespace, Owner(old.kind, old.name))
    place = (old.namespace, top.kind, top.name)
    now = kept.workloads.get(place)
    if now is None:
        return False
    now = replace(now, images=_with_admitted(kept, now, admissions.get(place)))
    return alike(kept, now, old.pull_secrets, old.account, images)


def alike(
    kept: Reduction,
    now: Reduced,
    pull_secrets: tuple[str, ...],
    account: str,
    images: tuple[str, ...],
) -> bool:
    """Tell whether pods of an older template have just what those of the present one have."""
    return (
        now.workload.pull_secrets == pull_secrets
        and (now.workload.account or DEFAULT_ACCOUNT) == (account or DEFAULT_ACCOUNT)
        and not _other_repositories(kept, now.images, dict.fromkeys(images))
    )


def _other_repositories(
    kept: Reduction, own: tuple[str, ...], seen: Mapping[str, None]
) -> tuple[str, ...]:
    """Return images of pods whose repositories the template does not have; another tag is an older template's."""
    known = {image.repository for text in own if (image := kept.image(text))}
    return tuple(
        text for text in seen if (image := kept.image(text)) and image.repository not in known
    )


def _of_template(kept: Reduction, workload: Workload, proof: AdmissionProof | None) -> Future:
    name = (proof.account if proof else "") or workload.account or DEFAULT_ACCOUNT
    owner, above = Owner(workload.kind, workload.name), workload.controller
    held = workload.kind == CONTROLLER_REVISION
    return Future(
        kept.options.cluster,
        workload.namespace,
        above if held and above else owner,
        workload.pull_secrets,
        name,
        kept.accounts.get((workload.namespace, name)),
        kept.wanted_in(workload.namespace),
        workload.dormant,
        proof.pull_secrets if proof and not proof.refusal else None,
        proof.refusal if proof else "",
        older_than=above,
        revision=workload.name if held else "",
        waker=kept.waker(workload),
        accounts_read=kept.was_read("serviceaccounts", workload.namespace),
        account_going=kept.account_going(workload.namespace, name),
    )


def _of_pods(
    kept: Reduction, namespace: str, owner: Owner, name: str, names: tuple[str, ...]
) -> Future:
    """Guess from its pods what a controller gives: its own names, or nothing so that the ServiceAccount's are used.

    It may be the other way round as long as the pods have names that the ServiceAccount does not list just so.
    """
    account = kept.accounts.get((namespace, name))
    listed = account.pull_secrets if account else ()
    own = () if not names or _could_come_from(listed, names) else names
    other = (listed if own else names) if names not in ((), listed) else None
    return Future(
        kept.options.cluster,
        namespace,
        owner,
        own,
        name,
        account,
        kept.wanted_in(namespace),
        other=other,
        accounts_read=kept.was_read("serviceaccounts", namespace),
        account_going=kept.account_going(namespace, name),
    )


def _could_come_from(listed: tuple[str, ...], names: tuple[str, ...]) -> bool:
    """Tell whether a ServiceAccount's list, before names were added to it, could have been these."""
    rest = iter(listed)
    return all(name in rest for name in names)


def accounts_in_use(kept: Reduction, found: list[Maker]) -> set[tuple[str, str]]:
    """Return the (namespace, name) of ServiceAccounts whose pods use the target."""
    used = {(maker.future.namespace, maker.future.account_name) for maker in found}
    return used | {(key.namespace, key.account or DEFAULT_ACCOUNT) for key in kept.pods}
