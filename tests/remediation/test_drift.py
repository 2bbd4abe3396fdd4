"""Who will take our entry or login out again, read from metadata and from what we remember."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from remediation.drift.certainty import Certainty
from remediation.drift.keeper import Reference
from remediation.drift.past import Memory, Past, outlived, remembered
from remediation.drift.prediction import OPENSHIFT, predict
from remediation.drift.remedies import account_remedy, secret_remedy
from remediation.drift.secret_prediction import predict_secret
from remediation.drift.signals import (
    LAST_APPLIED,
    QUIET,
    Described,
    Manager,
    Signals,
    named_in,
    signals_of,
)
from remediation.footprint import UPDATE, AccountMark, Holder, SecretMark
from remediation.outcome import NamespaceResult, Outcome, SecretAction
from remediation.plan import NamespacePlan, with_marks_in_doubt
from remediation.plan_secret import SecretWrite
from remediation.state import Namespace, NamespaceState, Secret, ServiceAccount
from tests.remediation.values import an_account

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
NONE, POSSIBLE, CERTAIN = Certainty.NONE, Certainty.POSSIBLE, Certainty.CERTAIN
FLUX = Holder("kustomize-controller")
OURS = Holder("remediator", UPDATE)
OPERATOR = Holder("widget-operator", UPDATE)
SHIFT = Holder(f"{OPENSHIFT}_service-account-controller")


def account(
    *managers: tuple[Holder, bool],
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    owners: tuple[Reference, ...] = (),
    at: datetime = NOW,
    secret: bool = False,
) -> Signals:
    """Return the signals of an object with these managers, each with whether it owns the list or content."""
    described = Described(labels or {}, annotations or {}, owners)
    entries = [Manager(holder, owns, at) for holder, owns in managers]
    return signals_of(described, entries, secret=secret)


def applied(text: str, **more: str) -> dict[str, str]:
    """Return annotations of kubectl or Argo CD."""
    names = {"options": "argocd.argoproj.io/sync-options", "id": "argocd.argoproj.io/tracking-id"}
    return {LAST_APPLIED: text} | {names[name]: value for name, value in more.items()}


MINE = '{"imagePullSecrets": [{"name": "docker"}]}'
HELM: Any = {
    "labels": {"app.kubernetes.io/managed-by": "Helm"},
    "annotations": {"meta.helm.sh/release-name": "web"},
}


@pytest.mark.parametrize(
    ("signals", "past", "expected"),
    [
        (account(), None, (NONE, "")),
        (account((OURS, True)), Past("u"), (NONE, "")),
        # Who owns an atomic list by server-side apply has applied what stands there.
        (account((FLUX, True)), None, (NONE, "")),
        (account((FLUX, True)), Past("u", (FLUX,)), (NONE, "")),
        (account((OURS, True)), Past("u", (FLUX,)), (CERTAIN, FLUX.manager)),
        (account((OURS, True), (FLUX, False)), Past("u", (FLUX,)), (CERTAIN, FLUX.manager)),
        (account((OURS, True), (FLUX, False)), Past("u"), (NONE, "")),
        (account((OURS, True), (FLUX, False)), Past("u", (OURS,)), (POSSIBLE, FLUX.manager)),
        (account((OURS, True), (FLUX, False)), None, (POSSIBLE, FLUX.manager)),
        (account((OURS, True)), Past("u", (OPERATOR,)), (POSSIBLE, OPERATOR.manager)),
        (account((OPERATOR, True)), Past("u", (OPERATOR,)), (NONE, "")),
        (account((OURS, True)), Past("u", (Holder("kubectl-edit", UPDATE),)), (NONE, "")),
        (account(annotations=applied(MINE)), None, (NONE, "")),
        (account(annotations=applied("{}")), None, (NONE, "")),
        (account(annotations=applied("not json")), None, (NONE, "")),
        (
            account(annotations=applied('{"imagePullSecrets": []}')),
            None,
            (CERTAIN, "kubectl apply"),
        ),
        (
            account(annotations=applied('{"imagePullSecrets": null}', id="x")),
            None,
            (CERTAIN, "Argo CD"),
        ),
        # The annotation stays when Argo CD goes over to server-side apply.
        (
            account(
                (Holder("argocd-controller"), True),
                annotations=applied('{"imagePullSecrets": []}', id="x"),
            ),
            None,
            (NONE, ""),
        ),
        (account(annotations=applied("{}", id="x")), None, (NONE, "")),
        (
            account(annotations=applied("{}", id="x", options="Prune=false, Replace=true")),
            None,
            (CERTAIN, "Argo CD"),
        ),
        (
            account(annotations=applied(MINE, id="x", options="Replace=true")),
            None,
            (NONE, ""),
        ),
        (account(**HELM), None, (POSSIBLE, "Helm release web")),
        (account((Holder("helm", UPDATE), True), **HELM), None, (NONE, "")),
        (account(annotations=HELM["annotations"]), None, (NONE, "")),
        (account(labels={"kapp.k14s.io/app": "1"}), None, (POSSIBLE, "kapp")),
        (
            account(annotations={"configmanagement.gke.io/managed": "enabled"}),
            None,
            (POSSIBLE, "Config Sync"),
        ),
        (account(owners=(Reference("Kafka", "main", True),)), None, (POSSIBLE, "Kafka main")),
        (account(owners=(Reference("Kafka", "main"),)), None, (NONE, "")),
        (
            account(owners=(Reference("ClusterServiceVersion", "op.v1"),)),
            None,
            (POSSIBLE, "OLM"),
        ),
    ],
    ids=str,
)
def test_drift_of_an_account_is_seen_in_advance(
    signals: Signals, past: Past | None, expected: tuple[Certainty, str]
) -> None:
    found = predict("docker", signals, past, NOW)

    assert (found.certainty, found.by) == expected


@pytest.mark.parametrize(
    ("seconds", "certainty"), [(5, Certainty.DOUBTFUL), (59, Certainty.DOUBTFUL), (60, NONE)]
)
@pytest.mark.parametrize("past", [None, Past("u", (SHIFT,))])
def test_openshifts_controller_is_believed_after_a_minute(
    past: Past | None, seconds: int, certainty: Certainty
) -> None:
    signals = account((OURS, True), (SHIFT, False), at=NOW - timedelta(seconds=seconds))

    assert predict("docker", signals, past, NOW).certainty is certainty


@pytest.mark.parametrize(
    ("by", "signals", "hours", "certainty"),
    [
        ("widget-operator", account((OURS, True)), 1, CERTAIN),
        ("widget-operator", account((OURS, True)), 25, POSSIBLE),
        ("widget-operator", account((OPERATOR, True)), 1, NONE),
        ("", QUIET, 1, CERTAIN),
        ("", account((FLUX, True)), 1, NONE),
        ("kubectl-edit", account((OURS, True)), 1, POSSIBLE),
        ("kubectl-client-side-apply", account(annotations=applied(MINE)), 1, NONE),
    ],
)
def test_what_took_the_entry_out_once_does_it_again_until_its_own_value_has_it(
    by: str, signals: Signals, hours: int, certainty: Certainty
) -> None:
    past = Past("u", (), by, NOW - timedelta(hours=hours))

    assert predict("docker", signals, past, NOW).certainty is certainty


EXTERNAL = Reference("ExternalSecret", "regcred", True)
ESO = Holder("external-secrets", UPDATE)
HNC = Holder("manager", UPDATE)
EDIT = Holder("kubectl-edit", UPDATE)
CLIENT_SIDE = Holder("kubectl-client-side-apply", UPDATE)


@pytest.mark.parametrize(
    ("signals", "past", "manifest_holds", "expected"),
    [
        (QUIET, None, None, (NONE, "")),
        (account((OURS, True), secret=True), None, None, (NONE, "")),
        (
            account((OURS, True), owners=(EXTERNAL,), secret=True),
            None,
            None,
            (CERTAIN, "ExternalSecret regcred"),
        ),
        (account((ESO, True), owners=(EXTERNAL,), secret=True), None, None, (NONE, "")),
        (
            account((EDIT, True), owners=(EXTERNAL,), secret=True),
            None,
            None,
            (Certainty.DOUBTFUL, "ExternalSecret regcred"),
        ),
        (
            account((CLIENT_SIDE, True), owners=(EXTERNAL,), secret=True),
            None,
            True,
            (Certainty.DOUBTFUL, "ExternalSecret regcred"),
        ),
        (account((CLIENT_SIDE, True), secret=True), None, True, (NONE, "")),
        (
            account((EDIT, True), (FLUX, False), secret=True),
            None,
            None,
            (Certainty.DOUBTFUL, FLUX.manager),
        ),
        (
            account((EDIT, True), (HNC, False), secret=True),
            None,
            None,
            (Certainty.DOUBTFUL, "manager"),
        ),
        (
            account((EDIT, True), secret=True),
            Past("u", (HNC,)),
            None,
            (Certainty.DOUBTFUL, "manager"),
        ),
        (
            account((OURS, True), secret=True),
            Past("u", (HNC,)),
            None,
            (Certainty.DOUBTFUL, "manager"),
        ),
        (account((OURS, True), secret=True), Past("u", (FLUX,)), None, (CERTAIN, FLUX.manager)),
        (
            account((OURS, True), (FLUX, False), secret=True),
            None,
            None,
            (POSSIBLE, FLUX.manager),
        ),
        (account((OURS, True), secret=True), None, False, (CERTAIN, "kubectl apply")),
        (account((OURS, True), secret=True), None, True, (NONE, "")),
    ],
    ids=str,
)
def test_drift_of_a_secret_is_seen_in_advance(
    signals: Signals,
    past: Past | None,
    manifest_holds: bool | None,
    expected: tuple[Certainty, str],
) -> None:
    found = predict_secret(signals, past, manifest_holds=manifest_holds)

    assert (found.certainty, found.by) == expected


def test_a_synchronizer_that_wrote_after_us_and_left_the_content_agrees_with_it() -> None:
    """An update that changes nothing takes no field over; what else it wrote has a time."""
    entries = [
        Manager(OURS, owns=True, at=NOW),
        Manager(ESO, owns=False, at=NOW + timedelta(seconds=2)),
    ]
    signals = signals_of(Described(owners=(EXTERNAL,)), entries, secret=True)

    assert predict_secret(signals, Past("u", (ESO,)), manifest_holds=None).certainty is NONE
    assert predict_secret(signals, Past("u"), manifest_holds=None).certainty is CERTAIN


@pytest.mark.parametrize(
    ("described", "keeper"),
    [
        (Described(labels={"hnc.x-k8s.io/inherited-from": "org"}), "HNC org"),
        (Described(labels={"generate.kyverno.io/policy-name": "sync"}), "Kyverno policy sync"),
        (
            Described(labels={"secrets-store.csi.k8s.io/managed": "true"}),
            "secrets-store-csi-driver",
        ),
        (
            Described(annotations={"replicator.v1.mittwald.de/replicated-from-version": "1"}),
            "kubernetes-replicator",
        ),
        (
            Described(annotations={"app.kubernetes.io/managed-by": "imagepullsecret-patcher"}),
            "imagepullsecret-patcher",
        ),
    ],
)
def test_what_copies_a_secret_is_known_by_its_marks(described: Described, keeper: str) -> None:
    found = predict_secret(
        signals_of(described, [Manager(OURS, owns=True)], secret=True), None, manifest_holds=None
    )

    assert (found.certainty, found.by) == (CERTAIN, keeper)


@pytest.mark.parametrize(("seconds", "certainty"), [(0, Certainty.DOUBTFUL), (2, NONE)])
def test_a_tool_that_wrote_after_a_person_and_left_the_content_agrees_with_it(
    seconds: int, certainty: Certainty
) -> None:
    entries = [
        Manager(EDIT, owns=True, at=NOW),
        Manager(HNC, owns=False, at=NOW + timedelta(seconds=seconds)),
    ]
    signals = signals_of(Described(), entries, secret=True)

    assert predict_secret(signals, None, manifest_holds=None).certainty is certainty


def test_metadata_that_tells_nothing_is_one_value() -> None:
    assert signals_of(Described(labels={"app": "x"}), (), secret=False) is QUIET


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('{"imagePullSecrets": [{"name": "a"}, {}, 1]}', ("a", "")),
        ('{"imagePullSecrets": null}', ()),
        ('{"metadata": {"x": "imagePullSecrets"}}', None),
        ('["imagePullSecrets"]', None),
        ('{"imagePullSecrets"', None),
    ],
)
def test_a_manifest_names_what_it_names(text: str, names: tuple[str, ...] | None) -> None:
    assert named_in(text) == names


def row(*marks: AccountMark, **more: Any) -> NamespaceResult:
    """Return the row of a namespace where ServiceAccounts were written."""
    names = tuple(mark.name for mark in marks)
    return NamespaceResult(
        "team", Outcome.CHANGED, changed_accounts=names, account_marks=marks, **more
    )


def after(memory: Memory, result: NamespaceResult, *, undo: bool = False) -> dict[str, Past | None]:
    """Return what a row changes."""
    return dict(remembered(memory, result, "docker", NOW, undo=undo))


def test_a_write_is_remembered_with_whom_it_displaced() -> None:
    mark = AccountMark("app", "u", (FLUX,))
    secret = SecretMark("s", (ESO,), "ExternalSecret regcred")

    assert after(Memory(), row(mark, secret_mark=secret)) == {
        "app": Past("u", (FLUX,)),
        "": Past("s", (ESO,)),
    }


@pytest.mark.parametrize(
    ("doubtful", "expected"),
    [
        (("app",), {"app": Past("u-app", (FLUX,), placed=False)}),
        (None, {"app": Past("u-app", (FLUX,), placed=False), "b": Past("u-b", placed=False)}),
    ],
)
def test_a_write_in_doubt_is_remembered_as_one_that_may_not_be_there(
    doubtful: tuple[str, ...] | None, expected: dict[str, Past]
) -> None:
    plan = NamespacePlan(
        "team",
        accounts=(
            ServiceAccount("app", "u-app", "1", holders=(FLUX,)),
            ServiceAccount("b", "u-b", "1"),
        ),
    )
    failed = NamespaceResult(
        "team", Outcome.FAILED, doubtful=True, doubtful_accounts=doubtful, changed_accounts=()
    )

    assert after(Memory(), with_marks_in_doubt(plan, failed)) == expected
    certain = replace(failed, doubtful=False, doubtful_accounts=None)
    assert with_marks_in_doubt(plan, certain) == certain


def test_a_secret_whose_write_is_in_doubt_is_remembered() -> None:
    secret = Secret("s", "1", "t", b"", holders=(ESO,))
    plan = NamespacePlan("team", secret=SecretWrite(SecretAction.REPLACED, b"", secret))
    failed = NamespaceResult("team", Outcome.FAILED, doubtful=True)

    assert after(Memory(), with_marks_in_doubt(plan, failed)) == {"": Past("s", (ESO,))}


def test_a_second_write_to_the_same_object_shows_who_took_the_entry_out() -> None:
    before = Memory({("team", "app", "docker"): Past("u", (FLUX,))})

    (found,) = after(before, row(AccountMark("app", "u", (OPERATOR,)))).values()
    (other,) = after(before, row(AccountMark("app", "another", (OPERATOR,)))).values()

    assert found == Past("u", (OPERATOR, FLUX), OPERATOR.manager, NOW)
    assert other == Past("another", (OPERATOR,))


@pytest.mark.parametrize(
    ("first", "expected"), [(Past("u", (FLUX,)), (FLUX,)), (Past("u"), ()), (Past("x"), (OURS,))]
)
def test_what_we_displaced_for_another_secret_is_known(
    first: Past, expected: tuple[Holder, ...]
) -> None:
    before = Memory({("team", "app", "pull-two"): first})

    (found,) = after(before, row(AccountMark("app", "u", (OURS,)))).values()

    assert found == Past("u", expected)


def test_an_undo_takes_the_entry_back_and_keeps_who_owned_the_list() -> None:
    """Its own write hides that: the next remediation would find the list ours."""
    before = Memory(
        {("team", "app", "docker"): Past("u", (FLUX,)), ("team", "b", "docker"): Past("v")}
    )
    undone = row(AccountMark("app", "u"), AccountMark("b", "v"), secret_action=SecretAction.DELETED)

    found = after(before, undone, undo=True)

    kept = Past("u", (FLUX,), placed=False)
    assert found == {"app": kept, "b": None, "": None}
    again = after(Memory({("team", "app", "docker"): kept}), row(AccountMark("app", "u", (OURS,))))
    assert again == {"app": Past("u", (FLUX,))}


def test_remedies_are_lines_to_paste() -> None:
    flux = account_remedy("kustomize-controller", "team", "app", ("team", "", "docker"))
    argo = account_remedy("argocd-controller", "team", "app", ("docker",))

    assert "imagePullSecrets:\n- name: team\n- {}\n- name: docker\n" in flux
    assert (
        "ignoreDifferences:\n- kind: ServiceAccount\n  name: app\n  namespace: team\n  jsonPointers:\n"
        "  - /imagePullSecrets\nsyncPolicy:\n  syncOptions:\n  - RespectIgnoreDifferences=true"
        in argo
    )
    assert "  - /data" in secret_remedy("Argo CD", "team", "docker")
    assert "ExternalSecret regcred" in secret_remedy("ExternalSecret regcred", "team", "docker")


@pytest.mark.parametrize(
    ("namespaces", "kept"),
    [
        ({"a"}, [("a", "app"), ("a", "")]),
        (None, [("a", "app"), ("a", ""), ("gone", "app"), ("gone", "")]),
    ],
)
def test_what_is_gone_is_forgotten(
    namespaces: set[str] | None, kept: list[tuple[str, str]]
) -> None:
    memory = Memory(
        {
            (namespace, name, "docker"): Past(f"uid-{name}")
            for namespace in ("a", "gone")
            for name in ("app", "")
        }
    )
    memory["a", "left", "docker"] = Past("uid-left")
    memory["a", "again", "docker"] = Past("uid-before")
    state = NamespaceState(Namespace("a"), None, (an_account("app"), an_account("again")))

    gone = outlived(memory, namespaces, [state])

    assert [place[:2] for place in memory if place not in gone] == kept
