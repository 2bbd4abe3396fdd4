"""Applying a plan while others act on the same namespace and the way to the cluster is bad."""

import asyncio
import base64
from dataclasses import replace
from typing import Any

import orjson
import pytest

from remediation.caution import CautionCode
from remediation.credential import credential_from_login
from remediation.docker_config import SECRET_TYPE, Login
from remediation.footprint import UPDATE, AccountMark, Holder, SecretMark
from remediation.outcome import Error, ErrorCode, Outcome, SecretAction
from remediation.plan import (
    Intent,
    NamespacePlan,
    Task,
    carry_over,
    plan_namespace,
    unfinished_result,
)
from remediation.request import OnConflict, RemediationRequest
from remediation.state import Namespace, NamespaceState, Secret, ServiceAccount
from remediation.undo import Done, UndoTask
from worker.apply import carry_out_plan
from worker.faults import Fault, Gone, Retry
from worker.pace import Pace
from worker.session import Written

WANTED = credential_from_login("harbor", "registry.example.com", Login("robot", "password"))
OTHER = credential_from_login("other", "registry.example.com", Login("robot", "an-older-one"))
THEIRS = b'{"auths":{"theirs.example.com":{"username":"u","password":"p"}}}'
LOST = Fault(Error(ErrorCode.UNREACHABLE, "the connection broke"), Retry.READ_FIRST)
CONFLICT = Fault(Error(ErrorCode.CONFLICT_EXHAUSTED, "changed meanwhile"), Retry.CONFLICT)
FIELD_CONFLICT = Fault(Error(ErrorCode.SECRET_CONFLICT, "somebody else's"), Retry.CONFLICT)


class FakeSession:
    """Answers writes by script, one entry for each write to a path; reads give what was put there."""

    def __init__(self) -> None:
        self.pace = Pace(8)
        self.script: dict[str, list[BaseException | None]] = {}
        self.objects: dict[str, dict[str, Any]] = {}
        self.written: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.still_writing = 0
        self.dying: dict[str, Any] | None = None

    async def get(self, path: str, call: object, **params: str) -> bytes:
        if path not in self.objects:
            raise Gone(namespace=False)
        found = self.objects[path]
        *_, namespace, resource, name = path.split("/")
        kind = {"secrets": "Secret", "serviceaccounts": "ServiceAccount"}[resource]
        meta = {"name": name, "namespace": namespace} | found["metadata"]
        return orjson.dumps({"kind": kind} | found | {"metadata": meta})

    async def patch(
        self, path: str, call: object, body: bytes, content_type: str, **params: str
    ) -> Written:
        await self._write(path, body, params)
        meta = {"uid": "uid-new", "resourceVersion": "100"} | (self.dying or {})
        return Written(path not in self.objects, orjson.dumps({"metadata": meta}))

    async def delete(self, path: str, call: object, options: bytes) -> bytes:
        await self._write(path, options, {})
        return orjson.dumps({"metadata": self.dying or {}})

    async def _write(self, path: str, body: bytes, params: dict[str, str]) -> None:
        self.written.append((path, orjson.loads(body), params))
        answers = self.script.get(path, [])
        answer = answers.pop(0) if answers else None
        self.still_writing += 1
        try:
            await asyncio.sleep(0 if answer else 0.01)
        finally:
            self.still_writing -= 1
        if answer:
            raise answer


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr("worker.pace._BACKOFF_SECONDS", 0.0)


def a_task(on_conflict=OnConflict.FAIL) -> Task:
    request = RemediationRequest(clusters=("*",), credential="harbor", on_conflict=on_conflict)
    return Task.of("rem_1", request, WANTED)


def a_secret(content=THEIRS, *, ours=False, version="7") -> Secret:
    return Secret("uid-s", version, SECRET_TYPE, content, ours=ours)


def a_plan(task, secret=None, accounts=("default",)) -> NamespacePlan:
    listed = tuple(ServiceAccount(name, f"uid-{name}", "3") for name in accounts)
    plan = plan_namespace(task, NamespaceState(Namespace("team"), secret, listed))
    assert plan
    return plan


def on_the_wire(secret: Secret) -> dict[str, Any]:
    labels = {"app.kubernetes.io/managed-by": "remediator"} if secret.ours else {}
    return {
        "metadata": {
            "name": "docker",
            "uid": secret.uid,
            "resourceVersion": secret.resource_version,
            "labels": labels,
        },
        "type": secret.type,
        "data": {".dockerconfigjson": base64.b64encode(secret.content).decode()},
    }


