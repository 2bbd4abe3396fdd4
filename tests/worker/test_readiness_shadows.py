"""Which registry's images are asked for at a credential's own shadow."""

from dataclasses import replace

import pytest

from remediation.credential import Credential, credential_from_docker_config
from remediation.docker_config import Login
from tests.remediation.readiness.cluster import content
from worker.readiness.registry import shadows_of

SHADOW = "https://shadow.example.com:5001"


def credential(*keys: str) -> Credential:
    """Return a credential for these registry keys, with a shadow."""
    entries = [(key, Login("robot", "right")) for key in keys]
    return replace(credential_from_docker_config("reg", content(*entries)), shadow=SHADOW)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (("r.example.com",), {"r.example.com": SHADOW}),
        (("r.example.com/a", "https://r.example.com/v2/"), {"r.example.com": SHADOW}),
        (("https://index.docker.io/v1/", "docker.io"), {"docker.io": SHADOW}),
        (("r.example.com", "other.example.com"), {}),
    ],
)
def test_a_shadow_is_of_one_registry(keys: tuple[str, ...], expected: dict[str, str]) -> None:
    assert shadows_of(credential(*keys)) == expected
    assert shadows_of(replace(credential(*keys), shadow=None)) == {}
    assert shadows_of(None) == {}
