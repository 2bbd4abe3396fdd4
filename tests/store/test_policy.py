"""The policy that the API hands to the workers."""

from remediation.permission import Binding, Grant, Permission, Policy, Requester, Role, Warrant
from store import keys
from store.store import Store
from tests.store.values import REQUEST

GRANT = Grant(
    role=Role.OPERATOR, clusters=("eu-*", "us-1"), namespaces=("*",), credentials=("harbor",)
)
POLICY = Policy((Binding(("client:portal", "group:sre"), GRANT), Binding(("*",), GRANT)))
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

    assert store.policies.current() == Policy(POLICY.bindings[1:])


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
    assert store.remediations.warrant(ID) == Warrant(requester, Permission.MANAGE_REMEDIATIONS)
