"""The representations that a resource can be asked for, by parameter or by the header Accept."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

from flask import Response, after_this_request, current_app, g, request
from werkzeug.datastructures import MIMEAccept

from api.problems import Problem

View = TypeVar("View", bound=Callable[..., Any])


class Format(StrEnum):
    """A representation by its short name."""

    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"
    TABLE = "table"

    @property
    def media_type(self) -> str:
        """The name in Accept and Content-Type."""
        return _MEDIA_TYPES[self]


_MEDIA_TYPES = {
    Format.JSON: "application/json",
    Format.NDJSON: "application/x-ndjson",
    Format.CSV: "text/csv",
    Format.TABLE: "text/plain",
}


def offers(*formats: Format) -> Callable[[View], View]:
    """Declare the formats of a view, the default first; a view without this has JSON only."""

    def decorate(view: View) -> View:
        view.formats = formats  # type: ignore[attr-defined]
        return view

    return decorate


def wanted() -> Format:
    """Return the format that the present request is to be answered in."""
    return Format(g.format)


def negotiate() -> None:
    """Choose the format of the answer before the view runs. Raises Problem if there is none that suits."""
    if request.method == "OPTIONS":
        return
    view = current_app.view_functions[request.endpoint or ""]
    offered: tuple[Format, ...] = getattr(view, "formats", (Format.JSON,))
    asked = request.args.get("format") if len(offered) > 1 else None
    found = _by_accept(offered) if asked is None else _by_name(offered, asked)
    if found is None:
        raise Problem("not-acceptable", f"There is {_list(offered)} here.")
    g.format = found
    if len(offered) > 1:
        after_this_request(_vary)


def _vary(response: Response) -> Response:
    """Tell caches that the answer depends on Accept."""
    response.vary.add("Accept")
    return response


def _by_name(offered: tuple[Format, ...], name: str) -> Format | None:
    return next((known for known in offered if known == name), None)


def _by_accept(offered: tuple[Format, ...]) -> Format | None:
    # Without parameters such as charset: all that we send is UTF-8.
    accepted = MIMEAccept(
        [(kind.partition(";")[0].strip(), quality) for kind, quality in request.accept_mimetypes]
    )
    if not accepted:
        return offered[0]
    best = accepted.best_match([known.media_type for known in offered])
    return next((known for known in offered if known.media_type == best), None)


def _list(offered: tuple[Format, ...]) -> str:
    return ", ".join(f"{known} ({known.media_type})" for known in offered)
