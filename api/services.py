"""What views work with, wired in `create_app`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from flask import Flask, current_app

from api.settings import Settings
from store.audit import Audit
from store.store import Store

if TYPE_CHECKING:
    from api.access_reload import Access
    from api.failures import Failures
    from api.publication import Publication
    from api.strangers import Strangers
    from api.waiting import Waits

_NAME = "remediator"


@dataclass(frozen=True, slots=True)
class Services:
    """One application's settings, store, callers, waits, and what it tells the workers.

    `strangers` and `failures` bound what calls without a valid token cost.
    """

    settings: Settings
    store: Store
    access: "Access"
    waits: "Waits"
    publication: "Publication"
    strangers: "Strangers"
    failures: "Failures"

    @property
    def audit(self) -> Audit:
        """The audit trail."""
        return self.store.audit


def provide(app: Flask, provided: Services) -> None:
    """Give the views of an application their services."""
    app.extensions[_NAME] = provided


def services_of(app: Flask) -> Services:
    """Return the services of an application."""
    return cast(Services, app.extensions[_NAME])


def services() -> Services:
    """Return the services of the application that answers the present request."""
    return services_of(current_app)
