"""Taking a cluster's objects one at a time and keeping of each only what the judgement needs.

Ten thousand pods become a few hundred groups: pods of one controller that name the same Secrets and are in the same
state. Nodes and namespaces have to come before pods; otherwise the order does not matter.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from remediation.drift.past import Past, Place
from remediation.drift.signals import QUIET, Signals
from remediation.image import ImageReference, InvalidReference, parse_image
from remediation.readiness.coverage import ABSENT, UNREADABLE, Wanted
from remediation.readiness.exposure import Verification, exposure, verification
from remediation.readiness.facts import EveryNode, NodeLogin, has_login
from remediation.readiness.giveaway import given_away
from remediation.readiness.going import Leaving
from remediation.readiness.keyring import KeyedLogins, SecretState, read_secret
from remediation.readiness.observation import (
    WORKLOAD_KINDS,
    Account,
    Asks,
    Container,
    Going,
    Mention,
    Namespace,
    Node,
    Owner,
    Pod,
    PullSecret,
    Rollout,
    Scope,
    Sleeper,
    Waker,
    Wakes,
    Workload,
)
from remediation.readiness.old_templates import CONTROLLER_REVISION, REVISION_KINDS, OldTemplates
from remediation.readiness.options import Options
from remediation.readiness.pods import PodUse
from remediation.readiness.proof import AdmissionProof
from remediation.readiness.rewriter import Rewriter
from remediation.readiness.standing import FREE, Standing, standing_of
from remediation.readiness.verifier import Verifier
from remediation.readiness.wakers import KNATIVE, SCALED_KINDS, Scalers, likelier
from remediation.readiness.workloads import DEFAULT_ACCOUNT
from remediation.registry_key import effective_key
from remediation.unmatched import Unmatched

ELSEWHERE = "*"
"""In place of a namespace: those that do not count for the verdict."""

_LONGEST_CHAIN = 5
_MOST_OTHERS = 5000


@dataclass(frozen=True, slots=True)
class PodKey:
    """What pods of one group share; `owner` is None for a pod that nobody makes again, which `bare` names."""

    namespace: str
    owner: Owner | None
    bare: str
    pull_secrets: tuple[str, ...]
    account: str
    mirror: bool
    uses: tuple[PodUse, ...]
    ended: bool = False


@dataclass(slots=True)
class PodTally:
    """The pods of a group by name, each with its node, and the labels of the first."""

    labels: Mapping[str, str]
    names: list[str] = field(default_factory=list)
    nodes: list[str] = field(default_factory=list)

    def add(self, name: str, node: str) -> None:
        """Take one more pod."""
        self.names.append(name)
        self.nodes.append(node)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that could not be read: `what` is a list (pods, deployments.apps), "cluster" for all of it.

    `namespace` is the only one in which it could not be read, "" for all, ELSEWHERE for those that do not count.
    `hint` says what helps, "" for the rights.
    """

    what: str
    detail: str
    hint: str = ""
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Reduced:
    """A template, its containers reduced to the images of the target."""

    workload: Workload
    images: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SecretSignals:
    """What tells who writes a Secret again; `manifest_holds` as in `predict_secret`."""

    uid: str
    signals: Signals
    manifest_holds: bool | None


