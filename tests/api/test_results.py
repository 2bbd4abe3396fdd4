"""GET /remediations/{id}/results."""

import csv
import io
import json
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from remediation.caution import Caution, CautionCode
from remediation.outcome import AccountCounts, Error, ErrorCode, Outcome
from tests.api.conftest import API, Work, a_row

Start = Callable[..., str]

REFUSED = Error(
    ErrorCode.FORBIDDEN,
    "serviceaccounts is forbidden\nfor us \x1b[31m",
    "=HYPERLINK(1)",
    403,
    "ServiceAccount/zoo/default",
)
ROWS = [
    a_row("kube-system", Outcome.IGNORED, reason="ignored by 'kube-*'"),
    a_row("shop"),
    a_row("team-a", Outcome.UNCHANGED),
    a_row("zoo", Outcome.FAILED, error=REFUSED, accounts=AccountCounts(failed=3)),
]


@pytest.fixture
def identity(start: Start, work: Work) -> str:
    """Return a remediation of two clusters with the same four rows each."""
    made = start("eu-1", "eu-2")
    work.run(made, ROWS)
    return made


def url(identity: str, query: str = "") -> str:
    """Return the address of the rows."""
    return f"{API}/remediations/{identity}/results{query}"


def names(client: FlaskClient, identity: str, query: str = "") -> list[str]:
    """Return cluster/namespace of a page of rows."""
    answer = client.get(url(identity, query))
    assert answer.status_code == 200, answer.text
    return [f"{row['cluster']}/{row['namespace']}" for row in answer.get_json()["items"]]


def test_rows_come_in_order_of_cluster_and_namespace(client: FlaskClient, identity: str) -> None:
    expected = [f"{c}/{row.namespace}" for c in ("eu-1", "eu-2") for row in ROWS]

    assert names(client, identity) == expected


def test_a_row_says_it_all(client: FlaskClient, identity: str) -> None:
    _, changed, _, failed = client.get(url(identity, "?cluster=eu-2")).get_json()["items"]

    assert changed == {
        "kind": "run",
        "cluster": "eu-2",
        "namespace": "shop",
        "outcome": "changed",
        "reason": None,
        "secret": {"name": "docker", "action": "created"},
        "service_accounts": {"total": 2, "changed": 1, "unchanged": 1, "ignored": 0, "failed": 0},
        "changed_service_accounts": ["default"],
        "attempts": 1,
        "duration_ms": 412,
        "error": None,
        "warnings": [],
    }
    assert failed["secret"] == {"name": "docker", "action": "none"}
    assert failed["error"] == {
        "code": "forbidden",
        "detail": REFUSED.detail,
        "hint": REFUSED.hint,
        "retryable": False,
        "http_status": 403,
        "object": "ServiceAccount/zoo/default",
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("cluster=eu-1&namespace=shop", ["eu-1/shop"]),
        ("cluster=*-2&outcome=failed,ignored", ["eu-2/kube-system", "eu-2/zoo"]),
        ("namespace=team-*,zo?&cluster=eu-1", ["eu-1/team-a", "eu-1/zoo"]),
        ("namespace=zoo,shop,shop&cluster=eu-1", ["eu-1/shop", "eu-1/zoo"]),
        ("outcome=changed,changed", ["eu-1/shop", "eu-2/shop"]),
        ("cluster=us-1", []),
        ("outcome=cancelled", []),
    ],
)
def test_filters(client: FlaskClient, identity: str, query: str, expected: list[str]) -> None:
    assert names(client, identity, f"?{query}") == expected


def test_pages_hold_every_row_once(client: FlaskClient, identity: str) -> None:
    found, page = [], url(identity, "?limit=3&outcome=changed,unchanged,failed")
    while page:
        answer = client.get(page)
        found.append([row["namespace"] for row in answer.get_json()["items"]])
        page = answer.headers.get("Link", "").partition(">")[0].strip("<")

    assert found == [["shop", "team-a", "zoo"], ["shop", "team-a", "zoo"]]


