"""Drawing the findings out of what was kept of a cluster."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain

from remediation.readiness import (
    account_findings,
    drift_findings,
    login_findings,
    place_findings,
    question_findings,
    rollbacks,
)
from remediation.readiness.call import Call
from remediation.readiness.coverage import Cover
from remediation.readiness.coverer import Coverer
from remediation.readiness.finding import Coverage, Finding, FindingClass, Severity
from remediation.readiness.futures import Maker, accounts_in_use, makers
from remediation.readiness.judgement import Judgement, Renewal, count, in_order
from remediation.readiness.mentioned import Explanations
from remediation.readiness.observation import WORKLOAD_KINDS, Owner
from remediation.readiness.old_templates import REVISION_KINDS
from remediation.readiness.pods import PodGroup, judge_pod
from remediation.readiness.proof import Level, RegistryProof
from remediation.readiness.records import Records
from remediation.readiness.reduction import PodKey, PodTally, Reduction
from remediation.readiness.registry_findings import judge_repositories
from remediation.readiness.renewing import Renewer
from remediation.readiness.rewriting import rewriting
from remediation.readiness.rows import REPOSITORY, Decision, rows
from remediation.readiness.verifying import verifying
from remediation.readiness.workloads import DEFAULT_ACCOUNT, judge_future
from remediation.registry.verdict import Verdict as RegistryVerdict

_EXAMPLES = 3
_GOOD = (
    FindingClass.P_COVERED,
    FindingClass.P_NO_PULL,
    FindingClass.W_COVERED_SA,
    FindingClass.W_COVERED_TEMPLATE,
    FindingClass.W_NODE,
)
_COVERED = (FindingClass.W_COVERED_SA, FindingClass.W_COVERED_TEMPLATE)
_URGENCY = {
    FindingClass.P_BREAKS_ON_FLIP: 0,
    FindingClass.P_RISK_RESTART: 1,
    FindingClass.P_RISK_LOW: 2,
}


class Conclusion:
    """One pass over what was kept."""

    def __init__(
        self,
        kept: Reduction,
        proofs: Iterable[RegistryProof],
    ) -> None:
        self._kept = kept
        self._proofs = {(proof.repository, proof.login): proof for proof in proofs}
        config = kept.options.wanted.config
        wanted = {login for _, login in config.logins} if config else set()
        kept.credential_refused = any(
            proof.login in wanted and proof.verdict is RegistryVerdict.WRONG_CREDENTIAL
            for proof in self._proofs.values()
        )
        self._coverer = Coverer(kept, self._proofs)
        self._apart = kept.options.facts.told_apart
        self._makers = list(makers(kept, kept.admissions))
        self._well: dict[tuple[str, Owner], bool] = {}
        self._unsure: set[tuple[str, Owner]] = set()
        self._covering: list[tuple[str, str, str]] = []
        self._relied: Counter[tuple[str, str]] = Counter()
        self._images: dict[str, str] = {}
        self._left_out: dict[str, list[int]] = {}
        self._uncovered: dict[str, list[str]] = {}
        self._renewals: list[Renewal] = []
        self._renewed_badly: dict[tuple[str, str, Cover | None], list[str]] = {}
        self._pods = self._workloads = 0

    def judgement(self, now: datetime) -> Judgement:
        """Return the judgement; `now` is what waivers are compared with."""
        kept = self._kept
        futures, running = list(self._judge_futures()), list(self._judge_pods())
        explained = Explanations(kept, self._makers, self._coverer, self._is_well)
        fields = list(explained.findings())
        found = [
            *self._without_contradicted(futures, fields),
            *running,
            *rollbacks.findings(kept, self._coverer),
            *rollbacks.unread(kept),
            *drift_findings.accounts(kept, self._covering, now),
            *drift_findings.taken(kept, used := accounts_in_use(kept, self._makers)),
            *drift_findings.unused(kept, used, now),
            *drift_findings.secrets(kept, self._relied),
            *account_findings.renewing(kept, self._renewed_badly),
            *account_findings.unused(kept, used),
            *self._judge_registry(),
            *login_findings.ending(kept.options, now),
            *fields,
            *explained.spoken(),
            *place_findings.left_out(
                kept,
                {name: (n[0], n[1], n[2]) for name, n in self._left_out.items()},
                explained.left_out(),
                self._uncovered,
            ),
            *rewriting(kept, self._makers, self._is_well),
            *verifying(kept, self._images),
            *place_findings.unreadable(kept),
            *self._not_asked(),
        ]
        found += place_findings.no_credential(kept, tuple(found))
        if kept.was_read("cluster"):
            found += question_findings.unmatched(kept)
            named = any(not mention.unread for mention in kept.mentions)
            if not (self._images or self._left_out or named or kept.old):
                found += question_findings.unused(kept)
        findings = in_order(self._waive(finding, now) for finding in found)
        return Judgement(
            kept.options.cluster,
            findings,
            count(findings),
            self._pods,
            self._workloads,
            len(self._images),
            tuple(self._renewals),
        )

    def _without_contradicted(
        self, futures: Sequence[Finding], fields: Sequence[Finding]
    ) -> Iterator[Finding]:
        """Yield what is said of pods to come, but not that those of a custom resource are covered if that is in doubt.

        Its pods show one configuration, and its own fields, or other pods of it, another.
        """
        doubted = {
            (row.namespace, row.kind, row.name)
            for row in (*futures, *fields)
            if row.finding_class is FindingClass.W_OTHER
            and row.doubt
            and row.kind not in WORKLOAD_KINDS
            and self._kept.image(row.image)
        }
        for row in futures:
            if (
                row.finding_class not in _COVERED
                or (row.namespace, row.kind, row.name) not in doubted
            ):
                yield row

    def _judge_futures(self) -> Iterator[Finding]:
        for maker in self._makers:
            future = maker.future
            decisions = [
                Decision(
                    text,
                    judge_future(
                        future,
                        text,
                        found,
                        self._kept.every_node(image),
                        certain=future.other is None
                        or self._coverer.cover(
                            future.namespace, future.other, image.repository
                        ).covers,
                    ),
                    found,
                    future.admitted is not None,
                )
                for text in maker.images
                if (image := self._kept.image(text))
                and (found := self._coverer.cover(future.namespace, future.names, image.repository))
            ]
            well = _all_good(decisions)
            place = (future.namespace, future.owner)
            unsure = not well and all(_good(each) or _shown_by_a_pod(each) for each in decisions)
            self._well[place] = self._well.get(place, True) and (well or unsure)
            if unsure:
                self._unsure.add(place)
            if not self._kept.judged(future.namespace):
                self._leave_out(future.namespace, 1, 1, well)
                continue
            self._workloads += 1
            self._note_images(maker.images)
            self._relied.update(_relied_on(future.namespace, decisions))
            through = {
                decision.cover.secret
                for decision in decisions
                if decision.call.finding_class is FindingClass.W_COVERED_SA
            }
            self._covering += [
                (future.namespace, future.account_name, secret) for secret in sorted(through)
            ]
            told = [each for each in decisions if not _told_together(maker, each)]
            yield from rows(future.cluster, future.namespace, future.owner, told, apart=self._apart)

    def _judge_pods(self) -> Iterator[Finding]:
        records = Records(self._kept, self._coverer)
        alike = (records.parts(*group) for group in self._kept.pods.items())
        for key, tally in chain.from_iterable(alike):
            group = self._group(key, tally)
            decisions = [
                Decision(use.image, judge_pod(group, use, found), found)
                for use in key.uses
                if (found := self._coverer.cover(key.namespace, key.pull_secrets, use.repository))
            ]
            if not self._kept.judged(key.namespace):
                well = _all_good(decisions)
                self._leave_out(key.namespace, 0, len(tally.names), well)
                if not well:
                    self._uncovered.setdefault(key.namespace, []).extend(tally.names)
                continue
            self._pods += len(tally.names)
            self._note_images(use.image for use in key.uses)
            self._note_renewal(group, tally, decisions)
            for place in _relied_on(key.namespace, decisions):
                self._relied[place] += len(tally.names)
            worse = [decision for decision in decisions if not _good(decision)]
            if group.bare and not (key.mirror or worse or group.recreated_well):
                by_hand = (key.namespace, key.account or DEFAULT_ACCOUNT, self._unread(key))
                self._renewed_badly.setdefault(by_hand, []).extend(tally.names)
            yield from rows(
                group.cluster,
                key.namespace,
                group.owner,
                worse or decisions[:1],
                number=len(tally.names),
                examples=tally.names[:_EXAMPLES],
                apart=self._apart,
            )

    def _group(self, key: PodKey, tally: PodTally) -> PodGroup:
        kept = self._kept
        owner = kept.top(key.namespace, key.owner) if key.owner else Owner("Pod", key.bare)
        return PodGroup(
            kept.options.cluster,
            key.namespace,
            Renewer(owner, *kept.rolled(key.namespace, owner)),
            tuple(tally.names),
            key.mirror,
            kept.wanted_in(key.namespace),
            self._recreated_well(key, owner),
            self._coverer.place_for(key.namespace, key.pull_secrets),
            bool(key.owner) and (key.namespace, owner) in self._unsure,
            (key.namespace, owner) in kept.ending,
            key.ended,
        )

    def _recreated_well(self, key: PodKey, owner: Owner) -> bool:
        if key.owner:
            return self._well.get((key.namespace, owner), False)
        name = key.account or DEFAULT_ACCOUNT
        if self._kept.account_going(key.namespace, name):
            return False
        known = (key.namespace, name) in self._kept.accounts
        return known and all(cover.covers for cover in self._made_by_hand(key))

    def _made_by_hand(self, key: PodKey) -> list[Cover]:
        """Return what covers the images of a pod that somebody creates again with its ServiceAccount's list."""
        account = self._kept.accounts.get((key.namespace, key.account or DEFAULT_ACCOUNT))
        listed = account.pull_secrets if account else ()
        return [self._coverer.cover(key.namespace, listed, use.repository) for use in key.uses]

    def _unread(self, key: PodKey) -> Cover | None:
        """Return the Secret that is not known if nothing else is against a pod that is created again, else None."""
        if self._kept.account_going(key.namespace, key.account or DEFAULT_ACCOUNT):
            return None
        lacking = [cover for cover in self._made_by_hand(key) if not cover.covers]
        unread = [cover for cover in lacking if cover.code is Coverage.UNKNOWN_SECRET]
        return unread[0] if lacking and len(unread) == len(lacking) else None

    def _note_renewal(
        self, group: PodGroup, tally: PodTally, decisions: Sequence[Decision]
    ) -> None:
        # Where the Secret that they name can be mended, pods need not be made anew.
        mended = group.wanted.secret_name
        urgencies = [
            _URGENCY[decision.call.finding_class]
            for decision in decisions
            if decision.call.finding_class in _URGENCY and decision.cover.secret != mended
        ]
        if urgencies and not group.ends:  # a workload that is being deleted makes no other pods
            self._renewals.append(
                Renewal(
                    group.namespace,
                    group.renewer,
                    group.pods,
                    tally.labels,
                    min(urgencies),
                    group.recreated_well,
                    group.unsure,
                )
            )

    def _judge_registry(self) -> Iterator[Finding]:
        options = self._kept.options
        answers = judge_repositories(self._images, options.wanted, self._proofs, options.evidence)
        for answer in answers:
            apart = answer.call.finding_class in self._apart
            size = 1 if apart else len(answer.repositories)
            for start in range(0, len(answer.repositories), size):
                alike = answer.repositories[start : start + size]
                yield from rows(
                    options.cluster,
                    "",
                    Owner(REPOSITORY, alike[0]),
                    [Decision(self._images[alike[0]], answer.call)],
                    number=len(alike),
                    examples=alike[:_EXAMPLES],
                )

    def _not_asked(self) -> Iterator[Finding]:
        """Yield that admission was to be proven and for some templates was not."""
        options = self._kept.options
        if not options.evidence.includes(Level.ADMISSION):
            return
        unasked = [
            future
            for maker in self._makers
            if (future := maker.future).admitted is None
            and not future.refusal
            and future.account is not None
            and self._kept.judged(future.namespace)
        ]
        custom = {
            (each.namespace, each.owner): None
            for each in unasked
            if each.owner.kind not in WORKLOAD_KINDS
        }
        for namespace, owner in custom:
            yield from rows(
                options.cluster, namespace, owner, [Decision("", _unasked_custom(owner))]
            )
        missing = [
            f"{each.namespace}/{each.owner.kind}/{each.owner.name}"
            for each in unasked
            if (each.namespace, each.owner) not in custom
        ]
        missing = list(dict.fromkeys((*missing, *self._kept.unasked)))
        if missing:
            call = Call(
                FindingClass.W_ADMISSION,
                Severity.BLOCKING,
                f"Evidence L3 was asked for, and for {len(missing)} workloads the API server was not asked what"
                " it would"
                " put into their pods.",
                "let the worker create pods (it only ever asks with dryRun=All), or ask for evidence L2",
                doubt=True,
            )
            yield from rows(
                options.cluster,
                "",
                Owner("Cluster", options.cluster),
                [Decision("", call)],
                number=len(missing),
                examples=missing[:_EXAMPLES],
            )

    def _is_well(self, maker: Maker) -> bool:
        return self._well.get((maker.future.namespace, maker.future.owner), False)

    def _leave_out(self, namespace: str, workloads: int, number: int, well: bool) -> None:
        if workloads and self._kept.going(namespace):
            return  # they make no pods there any more; those that are there may stay for long
        tally = self._left_out.setdefault(namespace, [0, 0, 0])
        tally[0] += 0 if workloads else number
        tally[1] += workloads
        tally[2] += 0 if well else number

    def _note_images(self, texts: Iterable[str]) -> None:
        for text in texts:
            if image := self._kept.image(text):
                self._images.setdefault(image.repository, text)

    def _waive(self, finding: Finding, now: datetime) -> Finding:
        if finding.finding_class is FindingClass.C_UNREADABLE and finding.kind == "Cluster":
            return finding  # nobody can answer for a cluster of which nothing was seen
        valid, expired = self._kept.options.facts.waiver_for(finding, now)
        if valid:
            return replace(finding, waiver=valid)
        if expired:
            until = expired.expires_at.date().isoformat()
            note = f" It was accepted by {expired.owner} until {until}."
            return replace(finding, explanation=finding.explanation + note)
        return finding


