"""`python -m api.openapi` prints the OpenAPI document; it needs no Redis."""

import sys

from api.app import create_app
from api.docs import document, to_yaml
from api.settings import Settings, open_store


def openapi_yaml() -> str:
    """Return the document for a service without a public address."""
    settings = Settings()
    with create_app(settings, open_store(settings)).app_context():
        return to_yaml(document())


if __name__ == "__main__":
    sys.stdout.write(openapi_yaml())