SECRET = "/api/v1/namespaces/team/secrets/docker"


def account(name: str) -> str:
    return f"/api/v1/namespaces/team/serviceaccounts/{name}"


def applied(session, task, plan):
    async def main():
        row = await carry_out_plan(session, task, plan)
        assert session.still_writing == 0, "a write goes on after the row was made"
        return row

    return asyncio.run(main())


def test_a_secret_that_vanished_before_it_was_merged_into_is_created():
    """A merge patch of nothing is a 404; the namespace is still there, and must not count as gone."""
    session, task = FakeSession(), a_task(OnConflict.MERGE)
    plan = a_plan(task, a_secret())
    session.script[SECRET] = [Gone(namespace=False)]

    row = applied(session, task, plan)

    assert (row.outcome, row.secret_action) == (Outcome.CHANGED, SecretAction.CREATED)
    assert row.changed_accounts == ("default",)


def test_a_namespace_that_vanished_is_skipped_and_no_write_is_left_running():
    session, task = FakeSession(), a_task()
    session.script[account("a")] = [Gone(namespace=True)]

    row = applied(session, task, a_plan(task, accounts=("a", "b", "c")))

    assert row.outcome is Outcome.SKIPPED


def test_a_field_conflict_is_not_fought_when_nobody_changed_the_secret_since():
    """Another tool owns the content of a Secret with our label: asking eight times changes nothing."""
    session, task = FakeSession(), a_task()
    stale = a_secret(OTHER.content, ours=True)
    session.objects[SECRET] = on_the_wire(stale)
    session.script[SECRET] = [FIELD_CONFLICT] * 8

    row = applied(session, task, a_plan(task, stale))

    assert row.error
    assert row.error.code is ErrorCode.SECRET_CONFLICT
    assert len(session.written) == 1


def test_replace_takes_the_content_over_even_where_the_label_is_ours():
    """The advice of the error above must work."""
    session, task = FakeSession(), a_task(OnConflict.REPLACE)

    applied(session, task, a_plan(task, a_secret(OTHER.content, ours=True)))

    assert session.written[0][2]["force"] == "true"


def test_our_secret_is_never_taken_over_unasked():
    session, task = FakeSession(), a_task()

    applied(session, task, a_plan(task, a_secret(OTHER.content, ours=True)))

    assert session.written[0][2]["force"] == "false"


def test_a_conflict_with_a_secret_that_changed_is_decided_anew():
    session, task = FakeSession(), a_task()
    session.script[SECRET] = [CONFLICT]
    session.objects[SECRET] = on_the_wire(a_secret(WANTED.content, ours=True, version="8"))

    row = applied(session, task, a_plan(task, a_secret(OTHER.content, ours=True)))

    assert (row.outcome, row.secret_action) == (Outcome.CHANGED, SecretAction.UNCHANGED)


def test_a_lost_answer_of_a_write_that_was_done_counts_as_changed():
    session, task = FakeSession(), a_task()
    session.script[SECRET] = [LOST]
    session.objects[SECRET] = on_the_wire(a_secret(WANTED.content, ours=True))
    session.script[account("default")] = [LOST]
    session.objects[account("default")] = {
        "metadata": {"name": "default", "uid": "uid-default", "resourceVersion": "4"},
        "imagePullSecrets": [{"name": "theirs"}, {"name": "docker"}],
    }

    row = applied(session, task, a_plan(task))

    assert (row.outcome, row.secret_action) == (Outcome.CHANGED, SecretAction.CREATED)
    assert row.changed_accounts == ("default",)
    assert len(session.written) == 2


def test_a_lost_answer_that_nobody_can_look_into_leaves_a_doubt_about_that_object_alone():
    session, task = FakeSession(), a_task()
    refused = Fault(Error(ErrorCode.FORBIDDEN, "not allowed"), Retry.NO)
    session.script[account("lost")] = [LOST, refused]
    session.script[account("refused")] = [refused]
    lost = {"name": "lost", "uid": "uid-lost", "resourceVersion": "3"}
    session.objects[account("lost")] = {"metadata": lost}

    row = applied(session, task, a_plan(task, accounts=("done", "lost", "refused")))

    assert row.outcome is Outcome.FAILED
    assert row.changed_accounts == ("done",)
    assert (row.doubtful, row.doubtful_accounts) == (True, ("lost",))


