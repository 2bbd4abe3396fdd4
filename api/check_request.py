"""The body of POST /readiness-checks."""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, validate

from api.remediation_request import RemediationRequestSchema
from api.schemas import Choice, Strict
from remediation.credential import check_registry
from remediation.docker_config import InvalidCredential
from remediation.readiness.proof import Level
from remediation.readiness.request import DEFAULT_TIMEOUT_SECONDS, CheckRequest

_MAX_REGISTRY = 512
_MAX_TIMEOUT_SECONDS = 3600


def _registry(value: str) -> None:
    try:
        check_registry(value)
    except InvalidCredential as error:
        raise ValidationError(str(error)) from error
    if "://" in value:
        raise ValidationError("must be HOST[:PORT][/PATH] as in image names, without a scheme")


class CheckRequestSchema(RemediationRequestSchema):
    """What is to be judged."""

    class Meta(Strict.Meta):
        """Options of marshmallow."""

        fields = (
            "clusters",
            "namespaces",
            "ignore",
            "namespace_selector",
            "registry",
            "credential",
            "secret_name",
            "evidence",
            "timeout_seconds",
        )

    registry = fields.String(
        required=True,
        validate=[validate.Length(max=_MAX_REGISTRY), _registry],
        metadata={
            "description": "`HOST[:PORT][/PATH]` of the registry that is to be flipped, as in image names; with a "
            "path, only the repositories below it.",
            "example": "registry.example.com",
        },
    )
    credential = fields.String(
        validate=RemediationRequestSchema().fields["credential"].validators,
        metadata={
            "description": "Name of the credential that has to be in place. Without it nobody can say which login is "
            "the right one, and the verdict is `unknown` at best."
        },
    )
    evidence = Choice(
        Level,
        metadata={
            "description": "How far the judgement is proved: `L0` by the objects of the cluster; `L1` the registry "
            "accepts the credential; `L2` it gives every repository to it while refusing strangers; `L3` the API "
            "server is asked what it would inject. Left out: the registry is asked as far as it answers; what it "
            "refuses counts, what it cannot show does not.",
            "type": "string",
        },
    )
    timeout_seconds = fields.Integer(
        strict=True,
        load_default=DEFAULT_TIMEOUT_SECONDS,
        validate=validate.Range(1, _MAX_TIMEOUT_SECONDS, error="must be in {min}..{max}"),
        metadata={"description": "Deadline of the whole check."},
    )


EXAMPLES: Mapping[str, Any] = {
    "before the flip": {
        "summary": "Every cluster, before the registry goes private",
        "value": {
            "clusters": ["*"],
            "registry": "registry.example.com",
            "credential": "internal-registry",
        },
    },
}


def to_check(body: Mapping[str, Any]) -> CheckRequest:
    """Return the request of a body that is right."""
    return CheckRequest(
        clusters=tuple(body["clusters"]),
        registries=(body["registry"],),
        credential=body.get("credential"),
        namespaces=tuple(body["namespaces"]),
        ignore=tuple(body.get("ignore", ())),
        namespace_selector=body.get("namespace_selector"),
        secret_name=body["secret_name"],
        evidence=body.get("evidence"),
        timeout_seconds=body["timeout_seconds"],
    )
