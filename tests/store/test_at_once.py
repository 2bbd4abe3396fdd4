"""What comes in the middle of the recording of a remediation is seen: it is recorded whole, after it, or not at all."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from remediation.request import InlineCredential, RemediationRequest
from store import codec, keys
from store.idempotency import LIFE_SECONDS, KeyTaken, Known, RequestKey
from store.intake import AlreadyUndone
from store.records import Origin, Run
from store.store import Store
from tests.store.values import ID, REQUEST, a_claim

OTHER = "rem_01JD0000000000000000000002"
LATER = "rem_01JD0000000000000000000003"
KEY = RequestKey("alice", "POST /remediations", "incident-17", "f")
PLACES = [("eu-1", "main")]
INLINE = replace(REQUEST, credential=None, inline_credential=InlineCredential("r.io", "robot"))


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Have something happen once, when the next remediation has been looked for and is about to be written."""
    encode = codec.encode_request

    def arrange(happens: Callable[[], object]) -> None:
        due = [happens]

        def encode_request(request: RemediationRequest) -> str:
            if due:
                due.pop()()
            return encode(request)

        monkeypatch.setattr("store.intake.codec.encode_request", encode_request)

    return arrange


def undo(store: Store, remediation_id: str, done: str, request: RemediationRequest) -> Run:
    """Record an undo of the run `done`; return its run."""
    origin = Origin(undo_of=ID, undoes={"eu-1": done})
    return store.intake.remediation(remediation_id, request, "alice", PLACES, origin=origin)[0]


def undone_by(store: Store, run_id: str) -> str | None:
    run = store.runs.get(run_id)
    assert run
    return run.undone_by


def test_the_same_key(store: Store, meanwhile: Callable[[Callable[[], object]], None]) -> None:
    meanwhile(lambda: store.intake.remediation(OTHER, REQUEST, "alice", PLACES, KEY))

    with pytest.raises(KeyTaken) as taken:
        store.intake.remediation(ID, REQUEST, "alice", PLACES, KEY)

    assert taken.value.known.remediation_id == OTHER
    assert store.remediations.get(ID) is None
    assert LIFE_SECONDS - 60 < store.redis.ttl(KEY.record) <= LIFE_SECONDS


def test_an_undo_of_the_same(
    store: Store, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    (run,) = store.intake.remediation(ID, REQUEST, "alice", PLACES)
    store.claims.finish(a_claim(store))
    meanwhile(lambda: undo(store, OTHER, run.id, REQUEST))

    with pytest.raises(AlreadyUndone):
        undo(store, LATER, run.id, REQUEST)

    assert undone_by(store, run.id) == f"{OTHER}-0"


def test_a_pause_which_a_login_has_to_outlive(
    store: Store, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    meanwhile(lambda: store.pause.begin("an incident", "bob"))

    store.intake.remediation(ID, INLINE, "alice", PLACES, sealed="key:ciphertext")

    assert store.redis.ttl(keys.sealed(ID)) == -1


def test_a_dry_run_takes_nothing_back(store: Store) -> None:
    (run,) = store.intake.remediation(ID, REQUEST, "alice", PLACES)
    store.claims.finish(a_claim(store))

    undo(store, OTHER, run.id, replace(REQUEST, dry_run=True))

    assert undone_by(store, run.id) is None
    assert undo(store, LATER, run.id, REQUEST).undoes == run.id


def test_the_first_note_under_a_key_stays(store: Store) -> None:
    store.idempotency.keep(KEY, "the pause")
    store.idempotency.keep(KEY, "another pause")

    assert store.idempotency.known(KEY) == Known("the pause", same=True)