def test_a_doubt_about_the_secret_is_none_about_the_accounts_that_were_left_alone():
    session, task = FakeSession(), a_task()
    refused = Fault(Error(ErrorCode.FORBIDDEN, "not allowed"), Retry.NO)
    session.script[SECRET] = [LOST, refused]

    row = applied(session, task, a_plan(task))

    assert row.outcome is Outcome.FAILED
    assert (row.doubtful, row.doubtful_accounts) == (True, ())


def test_the_row_remembers_whose_the_list_was_when_it_was_written():
    """The conflict is with Flux, which wrote a list of its own since the cluster was read."""
    session, task = FakeSession(), a_task()
    session.script[account("default")] = [CONFLICT]
    session.objects[account("default")] = {
        "metadata": {
            "name": "default",
            "uid": "uid-default",
            "resourceVersion": "9",
            "managedFields": [
                {
                    "manager": "kustomize-controller",
                    "operation": "Apply",
                    "fieldsV1": {"f:imagePullSecrets": {}},
                },
                {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:metadata": {}}},
            ],
        },
        "imagePullSecrets": [{"name": "team"}],
    }

    row = applied(session, task, a_plan(task))

    flux = Holder("kustomize-controller")
    assert row.account_marks == (AccountMark("default", "uid-default", (flux,)),)


def test_the_row_remembers_what_made_the_content_that_was_merged_into():
    session, task = FakeSession(), a_task(OnConflict.MERGE)
    holders = (Holder("external-secrets", UPDATE),)
    secret = replace(a_secret(), holders=holders, keeper="ExternalSecret regcred")

    row = applied(session, task, a_plan(task, secret))

    assert row.secret_mark == SecretMark("uid-s", holders, "ExternalSecret regcred")


def test_a_killed_workers_mark_counts_rather_than_what_it_left_behind():
    """The later attempt finds the list in line, and ours: whose it was only the journal knows."""
    task = a_task()
    mark = AccountMark("default", "uid-default", (Holder("kustomize-controller"),))
    intent = Intent(SecretAction.CREATED, ("default",), (mark,))
    listed = ServiceAccount(
        "default", "uid-default", "4", ("docker",), holders=(Holder("remediator", UPDATE),)
    )
    state = NamespaceState(Namespace("team"), a_secret(WANTED.content), (listed,))
    plan = plan_namespace(task, state)
    assert plan

    resumed = carry_over(plan, intent)

    assert resumed.settled
    assert resumed.settled.account_marks == (mark,)


def test_a_refusal_leaves_no_doubt():
    session, task = FakeSession(), a_task()
    session.script[account("default")] = [
        Fault(Error(ErrorCode.FORBIDDEN, "not allowed"), Retry.NO)
    ]

    row = applied(session, task, a_plan(task))

    assert row.outcome is Outcome.FAILED
    assert (row.doubtful, row.doubtful_accounts) == (False, None)


def test_an_entry_that_another_writer_added_meanwhile_survives():
    session, task = FakeSession(), a_task()
    session.script[account("default")] = [CONFLICT]
    session.objects[account("default")] = {
        "metadata": {"name": "default", "uid": "uid-default", "resourceVersion": "4"},
        "imagePullSecrets": [{}, {"name": "theirs"}],
    }

    row = applied(session, task, a_plan(task))

    assert row.outcome is Outcome.CHANGED
    body = session.written[-1][1]
    assert body["imagePullSecrets"] == [{}, {"name": "theirs"}, {"name": "docker"}]
    assert body["metadata"] == {"uid": "uid-default", "resourceVersion": "4"}


@pytest.mark.parametrize(
    ("uid", "version"), [("", "3"), ("u", ""), ("u", "0")], ids=["uid", "version", "zero"]
)
def test_without_a_guard_nothing_is_written(uid, version):
    session, task = FakeSession(), a_task()
    listed = (ServiceAccount("default", uid, version),)
    plan = plan_namespace(task, NamespaceState(Namespace("team"), a_secret(WANTED.content), listed))
    assert plan

    row = applied(session, task, plan)

    assert row.outcome is Outcome.FAILED
    assert session.written == []


def test_what_the_deadline_cut_off_counts_its_accounts_and_keeps_what_was_done_before():
    task = a_task()
    in_line = ServiceAccount("done", "u", "1", ("docker",))
    state = NamespaceState(
        Namespace("team"),
        None,
        (in_line, ServiceAccount("a", "u", "1"), ServiceAccount("b", "u", "1")),
    )
    plan = plan_namespace(task, state)
    assert plan
    resumed = carry_over(plan, Intent(SecretAction.CREATED, ("done", "a", "b")))

    late = Error(ErrorCode.TIMEOUT, "the deadline passed")
    row = unfinished_result(resumed, Outcome.FAILED, late, begun=False)

    assert (row.outcome, row.changed_accounts) == (Outcome.FAILED, ("done",))
    assert (row.accounts.changed, row.accounts.failed, row.accounts.total) == (1, 2, 3)


def an_undo(secret=None, accounts=("default",)) -> tuple[UndoTask, NamespacePlan]:
    """Return an undo of a namespace where all accounts carry the name last."""
    done = Done(accounts, SecretAction.CREATED, secret.version if secret else None)
    request = RemediationRequest(clusters=("*",), credential="harbor")
    task = UndoTask.of("rem_2", request, {"team": done})
    listed = tuple(ServiceAccount(n, f"uid-{n}", "3", ("theirs", "docker")) for n in accounts)
    plan = task.plan(NamespaceState(Namespace("team"), secret, listed))
    assert plan
    return task, plan


def test_an_entry_that_was_taken_over_during_the_undo_is_warned_of():
    session, (task, plan) = FakeSession(), an_undo(a_secret(ours=True))
    session.script[account("default")] = [CONFLICT]
    session.objects[account("default")] = {
        "metadata": {"name": "default", "uid": "uid-default", "resourceVersion": "4"}
        | {
            "managedFields": [
                {
                    "manager": "kustomize-controller",
                    "operation": "Apply",
                    "fieldsV1": {"f:imagePullSecrets": {}},
                }
            ]
        },
        "imagePullSecrets": [{"name": "docker"}],
    }

    row = applied(session, task, plan)

    assert "kustomize-controller" in (row.reason or "")
    assert [each.code for each in row.cautions] == [CautionCode.ENTRY_KEPT]


def test_an_undo_writes_the_lists_first_and_then_deletes_exactly_the_version_it_knows():
    session, (task, plan) = FakeSession(), an_undo(a_secret(ours=True))

    row = applied(session, task, plan)

    assert [path for path, _, _ in session.written] == [account("default"), SECRET]
    assert session.written[0][1]["imagePullSecrets"] == [{"name": "theirs"}]
    wanted = {"uid": "uid-s", "resourceVersion": "7"}
    assert session.written[1][1]["preconditions"] == wanted
    assert (row.outcome, row.secret_action) == (Outcome.CHANGED, SecretAction.DELETED)
    assert row.changed_accounts == ("default",)


def test_an_entry_that_another_writer_takes_over_at_the_last_moment_stays_with_its_secret():
    session, (task, plan) = FakeSession(), an_undo(a_secret(ours=True))
    session.script[account("default")] = [CONFLICT]
    owned = {"manager": "flux", "operation": "Apply", "fieldsV1": {"f:imagePullSecrets": {}}}
    session.objects[account("default")] = {
        "metadata": {
            "name": "default",
            "uid": "uid-default",
            "resourceVersion": "4",
            "managedFields": [owned],
        },
        "imagePullSecrets": [{"name": "docker"}],
    }

    row = applied(session, task, plan)

    assert (row.outcome, row.changed_accounts) == (Outcome.UNCHANGED, ())
    assert "'flux' owns the list" in (row.reason or "")
    assert "the Secret stays" in (row.reason or "")
    assert [path for path, _, _ in session.written] == [account("default")]


def test_the_secret_stays_as_long_as_an_account_could_not_be_written():
    session, (task, plan) = FakeSession(), an_undo(a_secret(ours=True), ("a", "b"))
    forbidden = Fault(Error(ErrorCode.ADMISSION_DENIED, "no"), Retry.NO)
    session.script[account("a")] = [forbidden]

    row = applied(session, task, plan)

    assert SECRET not in [path for path, _, _ in session.written]
    assert (row.outcome, row.secret_action) == (Outcome.FAILED, SecretAction.UNCHANGED)
    assert (row.changed_accounts, row.accounts.failed) == (("b",), 1)
    assert row.reason


def test_a_secret_that_changed_at_the_last_moment_stays():
    session, (task, plan) = FakeSession(), an_undo(a_secret(ours=True))
    session.script[SECRET] = [CONFLICT]
    session.objects[SECRET] = on_the_wire(a_secret(ours=True, version="8"))

    row = applied(session, task, plan)

    assert (row.outcome, row.secret_action) == (Outcome.CHANGED, SecretAction.UNCHANGED)
    assert row.reason
    assert len(session.written) == 2


@pytest.mark.parametrize(
    ("answer", "action"),
    [(LOST, SecretAction.DELETED), (Gone(namespace=False), SecretAction.UNCHANGED)],
    ids=["lost", "gone"],
)
def test_a_secret_that_is_gone_was_deleted_here_only_if_an_answer_was_lost(answer, action):
    session, (task, plan) = FakeSession(), an_undo(a_secret(ours=True))
    session.script[SECRET] = [answer]

    row = applied(session, task, plan)

    assert row.secret_action is action


def test_a_secret_that_a_killed_worker_deleted_late_was_deleted_by_this_run():
    """The resumed run looked before the request arrived, and finds nothing to delete."""
    session, (task, plan) = FakeSession(), an_undo(a_secret(ours=True))
    session.script[SECRET] = [Gone(namespace=False)]

    row = applied(session, task, carry_over(plan, plan.intent))

    assert row.secret_action is SecretAction.DELETED


def test_the_version_of_a_created_secret_is_in_the_row():
    session, task = FakeSession(), a_task()

    row = applied(session, task, a_plan(task))

    assert row.secret_version == ("uid-new", "100")


def test_a_secret_that_somebody_created_at_the_same_moment_is_not_ours_to_delete():
    """Server-side apply answers 200, not 201, where the object is there already."""
    session, task = FakeSession(), a_task()
    session.objects[SECRET] = on_the_wire(a_secret(WANTED.content))

    row = applied(session, task, a_plan(task))

    assert row.secret_action is SecretAction.UPDATED
    assert row.secret_version is None


def test_a_write_of_a_killed_worker_that_arrives_late_is_our_own():
    """The resumed run looked before it arrived, and meets it as a conflict."""
    session, task = FakeSession(), a_task()
    plan = carry_over(a_plan(task), Intent(SecretAction.CREATED, ("default",)))
    ours = on_the_wire(a_secret(WANTED.content, ours=True))
    ours["metadata"]["annotations"] = {"remediator.dev/remediation": "rem_1"}
    session.objects[SECRET] = ours
    session.script[SECRET] = [CONFLICT]
    session.objects[account("default")] = {
        "metadata": {"name": "default", "uid": "uid-default", "resourceVersion": "4"},
        "imagePullSecrets": [{"name": "docker"}],
    }
    session.script[account("default")] = [CONFLICT]

    row = applied(session, task, plan)

    assert (row.outcome, row.secret_action) == (Outcome.CHANGED, SecretAction.CREATED)
    assert row.secret_version == ("uid-s", "7")
    assert row.changed_accounts == ("default",)


DYING = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["example.com/hold"]}