def test_pages_go_on_within_a_cluster(client: FlaskClient, identity: str) -> None:
    cursor = client.get(url(identity, "?limit=6")).get_json()["next_cursor"]

    assert names(client, identity, f"?cursor={cursor}") == ["eu-2/team-a", "eu-2/zoo"]


def test_rows_are_there_while_it_runs(client: FlaskClient, start: Start, work: Work) -> None:
    identity = start("eu-1", "eu-2")
    work.run(identity, ROWS, clusters=["eu-2"])

    assert len(names(client, identity)) == len(ROWS)


def test_warnings_stand_in_the_rows_and_are_summed_up(
    client: FlaskClient, start: Start, work: Work
) -> None:
    """The sums name who; the rows name the objects and what to do."""
    by, thing = "kustomize-controller", "serviceaccounts/a/b"
    caution = Caution(CautionCode.DRIFT, by, thing, "it will", "add it")
    identity = start("eu-1")

    work.run(identity, [a_row("a", cautions=(caution, caution))])

    (row,) = client.get(url(identity)).get_json()["items"]
    one = {"code": "drift", "object": thing, "detail": "it will", "hint": "add it"}
    assert row["warnings"] == [one, one]
    (warning,) = client.get(f"{API}/remediations/{identity}").get_json()["warnings"]
    assert (warning["code"], warning["name"]) == ("drift", by)
    assert "2 objects" in warning["detail"]


def test_ndjson_has_every_row(client: FlaskClient, identity: str) -> None:
    answer = client.get(url(identity), headers={"Accept": "application/x-ndjson"})

    assert answer.content_type == "application/x-ndjson; charset=utf-8"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines == client.get(url(identity)).get_json()["items"]


def test_csv_has_every_row_and_no_formulas(client: FlaskClient, identity: str) -> None:
    answer = client.get(url(identity, "?format=csv"), headers={"Accept": "application/json"})

    assert answer.content_type == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert len(rows) == 2 * len(ROWS)
    assert rows[1]["namespace"] == "shop"
    assert rows[1]["changed_service_accounts"] == "default"
    assert rows[3] == {
        "cluster": "eu-1",
        "namespace": "zoo",
        "outcome": "failed",
        "reason": "",
        "secret_name": "docker",
        "secret_action": "none",
        "service_accounts_total": "3",
        "service_accounts_changed": "0",
        "service_accounts_unchanged": "0",
        "service_accounts_ignored": "0",
        "service_accounts_failed": "3",
        "changed_service_accounts": "",
        "attempts": "0",
        "duration_ms": "0",
        "error_code": "forbidden",
        "error_detail": REFUSED.detail,
        "error_hint": "'=HYPERLINK(1)",
        "error_retryable": "false",
        "error_http_status": "403",
        "error_object": "ServiceAccount/zoo/default",
        "warnings": "",
        "kind": "run",
    }


def test_the_table_is_aligned_and_harmless(client: FlaskClient, identity: str) -> None:
    answer = client.get(url(identity, "?cluster=eu-1"), headers={"Accept": "text/plain"})

    assert answer.content_type == "text/plain; charset=utf-8"
    assert answer.text == (
        "CLUSTER  NAMESPACE    OUTCOME    SECRET   ACCOUNTS(CHANGED/TOTAL)  TIME  ERROR/REASON\n"
        "eu-1     kube-system  ignored    -        0/0                      0.0s  ignored by 'kube-*'\n"
        "eu-1     shop         changed    created  1/2                      0.4s\n"
        "eu-1     team-a       unchanged  -        0/0                      0.0s\n"
        "eu-1     zoo          failed     -        0/3                      0.0s  "
        "forbidden: serviceaccounts is forbidden for us  [31m\n"
    )


@pytest.mark.parametrize("format", ["ndjson", "csv", "table"])
def test_a_limit_makes_a_page_of_any_format(
    client: FlaskClient, identity: str, format: str
) -> None:
    answer = client.get(url(identity, f"?format={format}&limit=3"))

    assert len(answer.text.splitlines()) == 3 + (format != "ndjson")
    rest = client.get(answer.headers["Link"].partition(">")[0].strip("<").replace("limit=3&", ""))
    assert "eu-2" in rest.text
    assert "kube-system" in rest.text


