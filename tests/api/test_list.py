"""GET /remediations."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from flask.testing import FlaskClient

from api import remediation_list
from store.store import Store
from tests.api.conftest import API, Work, a_row

Start = Callable[..., str]
URL = f"{API}/remediations"


def listed(client: FlaskClient, query: str = "") -> list[str]:
    """Return the ids of a page."""
    answer = client.get(f"{URL}{query}")
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.get_json()["items"]]


def pages(client: FlaskClient, query: str) -> Iterator[list[str]]:
    """Yield the ids of every page, by the links."""
    url = f"{URL}?{query}"
    while True:
        answer = client.get(url)
        yield [item["id"] for item in answer.get_json()["items"]]
        if "Link" not in answer.headers:
            assert "next_cursor" not in answer.get_json()
            return
        url, _, relation = answer.headers["Link"].partition("; ")
        assert relation == 'rel="next"'
        assert answer.get_json()["next_cursor"] in url
        url = url.strip("<>")


def test_nothing_at_first(client: FlaskClient) -> None:
    assert client.get(URL).get_json() == {"items": []}


def test_the_newest_comes_first(client: FlaskClient, start: Start) -> None:
    made = [start() for _ in range(3)]

    assert listed(client) == sorted(made, reverse=True)


def test_an_item_is_the_whole_remediation(client: FlaskClient, start: Start) -> None:
    identity = start()

    (item,) = client.get(URL).get_json()["items"]

    assert item == client.get(f"{URL}/{identity}").get_json()


def test_pages_hold_everything_once(client: FlaskClient, start: Start) -> None:
    made = [start() for _ in range(5)]

    found = list(pages(client, "limit=2"))

    assert [len(page) for page in found] == [2, 2, 1]
    assert [identity for page in found for identity in page] == sorted(made, reverse=True)


def test_a_full_last_page_has_no_next_one(client: FlaskClient, start: Start) -> None:
    for _ in range(2):
        start()

    assert [len(page) for page in pages(client, "limit=2")] == [2]


def test_filters(client: FlaskClient, start: Start, work: Work) -> None:
    done = start("eu-1", labels={"team": "a", "change": "CHG:1"})
    plan = start("us-1", dry_run=True, labels={"team": "b"})
    work.run(done, [a_row("shop")])

    for query, expected in {
        "status=succeeded": [done],
        "status=queued,running": [plan],
        "status=succeeded,queued": [plan, done],
        "cluster=us-1": [plan],
        "cluster=eu-*,us-2": [done],
        "requested_by=client:ci": [plan, done],
        "requested_by=portal": [],
        "dry_run=true": [plan],
        "dry_run=false": [done],
        "label=team:a": [done],
        "label=change:CHG:1": [done],
        "label=team:a,team:b": [plan, done],
        "label=team:a&label=change:CHG:1": [done],
        "label=team:a&label=team:b": [],
        "status=succeeded&cluster=us-1": [],
    }.items():
        assert sorted(listed(client, f"?{query}")) == sorted(expected), query


def test_filters_by_time(client: FlaskClient, start: Start, store: Store) -> None:
    identity = start()
    now = datetime.now(UTC)
    before = (now - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    after = (now + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    found = store.remediations.get(identity)
    assert found is not None

    assert listed(client, f"?created_after={before}&created_before={after}") == [identity]
    assert listed(client, f"?created_after={after}") == []
    assert listed(client, f"?created_before={before}") == []
    assert listed(client, f"?created_after={found.created_at}") == [identity]
    assert listed(client, f"?created_before={found.created_at}") == []
    assert listed(client, "?created_after=2026-01-31&created_before=9998-01-01") == [identity]


def test_a_long_search_goes_on_on_the_next_page(
    client: FlaskClient, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remediation_list, "_MOST_READ", 2)
    wanted = start("eu-1")
    for _ in range(4):
        start("us-1")

    assert list(pages(client, "cluster=eu-1")) == [[], [], [wanted]]


def test_a_limit_that_would_be_cut_is_refused(client: FlaskClient, start: Start) -> None:
    identity = start()

    for path, most in (
        ("remediations", 200),
        ("readiness-checks", 200),
        (f"remediations/{identity}/results", 1000),
        ("audit-events", 1000),
    ):
        assert client.get(f"{API}/{path}?limit={most}").status_code == 200
        answer = client.get(f"{API}/{path}?limit={most + 1}")
        assert answer.status_code == 422
        (error,) = answer.get_json()["errors"]
        assert (error["pointer"], error["detail"]) == ("#/limit", f"must be in 1..{most}")


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "#/limit"),
        ("limit=-1", "#/limit"),
        ("limit=many", "#/limit"),
        ("status=done", "#/status/0"),
        ("status=", "#/status"),
        ("dry_run=perhaps", "#/dry_run"),
        ("created_after=yesterday", "#/created_after"),
        ("created_before=0001-01-01", "#/created_before"),
        ("created_before=9999-12-31T23:59:59", "#/created_before"),
        ("label=team", "#/label"),
        ("label=:a", "#/label"),
        ("cursor=", "#/cursor"),
        ("cursor=garbage", "#/cursor"),
        ("cursor=WyJhIiwiYiJd", "#/cursor"),
        ("cursor=%C3%A9", "#/cursor"),
        ("sort=asc", "#/sort"),
    ],
)
def test_a_wrong_parameter_is_pointed_at(client: FlaskClient, query: str, pointer: str) -> None:
    answer = client.get(f"{URL}?{query}")

    (error,) = answer.get_json(force=True)["errors"]
    assert answer.status_code == 422
    assert error["pointer"] == pointer
    assert error["in"] == "query"


def test_a_cursor_is_bound_to_its_filters(client: FlaskClient, start: Start) -> None:
    for _ in range(2):
        start()
    cursor = client.get(f"{URL}?limit=1&status=queued").get_json()["next_cursor"]

    assert client.get(f"{URL}?limit=5&status=queued&cursor={cursor}").status_code == 200
    for other in ("status=running", "status=queued&dry_run=false", "limit=1"):
        answer = client.get(f"{URL}?{other}&cursor={cursor}")
        assert answer.status_code == 422
        assert "belongs to other filters" in answer.text