@pytest.mark.parametrize("secret", [None, a_secret()], ids=["apply", "merge"])
def test_a_write_to_a_secret_whose_deletion_began_at_the_same_moment_is_a_failure(secret):
    session, task = FakeSession(), a_task(OnConflict.MERGE)
    session.dying = DYING

    row = applied(session, task, a_plan(task, secret))

    assert row.outcome is Outcome.FAILED
    assert row.error
    assert row.error.code is ErrorCode.SECRET_TERMINATING
    assert row.secret_action is SecretAction.NONE
    assert [path for path, _, _ in session.written] == [SECRET], "no ServiceAccount names it"


def test_a_serviceaccount_whose_deletion_began_meanwhile_is_left_alone():
    session, task = FakeSession(), a_task()
    path = "/api/v1/namespaces/team/serviceaccounts/default"
    session.script[path] = [CONFLICT]
    meta = {"name": "default", "uid": "uid-default", "resourceVersion": "4"}
    session.objects[path] = {"metadata": meta | DYING}

    row = applied(session, task, a_plan(task))

    assert row.changed_accounts == ()
    assert row.accounts.ignored == 1
    assert [written for written, _, _ in session.written] == [SECRET, path]


@pytest.mark.parametrize("doubtful", [True, False])
def test_an_undo_says_that_finalizers_keep_the_secret(doubtful):
    session, secret = FakeSession(), a_secret(WANTED.content, ours=True)
    body = on_the_wire(secret)
    session.objects[SECRET] = body | {"metadata": body["metadata"] | DYING}
    session.script[SECRET] = [LOST if doubtful else CONFLICT]
    request = RemediationRequest(clusters=("*",), credential="harbor")
    done = Done((), SecretAction.CREATED, ("uid-s", "7"))
    task = UndoTask.of("rem_2", request, {"team": done})
    plan = task.plan(NamespaceState(Namespace("team"), secret))
    assert plan

    row = applied(session, task, plan)

    assert row.secret_action is (SecretAction.DELETED if doubtful else SecretAction.UNCHANGED)
    assert "example.com/hold" in (row.reason or "")
