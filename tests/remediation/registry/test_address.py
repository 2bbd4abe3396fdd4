"""Which addresses are spoken to."""

import pytest

from remediation.registry.address import is_address, is_loopback_host, is_number, refused_address


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "::ffff:169.254.169.254",
        "64:ff9b::169.254.169.254",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "ff02::1",
    ],
)
@pytest.mark.parametrize("loopback", [True, False])
def test_addresses_for_machines_only_are_refused(address: str, loopback: bool) -> None:
    assert refused_address(address, loopback=loopback)


@pytest.mark.parametrize("address", ["10.0.0.1", "192.168.1.1", "fd12::1", "93.184.216.34"])
def test_private_and_public_ones_are_not(address: str) -> None:
    assert refused_address(address, loopback=False) is None


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_this_machine_is_for_registries_on_it(address: str) -> None:
    assert refused_address(address, loopback=True) is None
    assert refused_address(address, loopback=False)


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("registry.localhost", True),
        ("127.0.0.1", True),
        ("[::1]", True),
        ("localhost.example.com", False),
        ("registry.example.com", False),
        ("10.0.0.1", False),
    ],
)
def test_a_registry_on_this_machine_is_known_by_its_name(host: str, here: bool) -> None:
    assert is_loopback_host(host) is here


@pytest.mark.parametrize(
    ("host", "number"),
    [
        ("127.1", True),
        ("2130706433", True),
        ("0177.0.0.1", True),
        ("10.0.0.1.", False),
        ("10.0.0.1", False),
        ("1.example.com", False),
        ("0x7f000001", False),  # a resolver says where that leads
    ],
)
def test_numbers_that_are_no_addresses_are_known(host: str, number: bool) -> None:
    assert is_number(host) is number


def test_addresses_and_names_are_told_apart() -> None:
    assert is_address("127.0.0.1")
    assert is_address("fe80::1%eth0")
    assert not is_address("registry.example.com")
