import pytest

from remediation.registry_host import dialled, split_dialled


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("registry.example.com", "registry.example.com"),
        ("Registry.Example.COM", "registry.example.com"),
        ("registry.example.com:443", "registry.example.com"),
        ("registry.example.com:0443", "registry.example.com"),
        ("registry.example.com:00005000", "registry.example.com:5000"),
        ("registry.example.com:80", "registry.example.com:80"),
        ("registry.example.com.", "registry.example.com"),
        ("registry.example.com.:0443", "registry.example.com"),
        ("index.docker.io", "docker.io"),
        ("registry-1.docker.io:443", "docker.io"),
        ("docker.io:80", "docker.io:80"),
        ("[::1]:5000", "[::1]:5000"),
        ("[0:0:0:0:0:0:0:1]:05000", "[::1]:5000"),
        ("[2001:DB8::1]", "[2001:db8::1]"),
        ("[::ffff:10.0.0.1]:5000", "10.0.0.1:5000"),
        ("[::ffff:a00:1]", "10.0.0.1"),
        ("[nonsense]", "[nonsense]"),
        ("10.0.0.1:5000", "10.0.0.1:5000"),
        ("127.1:5000", "127.0.0.1:5000"),
        ("0x7f.0.0.1", "127.0.0.1"),
        ("010.0.0.1", "8.0.0.1"),
        ("256.0.0.1", "256.0.0.1"),
        ("089.0.0.1", "089.0.0.1"),
        ("régistry.example.com", "xn--rgistry-bya.example.com"),
        ("localhost", "localhost"),
        ("r.io:x", "r.io:x"),
        ("r.io:" + "4" * 30, "r.io:" + "4" * 30),
        ("", ""),
    ],
)
def test_hosts_have_one_spelling(text: str, expected: str) -> None:
    assert dialled(text) == expected
    assert dialled(expected) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("r.io", ("r.io", 443)),
        ("r.io:5000", ("r.io", 5000)),
        ("[::1]", ("[::1]", 443)),
        ("[::1]:5000", ("[::1]", 5000)),
    ],
)
def test_host_and_port_are_told_apart(text: str, expected: tuple[str, int]) -> None:
    assert split_dialled(text) == expected
