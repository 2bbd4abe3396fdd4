"""The file of declared facts, read for each check: what it says counts from the next one on."""

from pathlib import Path
from typing import Any

import yaml

from remediation.readiness.facts import Facts
from remediation.readiness.facts_file import FactsError, parse_facts

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_facts(path: Path | None) -> Facts:
    """Return the facts; none where no file is named. Raises FactsError."""
    if path is None:
        return Facts()
    try:
        document = yaml.load(path.read_bytes(), _LOADER)  # noqa: S506 -- both are safe loaders
    except OSError as error:
        raise FactsError([f"cannot be read ({error.strerror})"]) from None
    except (yaml.YAMLError, ValueError):
        raise FactsError(["is not YAML"]) from None
    return parse_facts(document)
