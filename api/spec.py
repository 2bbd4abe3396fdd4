"""flask-smorest, fitted: typed decorators, problems in the document, strict parameters."""

import http
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

import flask_smorest  # type: ignore[import-untyped]
from flask import Flask, Request, Response, current_app, request
from marshmallow import RAISE, Schema, ValidationError
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import HTTPException

from api import errors, formats
from api.findings import findings_of
from api.problems import Finding, invalid, pointer
from api.schemas import ProblemSchema

View = TypeVar("View", bound=Callable[..., Any])

_UNAUTHORIZED = http.HTTPStatus.UNAUTHORIZED.value

_REPEATED = "comes more than once; several values are one list with commas, where it takes a list"

DESCRIPTION = """\
Puts a registry pull Secret into every namespace of many Kubernetes clusters, and its name into every ServiceAccount.

Every call needs a bearer token: an API key, or a token of an issuer that the access file knows. What the caller may not
do is 403; what it may not see is not there for it. Times are RFC 3339 in UTC. Errors are `application/problem+json`
(RFC 9457) with everything that is wrong at once. Lists of values in a query are joined by commas and mean any of
them; different parameters all have to hold. Enumerations may grow, and objects may get more members.
"""


class _QueryParser(FlaskParser):
    # A mistyped filter must not silently answer with everything.
    DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": RAISE}  # noqa: RUF012

    def load_querystring(self, req: Request, schema: Schema) -> Any:
        """Refuse what comes twice: a client that repeats a filter means both, and one of them would be passed over."""
        values = super().load_querystring(req, schema)
        repeated = [
            Finding(pointer(name), _REPEATED, "invalid", query=True)
            for name, given in req.args.lists()
            if len(given) > 1 and name not in values.multiple_keys
        ]
        if repeated:
            raise invalid(repeated)
        return values

    def handle_error(self, error: ValidationError, req: Any, schema: Schema, **_: Any) -> NoReturn:
        """Answer with everything that is wrong with the parameters."""
        messages = error.messages_dict.get("query", error.messages)
        raise invalid(findings_of(messages, schema, query=True)) from error


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """The operations of one resource, documented as they are declared."""

    ARGUMENTS_PARSER = _QueryParser()

    def __init__(self, name: str) -> None:
        super().__init__(name, __name__)
        self.before_request(_refuse_unknown_parameters)
        self.before_request(formats.negotiate)

    def operation(
        self,
        method: str,
        rule: str,
        operation_id: str,
        parameters: Sequence[Mapping[str, Any]] = (),
        **document: Any,
    ) -> Callable[[View], View]:
        """Serve `method` on `rule`; `document` goes into the OpenAPI operation.

        Of `parameters` those in the path belong to all operations on it, those in headers to this one.
        """
        path = [parameter for parameter in parameters if parameter["in"] == "path"]
        own = [parameter for parameter in parameters if parameter["in"] != "path"]

        def decorate(view: View) -> View:
            documented = self.doc(operationId=operation_id, **document)(view)
            if own:
                arguments = documented._apidoc.setdefault("arguments", {})
                arguments.setdefault("parameters", []).extend(own)
            self.add_url_rule(rule, view.__name__, documented, methods=[method], parameters=path)
            return view

        return decorate

    def query(self, schema: type[Schema]) -> Callable[[View], View]:
        """Read the parameters, and pass them to the view first."""

        def decorate(view: View) -> View:
            read: View = self.arguments(schema, location="query")(view)
            read.takes_query = True  # type: ignore[attr-defined]
            return read

        return decorate

    def answers(
        self, status: int, schema: type[Schema] | None = None, **document: Any
    ) -> Callable[[View], View]:
        """Document an answer; the view returns it ready-made."""
        return self.alt_response(status, schema=schema, success=True, **document)  # type: ignore[no-any-return]

    def problems(self, *statuses: int) -> Callable[[View], View]:
        """Document the problems that an operation may answer with."""

        # Where a token is needed, calls without a valid one are limited.
        limited = {http.HTTPStatus.TOO_MANY_REQUESTS.value} if _UNAUTHORIZED in statuses else set()

        def decorate(view: View) -> View:
            for status in sorted({*statuses, *limited}):
                view = self.alt_response(status, response=http.HTTPStatus(status).name)(view)
            return view

        return decorate


def _refuse_unknown_parameters() -> None:
    """Refuse parameters of operations that take none; the others look at theirs when they read them."""
    view = current_app.view_functions[request.endpoint or ""]
    if request.args and not getattr(view, "takes_query", False):
        raise invalid(
            [
                Finding(
                    pointer(name), f"there is no parameter '{name}'", "unknown_field", query=True
                )
                for name in request.args
            ]
        )


class Group(flask_smorest.Blueprint):  # type: ignore[misc]
    """Resources that belong together, under one tag of the reference."""

    def __init__(self, tag: str, description: str, *resources: Blueprint) -> None:
        super().__init__(tag, __name__, url_prefix="/api/v1", description=description)
        for resource in resources:
            self.register_blueprint(resource)


class Api(flask_smorest.Api):  # type: ignore[misc]
    """The OpenAPI document; every operation may answer with a problem."""

    ERROR_SCHEMA = ProblemSchema

    def __init__(self, app: Flask, server_url: str) -> None:
        app.config.update(API_TITLE="Remediator", API_VERSION="v1", OPENAPI_VERSION="3.1.0")
        options: Mapping[str, Any] = {
            "info": {"description": DESCRIPTION},
            "servers": [{"url": server_url}],
            "security": [{"bearer": []}],
        }
        super().__init__(app, spec_kwargs=dict(options))
        self.spec.components.security_scheme(
            "bearer",
            {
                "type": "http",
                "scheme": "bearer",
                "description": "An API key (rmd_…), a token of an OpenID Connect issuer, or one of a Kubernetes "
                "ServiceAccount.",
            },
        )

    def handle_http_exception(self, error: HTTPException) -> Response:
        """Answer with a problem."""
        return errors.http_answer(error)

    def _register_responses(self) -> None:
        content = {errors.CONTENT_TYPE: {"schema": self.ERROR_SCHEMA}}
        for status in http.HTTPStatus:
            if status >= http.HTTPStatus.BAD_REQUEST:
                self.spec.components.response(
                    status.name, {"description": status.phrase, "content": content}, lazy=True
                )
        self.spec.components.response(
            self.DEFAULT_ERROR_RESPONSE_NAME,
            {"description": "Any other problem", "content": content},
            lazy=True,
        )
