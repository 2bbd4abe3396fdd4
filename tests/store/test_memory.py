"""What is remembered of a cluster: written with rows, changed by checks, line by line."""

from datetime import UTC, datetime

from remediation.drift.past import Past
from remediation.footprint import UPDATE, Holder
from store.memory import key_of
from store.store import Store
from tests.store.values import a_claim, a_remediation, a_row

UID = "0b5a7ea9-7a3e-4a5f-9f57-6c1f7f0d2b11"
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
FLUX = Holder("kustomize-controller")
PLAIN = Past(UID)
TAKEN = Past("no-uuid", (FLUX, Holder("an operator", UPDATE)), "", NOW)
KEPT = Past(UID, (FLUX,), placed=False)


def test_what_rows_change_is_read_back_as_it_was(store: Store) -> None:
    a_remediation(store)
    claim = a_claim(store)
    lines = (("default", "docker", PLAIN), ("app", "docker", TAKEN), ("", "docker", KEPT))

    store.claims.report(claim, [a_row("a"), a_row("b")], {"a": lines})
    store.claims.report(claim, [a_row("c")], {"c": (("default", "docker", PLAIN),)})

    assert store.memory.read("eu-1") == {
        ("a", "default", "docker"): PLAIN,
        ("a", "app", "docker"): TAKEN,
        ("a", "", "docker"): KEPT,
        ("c", "default", "docker"): PLAIN,
    }
    assert store.memory.read("eu-2") == {}
    store.claims.report(claim, [a_row("d")], {"d": (("default", "docker", Past("a b")),)})
    assert ("d", "default", "docker") not in store.memory.read("eu-1")
    assert store.redis.ttl(key_of("eu-1")) > 0


def test_a_row_that_is_stored_twice_changes_nothing_more(store: Store) -> None:
    a_remediation(store)
    claim = a_claim(store)
    store.claims.report(claim, [a_row("a")], {"a": (("default", "docker", PLAIN),)})

    store.claims.report(claim, [a_row("a")], {"a": (("default", "docker", None),)})

    assert store.memory.read("eu-1") == {("a", "default", "docker"): PLAIN}


def test_a_later_run_changes_its_own_lines_alone(store: Store) -> None:
    first, second = (a_remediation(store, f"rem_01JD000000000000000000000{n}") for n in (1, 2))
    both = (("default", "docker", PLAIN), ("default", "pull-two", PLAIN))
    claim = a_claim(store, first[0])
    store.claims.report(claim, [a_row("a")], {"a": both})
    store.claims.finish(claim)

    store.claims.report(
        a_claim(store, second[0]), [a_row("a")], {"a": (("default", "docker", None),)}
    )

    assert store.memory.read("eu-1") == {("a", "default", "pull-two"): PLAIN}


def test_a_check_changes_only_what_is_as_it_was_read(store: Store) -> None:
    a_remediation(store)
    lines = (("default", "docker", PLAIN), ("app", "docker", PLAIN), ("gone", "docker", PLAIN))
    store.claims.report(a_claim(store), [a_row("a")], {"a": lines})
    before = store.memory.read("eu-1")
    before["a", "app", "docker"] = KEPT  # a run has written it since

    changed = {
        ("a", "default", "docker"): TAKEN,
        ("a", "app", "docker"): TAKEN,
        ("a", "gone", "docker"): None,
    }
    store.memory.amend("eu-1", before, changed)

    assert store.memory.read("eu-1") == {
        ("a", "default", "docker"): TAKEN,
        ("a", "app", "docker"): PLAIN,
    }