def test_a_stream_goes_on_after_the_cursor(client: FlaskClient, identity: str) -> None:
    cursor = client.get(url(identity, "?limit=7")).get_json()["next_cursor"]

    answer = client.get(url(identity, f"?format=ndjson&cursor={cursor}"))

    assert [json.loads(line)["namespace"] for line in answer.text.splitlines()] == ["zoo"]


def test_a_large_stream(client: FlaskClient, start: Start, work: Work) -> None:
    rows = [a_row(f"ns-{number:04}") for number in range(1203)]
    identity = start("eu-1")
    work.run(identity, rows)

    for format, head in (("ndjson", 0), ("csv", 1), ("table", 1)):
        lines = client.get(url(identity, f"?format={format}")).text.splitlines()
        assert len(lines) == len(rows) + head
    assert len(client.get(url(identity, "?limit=1000")).get_json()["items"]) == 1000


def test_without_rows(client: FlaskClient, start: Start) -> None:
    identity = start()

    assert client.get(url(identity)).get_json() == {"items": []}
    assert client.get(url(identity, "?format=ndjson")).text == ""
    assert client.get(url(identity, "?format=csv")).text.count("\r\n") == 1
    assert client.get(url(identity, "?format=table")).text.startswith("CLUSTER  NAMESPACE")


@pytest.mark.parametrize(
    ("query", "accept"), [("?format=xml", "*/*"), ("?format=", "*/*"), ("", "application/xml")]
)
def test_other_formats_there_are_not(
    client: FlaskClient, identity: str, query: str, accept: str
) -> None:
    answer = client.get(url(identity, query), headers={"Accept": accept})

    assert answer.status_code == 406
    assert "application/x-ndjson" in answer.text


def test_caches_are_told_that_accept_matters(client: FlaskClient, identity: str) -> None:
    assert client.get(url(identity)).headers["Vary"] == "Accept"


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("outcome=broken", "#/outcome/0"),
        ("outcome=failed,", "#/outcome/1"),
        ("limit=0", "#/limit"),
        ("namespace=", "#/namespace"),
        ("cursor=x", "#/cursor"),
        ("outcomes=failed", "#/outcomes"),
        ("outcome=failed&outcome=cancelled", "#/outcome"),
        ("limit=1&limit=2", "#/limit"),
    ],
)
def test_a_wrong_parameter_is_pointed_at(
    client: FlaskClient, identity: str, query: str, pointer: str
) -> None:
    answer = client.get(url(identity, f"?{query}"))

    assert answer.status_code == 422
    assert [error["pointer"] for error in json.loads(answer.data)["errors"]] == [pointer]


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("outcome=failed,broken", "'broken' is none of changed, unchanged, would_change, "),
        ("outcomes=x", "there is no parameter 'outcomes'; did you mean 'outcome'?"),
        ("outcome=failed&outcome=skipped", "comes more than once; several values are one list"),
    ],
)
def test_a_wrong_parameter_is_told_with_what_would_be_right(
    client: FlaskClient, identity: str, query: str, detail: str
) -> None:
    (error,) = json.loads(client.get(url(identity, f"?{query}")).data)["errors"]

    assert error["detail"].startswith(detail)


def test_a_cursor_is_bound_to_filters_and_remediation(
    client: FlaskClient, identity: str, start: Start
) -> None:
    other = start("eu-1")
    cursor = client.get(url(identity, "?limit=1")).get_json()["next_cursor"]

    for target in (
        url(identity, f"?outcome=failed&cursor={cursor}"),
        url(other, f"?cursor={cursor}"),
    ):
        assert client.get(target).status_code == 422


def test_rows_of_what_is_not_there(client: FlaskClient) -> None:
    assert client.get(url("rem_01M85B1ZWBXX38VXNACNJSV9CR")).status_code == 404
