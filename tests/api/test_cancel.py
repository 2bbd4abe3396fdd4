"""POST /remediations/{id}/cancel."""

from collections.abc import Callable

from flask.testing import FlaskClient

from tests.api.conftest import API, Work, a_row

Start = Callable[..., str]


def cancel(client: FlaskClient, identity: str) -> tuple[int, dict[str, object]]:
    answer = client.post(f"{API}/remediations/{identity}/cancel")
    return answer.status_code, answer.get_json()


def test_what_no_worker_has_begun_is_cancelled_at_once(client: FlaskClient, start: Start) -> None:
    identity = start("eu-1", "eu-2")

    code, body = cancel(client, identity)

    assert (code, body["status"], body["terminal"]) == (202, "cancelled", True)


def test_twice_is_as_good_as_once(client: FlaskClient, start: Start) -> None:
    identity = start("eu-1")
    cancel(client, identity)

    code, body = cancel(client, identity)

    assert (code, body["status"]) == (200, "cancelled")


def test_what_has_ended_cannot_be_cancelled(client: FlaskClient, start: Start, work: Work) -> None:
    identity = start("eu-1")
    work.run(identity, [a_row("shop")])

    code, body = cancel(client, identity)

    assert (code, body["code"]) == (409, "invalid-state")
    assert "succeeded" in str(body["detail"])


def test_nothing_there(client: FlaskClient) -> None:
    assert cancel(client, "rem_01JD0000000000000000000009")[0] == 404
