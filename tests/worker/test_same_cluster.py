"""The uid of a cluster, read before anything is written there."""

import asyncio
from typing import Any

import orjson
import pytest

from remediation.outcome import Error, ErrorCode
from worker.execution import RunFailed
from worker.faults import Fault, Gone, Retry
from worker.pace import Pace
from worker.same_cluster import check_same


class OneAnswer:
    """A session whose cluster answers every question alike."""

    def __init__(self, answer: str | Exception) -> None:
        self.pace = Pace(1)
        self.asked: list[str] = []
        self._answer = answer

    async def get(self, path: str, call: object, **params: str) -> bytes:
        self.asked.append(path)
        if isinstance(self._answer, Exception):
            raise self._answer
        meta = {"name": "kube-system", "uid": self._answer}
        return orjson.dumps({"kind": "Namespace", "metadata": meta})


def fault(code: ErrorCode, status: int) -> Fault:
    return Fault(Error(code, "it says no", http_status=status), Retry.NO)


def check(answer: str | Exception, meant: str | None = "u1") -> list[str]:
    session: Any = OneAnswer(answer)
    asyncio.run(check_same(session, "eu", meant))
    return session.asked  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "answer", ["u1", fault(ErrorCode.FORBIDDEN, 403), Gone(namespace=True)], ids=str
)
def test_the_same_and_what_cannot_be_read_go_on(answer: str | Exception):
    assert check(answer) == ["/api/v1/namespaces/kube-system"]


def test_where_no_uid_is_meant_none_is_asked_for():
    assert check("u2", meant=None) == []


def test_another_cluster_ends_the_run():
    with pytest.raises(RunFailed) as failed:
        check("u2")
    assert failed.value.error.code is ErrorCode.CLUSTER_CHANGED


def test_a_cluster_that_does_not_answer_is_not_taken_for_the_same():
    with pytest.raises(Fault):
        check(fault(ErrorCode.UNREACHABLE, 503))
