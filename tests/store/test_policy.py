"""The policy that the API hands to the workers."""

from remediation.approval import Approval, ApprovalState, Verdict
from remediation.permission import Binding, Grant, Permission, Policy, Requester, Role, Warrant
from store import clock, keys
from store.records import Terms
from store.store import Store
from tests.store.values import REQUEST

GRANT = Grant(
    role=Role.OPERATOR, clusters=("eu-*", "us-1"), namespaces=("*",), credentials=("harbor",)
)
POLICY = Policy(
    (Binding(("client:portal", "group:sre"), GRANT), Binding(("*",), GRANT)), ("prod-*", "eu-1")
)
ID = "rem_01J8Z5Q0000000000000000000"


def test_nobody_has_said_anything_yet(store: Store) -> None:
    assert store.policies.current() is None


def test_the_last_one_counts_and_is_read_as_it_was_written(store: Store) -> None:
    store.policies.publish(Policy())
    store.policies.publish(POLICY)

    assert store.policies.current() == POLICY


def test_an_empty_policy_is_one(store: Store) -> None:
    store.policies.publish(Policy())

    assert store.policies.current() == Policy()


def test_restoring_changes_nothing_unless_it_was_lost(store: Store) -> None:
    store.policies.publish(POLICY)
    store.policies.restore(Policy())
    assert store.policies.current() == POLICY

    store.redis.flushdb()
    store.policies.restore(POLICY)
    assert store.policies.current() == POLICY


def test_a_role_that_is_not_known_gives_nothing(store: Store) -> None:
    store.policies.publish(POLICY)
    text = str(store.redis.get(keys.POLICY))
    store.redis.set(keys.POLICY, text.replace("operator", "emperor", 1))

    assert store.policies.current() == Policy(POLICY.bindings[1:], POLICY.protected)


def test_the_warrant_of_a_remediation(store: Store) -> None:
    assert store.remediations.warrant(ID) is None

    store.intake.remediation(
        ID,
        REQUEST,
        "user:mia",
        [("eu-1", "main")],
        groups=("sre", "dev"),
        needs=Permission.MANAGE_REMEDIATIONS,
    )

    requester = Requester("user:mia", ("sre", "dev"))
    warrant = Warrant(requester, Permission.MANAGE_REMEDIATIONS)
    assert store.remediations.warrant(ID) == warrant


def test_a_warrant_says_whether_a_second_person_agreed(store: Store) -> None:
    waiting = Approval("sha256:0", "user:mia", clock.later(clock.now(), 60))
    terms = Terms(approval=waiting)
    store.intake.remediation(ID, REQUEST, "user:mia", [("eu-1", "main")], terms=terms)
    before = store.remediations.warrant(ID)

    verdict = Verdict(ApprovalState.APPROVED, "user:bob", waiting.digest)
    assert store.approvals.decide(ID, verdict)[1]

    after = store.remediations.warrant(ID)
    assert before is not None
    assert after is not None
    assert (before.approved, after.approved) == (False, True)