def _unasked_custom(owner: Owner) -> Call:
    return Call(
        FindingClass.W_ADMISSION,
        Severity.BLOCKING,
        f"Evidence L3 was asked for, and {owner.kind} {owner.name} is not built in: its template is not known, so that"
        " the API server cannot be asked about it. Its running pods are judged as admission left them.",
        "have it make a pod, judge again, and waive this with an owner and a date if that pod is covered; or ask for"
        " evidence L2",
        doubt=True,
    )


def _told_together(maker: Maker, decision: Decision) -> bool:
    """Tell whether a template without pods is one of those of its controller that a rollback brings back."""
    future = maker.future
    return (
        future.owner.kind in REVISION_KINDS
        and future.older_than is not None
        and decision.call.finding_class is FindingClass.W_DORMANT
    )


def _relied_on(namespace: str, decisions: Iterable[Decision]) -> set[tuple[str, str]]:
    """Return the Secrets that cover images of an object."""
    return {(namespace, each.cover.secret) for each in decisions if each.cover.covers}


def _all_good(decisions: Sequence[Decision]) -> bool:
    return all(map(_good, decisions))


def _shown_by_a_pod(decision: Decision) -> bool:
    """Tell whether it is not known what an owner that is not built in gives its pods: a new pod would show it."""
    call = decision.call
    return call.finding_class is FindingClass.W_OTHER and call.doubt


def _good(decision: Decision) -> bool:
    """Tell whether there is nothing to tell about an image but that it is well."""
    call = decision.call
    # A login on a node is somebody's word: where it is missing, the class is the same and the finding blocks.
    declared = call.finding_class is FindingClass.P_NODE and call.severity is Severity.INFO
    return declared or call.finding_class in _GOOD
