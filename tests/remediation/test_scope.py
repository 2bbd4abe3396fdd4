"""What a retry is about."""

from hypothesis import given
from hypothesis import strategies as st

from remediation.plan import Task
from remediation.scope import EVERYTHING, Scope
from remediation.selection import Judgement, NamespaceSelection
from remediation.state import Namespace
from tests.remediation.values import a_credential, a_request

NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
ATTEMPTS = st.lists(
    st.tuples(st.dictionaries(NAMES, st.booleans()), st.booleans()), min_size=1, max_size=4
)


@given(ATTEMPTS)
def test_what_has_had_its_turn_is_never_retried_and_what_failed_last_always_is(attempts):
    """Each attempt says of the namespaces it came to whether they are finished."""
    scope = EVERYTHING
    there = ("a", "b", "c", "d", "e")
    left = set(there)
    for told, complete in attempts:
        rows = {name: done for name, done in told.items() if name in left}
        finished = {name for name, done in rows.items() if done}
        unfinished = rows.keys() - finished
        scope = scope.after(finished, unfinished, complete=complete)
        left = set(unfinished) if complete else left - finished

    selection = NamespaceSelection.of(a_request(), scope)

    assert {name for name in there if selection.judge(Namespace(name))} == left


def test_exactly_the_names_count_whatever_the_patterns_and_labels_say():
    request = a_request(namespaces=["x*"], ignore=["a"], namespace_selector="app=x")
    task = Task.of("rem_1", request, a_credential(), Scope(only=frozenset({"a", "b"})))

    assert task.exactly == frozenset({"a", "b"})
    assert task.to_observe.namespaces == ("a", "b")
    judged = {name: task.namespaces.judge(Namespace(name)) for name in ("a", "b", "x1")}
    assert [name for name, judgement in judged.items() if judgement] == ["a", "b"]
    assert judged["a"] == Judgement()


def test_the_annotation_counts_in_a_retry_too():
    scope = Scope(only=frozenset({"a"}))

    judgement = NamespaceSelection.of(a_request(), scope).judge(Namespace("a", excluded=True))

    assert judgement
    assert judgement.outcome == "ignored"


def test_everything_is_the_request_as_it_is():
    request = a_request(namespaces=["x*"], ignore=["a"])

    assert EVERYTHING.narrow(request) is request
