"""The service keeps what its OpenAPI document says, whatever it is sent."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import yaml
from flask import Flask
from hypothesis import HealthCheck, settings
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from api.app import create_app
from api.services import services_of
from api.settings import Settings, open_store
from remediation.api_key import ApiKey
from tests.api.conftest import CREDENTIAL, Announce, Work, a_finding, a_row

Case = schemathesis.Case[Any]

METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")
# For each operation; CONTRACT_EXAMPLES asks for more than a few seconds' worth, by hand or at night.
EXAMPLES = int(os.environ.get("CONTRACT_EXAMPLES", "30"))


class Stage:
    """Where each test puts its application; the first one, without Redis, is there to be asked for the document."""

    def __init__(self) -> None:
        self.app = create_app(Settings(), open_store(Settings()))

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        """Pass a request on."""
        return self.app(environ, start_response)


stage = Stage()
schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", stage)
# We send the key ourselves: without one, or with another, is what the check `ignored_auth` tries.
schema.config.generation.with_security_parameters = False
# What is too large is refused too, before it is read.
rejection = schema.config.checks.negative_data_rejection
rejection.expected_statuses = [*rejection.expected_statuses, "413"]


@pytest.fixture
def existing(
    app: Flask, start: Callable[..., str], ask: Callable[..., str], work: Work
) -> tuple[str, str]:
    """Put the application on the stage; return a remediation of it that has rows, and a check that has findings."""
    stage.app = app
    services_of(app).waits.stop()  # long waits would be kept, and tell nothing here
    identity = start("eu-1")
    work.run(identity, [a_row(f"ns-{number}") for number in range(5)])
    check = ask("eu-1")
    work.judge(check, a_finding())
    return identity, check


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_documented(
    case: Case, key: ApiKey, announce: Announce, existing: tuple[str, str]
) -> None:
    announce("eu-1")  # lives for seconds only
    _aim(case, *existing)

    case.call_and_validate(
        headers={"Authorization": f"Bearer {key.token}"},
        # Whether a cluster is known and a pattern makes sense is beyond a schema.
        excluded_checks=[positive_data_acceptance],
    )


def test_no_operation_is_left_out() -> None:
    """What the file describes is what is tried: nothing is excluded, by a filter or by a tag."""
    document = yaml.safe_load((Path(__file__).parents[2] / "openapi.yaml").read_text())
    described = {
        f"{method.upper()} {path}"
        for path, item in document["paths"].items()
        for method in item
        if method in METHODS
    }

    found = list(schema.get_all_operations())

    assert {each.ok().label for each in found if isinstance(each, Ok)} == described
    assert len(found) == len(described)


def _aim(case: Case, remediation: str, check: str) -> None:
    """Have what is meant to be right hit something that is there."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if "remediation_id" in case.path_parameters:
        case.path_parameters["remediation_id"] = remediation
    if "check_id" in case.path_parameters:
        case.path_parameters["check_id"] = check
    if isinstance(case.body, dict) and "clusters" in case.body:
        case.body.pop("inline_credential", None)
        case.body |= {"clusters": ["*"], "credential": CREDENTIAL}
