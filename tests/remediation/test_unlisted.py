"""Telling of an object at which the lists over all namespaces fail."""

from remediation.caution import CautionCode
from remediation.outcome import Error, ErrorCode, NamespaceResult, Outcome
from remediation.plan import NamespacePlan, unread_plan
from remediation.unlisted import tell_unlisted

LOST = Error(
    ErrorCode.INTERNAL,
    "the API server cannot decrypt what is stored at /registry/secrets/b/other (500)",
    "put the key back",
    500,
    "secrets",
)


def test_the_namespace_of_the_object_tells_it():
    settled = NamespacePlan("b", NamespaceResult("b", Outcome.UNCHANGED))
    for plan in (NamespacePlan("b"), settled):
        first, second = tell_unlisted([NamespacePlan("a"), plan], [LOST])
        (caution,) = second.settled.cautions if second.settled else second.cautions
        assert first == NamespacePlan("a")
        assert (caution.code, caution.by) == (CautionCode.UNLISTED, "secrets")
        assert (caution.object, caution.hint) == ("secrets/b/other", "put the key back")


def test_an_object_of_another_namespace_is_told_by_the_first_that_is_meant():
    ignored = NamespacePlan("a", NamespaceResult("a", Outcome.IGNORED))
    unread = unread_plan("b2", LOST)
    told = tell_unlisted([ignored, unread, NamespacePlan("c")], [LOST])

    assert told[:2] == (ignored, unread)
    assert told[2].cautions[0].object == "secrets/b/other"


def test_a_namespace_that_fails_itself_tells_nothing_more():
    plans = (unread_plan("b", LOST), NamespacePlan("c"))

    assert tell_unlisted(plans, [LOST]) == plans
    assert tell_unlisted(plans[:1], [LOST]) == plans[:1]
    assert tell_unlisted([], [LOST]) == ()
