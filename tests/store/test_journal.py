"""What was about to be written, for whoever goes on with the run."""

from remediation.caution import Caution, CautionCode
from remediation.footprint import UPDATE, AccountMark, Holder, SecretMark
from remediation.outcome import SecretAction
from remediation.plan import Intent
from store.store import Store
from tests.store.values import ID, a_claim, a_later_claim, a_remediation

RUN = f"{ID}-0"


def test_intents_are_read_back_as_they_were(store: Store) -> None:
    a_remediation(store)
    intents = {
        f"ns-{number:04d}": Intent(list(SecretAction)[number % 7], ("default", "builder"))
        for number in range(1203)
    }

    store.journal.note(a_claim(store), intents.items())

    assert store.journal.intents(RUN) == intents


def test_a_later_attempt_adds_to_the_notes_and_speaks_for_its_namespaces(store: Store) -> None:
    """Its intent holds what it took over from the earlier one (see `NamespacePlan.intent`)."""
    a_remediation(store)
    first = Intent(SecretAction.CREATED, ("default",))
    store.journal.note(a_claim(store), [("a", first), ("b", first)])
    second = Intent(SecretAction.CREATED, ("default", "builder"))

    store.journal.note(a_later_claim(store), [("b", second), ("c", second)])

    assert store.journal.intents(RUN) == {"a": first, "b": second, "c": second}


def test_what_stood_there_before_is_read_back_as_it_was(store: Store) -> None:
    a_remediation(store)
    holders = (Holder("kustomize-controller"), Holder("HashiCorp", UPDATE))
    marks = (
        AccountMark("default", "0b5a7ea9-7a3e-4a5f-9f57-6c1f7f0d2b11"),
        AccountMark("odd", "no uuid", holders),
    )
    secret = SecretMark("0b5a7ea9-7a3e-4a5f-9f57-6c1f7f0d2b12", holders, "ExternalSecret regcred")
    intent = Intent(SecretAction.MERGED, ("default", "unknown", "odd"), marks, secret)

    store.journal.note(a_claim(store), [("a", intent)])

    assert store.journal.intents(RUN) == {"a": intent}


def test_warnings_are_read_back_as_they_were(store: Store) -> None:
    a_remediation(store)
    caution = Caution(CautionCode.DRIFT, "Flux", "serviceaccounts/a/app", "removes it", "add", 3)
    intent = Intent(SecretAction.CREATED, ("app",), cautions=(caution,))

    store.journal.note(a_claim(store), [("a", intent)])

    assert store.journal.intents(RUN) == {"a": intent}


def test_a_run_without_notes_has_none(store: Store) -> None:
    a_remediation(store)
    store.journal.note(a_claim(store), [])

    assert store.journal.intents(RUN) == {}