class Reduction:
    """What is kept of one cluster."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.facts = options.facts.of(options.cluster)
        self.namespaces: dict[str, Namespace] = {}
        self.nodes: dict[str, Node] = {}
        self.accounts: dict[tuple[str, str], Account] = {}
        self.secrets: dict[str, dict[str, KeyedLogins]] = {}
        self.secret_signals: dict[tuple[str, str], SecretSignals] = {}
        self.past: Mapping[Place, Past] = {}
        self.workloads: dict[tuple[str, str, str], Reduced] = {}
        self.revisions: dict[tuple[str, str, str], Reduced] = {}
        self.controllers: dict[tuple[str, Owner], Owner] = {}
        self.pods: dict[PodKey, PodTally] = {}
        # By node and repository: namespace and Secrets of pods there. What they pulled with logins, the kubelet knows.
        self.users_on: dict[tuple[str, str], set[tuple[str, tuple[str, ...]]]] = {}
        self.mentions: list[Mention] = []
        self.problems: list[Problem] = []
        self.admissions: dict[tuple[str, str, str], AdmissionProof] = {}
        self.unasked: list[str] = []
        self.rewriters: list[Rewriter] = []
        self.rewritten: dict[str, str] = {}
        self.verifiers: list[Verifier] = []
        self.own_secrets_complete = False
        self.unmatched: tuple[Unmatched, ...] = ()
        self.other_registries: set[str] = set()
        self.old = OldTemplates()
        self.revisions_unread = ""
        self.scalers = Scalers()
        self.leaving = Leaving()
        self.ending: set[tuple[str, Owner]] = set()
        self._paused: dict[tuple[str, str, str], Workload] = {}
        self._going: dict[tuple[str, str], Going] = {}
        self._images: dict[str, ImageReference | None] = {}
        self._logins: dict[tuple[str, bytes | None], KeyedLogins] = {}
        self.credential_refused = False  # a run proves the credential, and writes nothing then
        self._standings: dict[str, Standing] = {}
        self._standing_by_kind: dict[tuple[str, bytes | None, bool, bool], Standing] = {}
        self._uses: dict[PodUse, PodUse] = {}
        self._texts: dict[str, str] = {}
        self._verifications: dict[str, Verification] = {}

    def add_namespace(self, namespace: Namespace) -> None:
        """Take a namespace; one that is never named counts as judged."""
        self.namespaces[namespace.name] = namespace

    def add_node(self, node: Node) -> None:
        """Take a node."""
        self.nodes[node.name] = node

    def add_account(self, account: Account) -> None:
        """Take a ServiceAccount."""
        self.accounts[account.namespace, account.name] = account

    def add_secret(self, secret: PullSecret) -> None:
        """Take a Secret; most have the same content, which is read once."""
        kept = (secret.type, secret.content)
        if kept not in self._logins:
            self._logins[kept] = read_secret(secret.type, secret.content)
        found = replace(self._logins[kept], immutable=secret.immutable)
        self.secrets.setdefault(secret.namespace, {})[secret.name] = found
        self._note_signals(secret)
        if secret.name == self.options.wanted.secret_name:
            self._note_standing(secret)
        if secret.going.deleting or secret.going.owners:
            self._going[secret.namespace, secret.name] = secret.going

    def _note_standing(self, secret: PullSecret) -> None:
        """Keep what the wanted Secret of a namespace means for a remediation there; most are alike."""
        kind = (secret.type, secret.content, secret.immutable, secret.ours)
        rare = secret.going.deleting or secret.signals != QUIET
        found = None if rare else self._standing_by_kind.get(kind)
        if found is None:
            found = standing_of(secret, self.options.wanted.config)
            if not rare:
                self._standing_by_kind[kind] = found
        if found != FREE:
            self._standings[secret.namespace] = found

    def wanted_in(self, namespace: str) -> Wanted:
        """Return what has to be in place, with what stands there under that name."""
        standing = self._standings.get(namespace, FREE)
        if standing is FREE and not self.credential_refused:
            return self.options.wanted
        return replace(self.options.wanted, standing=standing, refused=self.credential_refused)

    def _note_signals(self, secret: PullSecret) -> None:
        """Keep what tells of another writer; without field managers there is none to be seen."""
        signals = secret.signals
        if signals == QUIET:
            return
        holds = None if secret.manifest is None else self._holds(secret.type, secret)
        place = (secret.namespace, secret.name)
        self.secret_signals[place] = SecretSignals(secret.uid, signals, holds)

    def _holds(self, kind: str, secret: PullSecret) -> bool:
        """Tell whether the manifest of a Secret has the wanted login; where none is wanted, what stands there."""
        applied = read_secret(kind, secret.manifest).logins
        wanted = self.options.wanted.config
        if wanted is None or secret.name != self.options.wanted.secret_name:
            return set(self._logins[kind, secret.content].logins) <= set(applied)
        keyed = ((effective_key(key), login) for key, login in wanted.logins)
        return {each for each in keyed if each[0]} <= set(applied)

    def add_past(self, past: Mapping[Place, Past]) -> None:
        """Take what our records say of objects that we wrote to."""
        self.past = past

    def add_missing_secret(self, namespace: str, name: str) -> None:
        """Take note that a Secret does not exist. One that is neither added nor missing could not be read."""
        self.secrets.setdefault(namespace, {})[name] = ABSENT

    def add_unread_secret(self, namespace: str, name: str, why: str) -> None:
        """Take note that a Secret was not looked for; `why` is a clause with the Secret as its subject."""
        unread = KeyedLogins(SecretState.UNREADABLE, problem=why)
        self.secrets.setdefault(namespace, {})[name] = unread

    def complete_own_secrets(self) -> None:
        """Take note that every Secret of the wanted name was added: where there is none, it is missing."""
        self.own_secrets_complete = True

    def add_workload(self, workload: Workload) -> None:
        """Take a pod template; of one that is controlled by a judged kind mostly who controls it.

        A ReplicaSet or Job makes its pods by its own template, whatever its controller says by now: a Job once it is
        resumed, a ReplicaSet without pods after a rollback. For a workload that is being deleted no controller makes
        pods (syncDeployment, manageReplicas, syncJob, syncCronJob, syncDaemonSet and updateStatefulSet of Kubernetes
        1.36 all look at its deletionTimestamp first).
        """
        controller = workload.controller
        me = Owner(workload.kind, workload.name)
        controlled = controller and controller.kind in WORKLOAD_KINDS
        if controller and controlled:
            self.controllers[workload.namespace, me] = controller
        if workload.deleting:
            self.ending.add((workload.namespace, me))
        if workload.deleting or workload.finished:
            return
        old = workload.dormant and workload.kind in REVISION_KINDS
        if controller and workload.kind in REVISION_KINDS:
            self.old.see(controller, workload)
        if controller and old and (images := self._images_of(workload)):
            self.old.add(controller, workload, self._by_repository(images))
        if not controlled:
            self._keep(self.workloads, workload)
        elif not old:
            self._keep(self.revisions, workload)
        elif controller:
            self._keep_paused(controller, workload)

    def _keep_paused(self, controller: Owner, workload: Workload) -> None:
        """Keep the newest ReplicaSet of a paused Deployment without replicas, which comes before its ReplicaSets.

        Once that wants pods, they are of the newest ReplicaSet there is: no other is made of its template meanwhile
        (sync and scale in pkg/controller/deployment of Kubernetes 1.36).
        """
        place = (workload.namespace, controller.kind, controller.name)
        top = self.workloads.get(place)
        if not (top and top.workload.dormant and top.workload.rollout is Rollout.PAUSED):
            return
        if before := self._paused.get(place):
            if before.revision > workload.revision:
                return
            del self.revisions[before.namespace, before.kind, before.name]
        self._paused[place] = workload
        self._keep(self.revisions, workload)

    def knows(self, workload: Workload) -> bool:
        """Tell whether a workload was taken as it is, or makes the pods of its controller, which was.

        Of images the repositories count, and not how many pods there are; one that makes none by now does no harm.
        """
        images = self._images_of(workload)
        place = (workload.namespace, workload.kind, workload.name)
        kept = self.workloads.get(place) or self.revisions.get(place)
        if kept is None or workload.deleting or workload.finished:
            none = workload.deleting or workload.finished or not images
            return none or self._makes_as_its_controller(workload, images)
        return self._repositories(kept.images) == self._repositories(images) and (
            _without_numbers(kept.workload) == _without_numbers(workload)
        )

    def _makes_as_its_controller(self, workload: Workload, images: tuple[str, ...]) -> bool:
        above = workload.controller
        top = self.workloads.get((workload.namespace, above.kind, above.name)) if above else None
        if above is None or top is None:
            return False
        if workload.dormant and above.kind in WORKLOAD_KINDS:
            return True  # an older template, which only a rollback brings back
        return self._repositories(images) <= self._repositories(top.images) and (
            (workload.pull_secrets, workload.account or DEFAULT_ACCOUNT)
            == (top.workload.pull_secrets, top.workload.account or DEFAULT_ACCOUNT)
        )

    def _repositories(self, images: tuple[str, ...]) -> frozenset[str]:
        return frozenset(self._by_repository(images))

    def add_revision(self, revision: Workload) -> None:
        """Take a ControllerRevision, after the workloads; its kind says so, and its controller whose it is."""
        controller = revision.controller
        if controller is None:
            return
        top = self.workloads.get((revision.namespace, controller.kind, controller.name))
        if top and top.workload.held == revision.name:
            self.controllers[revision.namespace, Owner(revision.kind, revision.name)] = controller
            self._keep(self.revisions, replace(revision, dormant=top.workload.dormant))
        elif images := self._images_of(revision):
            self.old.add(controller, revision, self._by_repository(images))

    def waker(self, workload: Workload) -> Waker | None:
        """Return what scales a workload up that wants no pods now, None for nothing that is known."""
        if not workload.dormant:
            return None
        namespace, above = workload.namespace, workload.controller
        me = Owner(workload.kind, workload.name)
        if workload.kind == CONTROLLER_REVISION and above:
            top = self.workloads.get((namespace, above.kind, above.name))
            return self.waker(top.workload) if top else None
        if workload.kind not in SCALED_KINDS:
            return likelier(workload.waker, self.scalers.meant(namespace, me))
        if above and above.group == KNATIVE and (known := self.scalers.known(namespace, above)):
            return known
        if above and workload.kind in REVISION_KINDS:  # its controller is what is scaled
            return self._waker_of_set(workload, above)
        return likelier(workload.waker, self.scalers.of(namespace, me))

    def _waker_of_set(self, workload: Workload, above: Owner) -> Waker | None:
        namespace = workload.namespace
        if top := self.workloads.get((namespace, above.kind, above.name)):
            return self.waker(top.workload)
        newest = self.old.is_newest(above, workload)
        if self.scalers.is_old(namespace, above, workload.name, newest=newest):
            return workload.waker
        told = f"{above.kind} '{above.name}', which made it, may still scale it up"
        return likelier(Waker(told, Wakes.MAYBE), self.scalers.of(namespace, above))

    def asleep(self) -> Mapping[tuple[str, str, str], Sleeper]:
        """Return (namespace, kind, name) of what something may wake and its pods use the target."""
        found: dict[tuple[str, str, str], Sleeper] = {}
        for (namespace, kind, name), reduced in (*self.workloads.items(), *self.revisions.items()):
            proof = self.admissions.get((namespace, kind, name))
            if not (
                reduced.workload.dormant
                and (reduced.images or (proof and any(map(self.image, proof.images))))
            ):
                continue
            above = reduced.workload.controller
            if kind != CONTROLLER_REVISION:
                found[namespace, kind, name] = reduced.workload.sleeper or Sleeper()
            if above:
                top = self.workloads.get((namespace, above.kind, above.name))
                known = top.workload.sleeper if top else None
                found.setdefault((namespace, above.kind, above.name), known or Sleeper())
        return found

    def _by_repository(self, images: tuple[str, ...]) -> Mapping[str, str]:
        """Return an image for each repository: what covers it goes by that, and every revision has another tag."""
        return {image.repository: text for text in images if (image := self.image(text))}

    def _images_of(self, workload: Workload) -> tuple[str, ...]:
        return tuple(
            dict.fromkeys(
                container.image for container in workload.containers if self.image(container.image)
            )
        )

    def _keep(self, place: dict[tuple[str, str, str], Reduced], workload: Workload) -> None:
        images = self._images_of(workload)
        if not images:
            self._note_others(workload.namespace, workload.containers)
        key = (workload.namespace, workload.kind, workload.name)
        place[key] = Reduced(replace(workload, containers=()), images)

    def add_pod(self, pod: Pod) -> None:
        """Take a pod; nothing is kept of one that does not use the target, unless it shows what others will be like."""
        if pod.controller and not pod.mirror and pod.namespace not in self.rewritten:
            self._look_at_list(pod, pod.controller)
        uses = tuple(
            dict.fromkeys(
                self._use(pod, container, image)
                for container in pod.containers
                if (image := self.image(container.image))
            )
        )
        if not uses:
            self._note_others(pod.namespace, pod.containers)
            return
        bare = "" if pod.controller and not pod.mirror else pod.name
        owner = None if bare else pod.controller
        key = PodKey(
            pod.namespace,
            owner,
            bare,
            pod.pull_secrets,
            pod.account,
            pod.mirror,
            uses,
            pod.ended,
        )
        if key not in self.pods:
            self.pods[key] = PodTally(pod.labels)
        node = self._texts.setdefault(pod.node, pod.node)  # one text for all of its pods
        self.pods[key].add(pod.name, node)
        if pod.pull_secrets and pod.node and self._verification(pod.node) is not Verification.NEVER:
            for use in uses:
                users = self.users_on.setdefault((node, use.repository), set())
                users.add((pod.namespace, pod.pull_secrets))

    def _look_at_list(self, pod: Pod, controller: Owner) -> None:
        place = (pod.namespace, controller.kind, controller.name)
        template = self.revisions.get(place) or self.workloads.get(place)
        if template:
            account = self.accounts.get((pod.namespace, pod.account or DEFAULT_ACCOUNT))
            if strange := given_away(pod, template.workload, account):
                self.rewritten[pod.namespace] = strange

    def add_rewriter(self, rewriter: Rewriter) -> None:
        """Take what may change pods before they are stored."""
        self.rewriters.append(rewriter)

    def add_verifier(self, verifier: Verifier) -> None:
        """Take what may ask the registry before a pod is created."""
        self.verifiers.append(verifier)

    def add_mention(self, mention: Mention) -> None:
        """Take a custom resource's text; one that was read and does not name the target is not kept."""
        if mention.unread or self.options.target.mentioned_in(mention.text):
            self.mentions.append(mention)

    def add_unmatched(self, unmatched: tuple[Unmatched, ...]) -> None:
        """Take what of the request matches nothing here."""
        self.unmatched = unmatched

    def add_admission(self, proof: AdmissionProof) -> None:
        """Take what the API server said about a template."""
        self.admissions[proof.place] = proof

    def add_unasked(self, namespace: str, kind: str, name: str) -> None:
        """Take note that the API server could not be asked about a template."""
        self.unasked.append(f"{namespace}/{kind}/{name}")

    def add_problem(self, what: str, detail: str, hint: str = "", namespace: str = "") -> None:
        """Take note that a list could not be read (403, timeout, …): then what is there cannot be found safe."""
        self.problems.append(Problem(what, detail, hint, namespace))

    def was_read(self, what: str, namespace: str | None = None) -> bool:
        """Tell whether nothing was said against a list, anywhere or as far as a namespace is concerned."""
        return all(
            problem.what != what
            or (namespace is not None and problem.namespace not in ("", namespace))
            for problem in self.problems
        )

    def image(self, text: str) -> ImageReference | None:
        """Return the reference if the image comes from the target. What no node can read is never pulled."""
        if text not in self._images:
            self._images[text] = self._parse(text)
        return self._images[text]

    def scope(self, namespace: str) -> Scope:
        """Return whether a namespace is judged."""
        known = self.namespaces.get(namespace)
        return known.scope if known else Scope.JUDGED

    def going(self, namespace: str) -> bool:
        """Tell whether a namespace is being deleted: nothing is made in it any more."""
        known = self.namespaces.get(namespace)
        return bool(known and known.terminating)

    def judged(self, namespace: str) -> bool:
        """Tell whether what is in a namespace counts for the verdict."""
        return self.scope(namespace) is Scope.JUDGED and not self.going(namespace)

    def secrets_of(self, namespace: str, names: tuple[str, ...]) -> dict[str, KeyedLogins]:
        """Return what is known about some Secrets; UNREADABLE for nothing."""
        here = self.secrets.get(namespace, {})
        ours = self.options.wanted.secret_name
        nothing = ABSENT if self.own_secrets_complete else UNREADABLE
        found = {
            name: here.get(name) or (nothing if name == ours else UNREADABLE)
            for name in names
            if name
        }
        for name in found:
            going = self._going.get((namespace, name))
            if going and (why := self.leaving.why(going)):
                found[name] = replace(found[name], going=why)
        return found

    def names_for(self, asks: Asks) -> tuple[str, ...]:
        """Return the Secrets that a tool looks into, in order."""
        account = self.accounts.get((asks.namespace, asks.account)) if asks.account else None
        return tuple(dict.fromkeys((*asks.secrets, *(account.pull_secrets if account else ()))))

    def account_going(self, namespace: str, name: str) -> str:
        """Say why a ServiceAccount will soon be gone, "" if it stays or is not there."""
        account = self.accounts.get((namespace, name))
        return self.leaving.why(account.going) if account else ""

    def top(self, namespace: str, owner: Owner) -> Owner:
        """Return the controller above all others: a pod's ReplicaSet leads to its Deployment."""
        for _ in range(_LONGEST_CHAIN):
            above = self.controllers.get((namespace, owner))
            if above is None:
                break
            owner = above
        return owner

    def rolled(self, namespace: str, owner: Owner) -> tuple[Owner | None, Rollout]:
        """Return the controller of a built-in workload, None for none, and whether a rollout replaces its pods."""
        kept = self.workloads.get((namespace, owner.kind, owner.name))
        return (kept.workload.controller, kept.workload.rollout) if kept else (None, Rollout.ROLLS)

    def every_node(self, image: ImageReference) -> EveryNode:
        """Say who on every node is declared to hold a login; labels say nothing of a node that comes later."""
        held = (("kubelet", self.facts.kubelet_logins), ("runtime", self.facts.runtime_logins))
        for by, logins in held:
            if _anywhere(logins, image):
                return EveryNode(by)
        for by, logins in held:
            if self.nodes and all(has_login(logins, image, n.labels) for n in self.nodes.values()):
                return EveryNode(by, coming=False)
        return EveryNode()

    def _on_node(self, logins: tuple[NodeLogin, ...], image: ImageReference, name: str) -> bool:
        node = self.nodes.get(name)
        # Of a pod without a known node only what holds everywhere can be said.
        return has_login(logins, image, node.labels) if node else _anywhere(logins, image)

    def _note_others(self, namespace: str, containers: Iterable[Container]) -> None:
        """Remember where images of judged namespaces come from: one of it may have been meant."""
        if self.judged(namespace) and len(self.other_registries) < _MOST_OTHERS:
            depth = self.options.target.path.count("/") + 1 if self.options.target.path else 0
            for container in containers:
                parts = container.image.partition("@")[0].split("/")
                if len(parts) > 1 and ("." in parts[0] or ":" in parts[0]):
                    self.other_registries.add("/".join(parts[: depth + 1]))

    def _use(self, pod: Pod, container: Container, image: ImageReference) -> PodUse:
        exposed, asks_again = exposure(
            pod,
            container,
            image,
            verification=self._verification(pod.node),
            always=self.facts.always_pull_images,
        )
        found = PodUse(
            container.image,
            image.repository,
            exposed,
            bool(self.facts.kubelet_logins)
            and self._on_node(self.facts.kubelet_logins, image, pod.node),
            bool(self.facts.runtime_logins)
            and self._on_node(self.facts.runtime_logins, image, pod.node),
            asks_again,
        )
        return self._uses.setdefault(found, found)

    def _verification(self, name: str) -> Verification:
        if name not in self._verifications:
            node = self.nodes.get(name)
            version = node.kubelet_version if node else ""
            self._verifications[name] = verification(version, self.facts)
        return self._verifications[name]

    def _parse(self, text: str) -> ImageReference | None:
        try:
            image = parse_image(text)
        except InvalidReference:
            return None
        return image if self.options.target.includes(image) else None


def _without_numbers(workload: Workload) -> Workload:
    return replace(workload, containers=(), replicas=1, generation=0, revision=0, labels={})


def _anywhere(logins: tuple[NodeLogin, ...], image: ImageReference) -> bool:
    return any(not login.nodes.requirements and login.target.includes(image) for login in logins)
