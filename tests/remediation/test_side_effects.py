"""Logins that a write loses, logins that no pod uses, Secrets of Helm."""

from dataclasses import replace

import pytest

from remediation.caution import CautionCode
from remediation.credential import credential_from_docker_config
from remediation.docker_config import Login
from remediation.plan import plan_namespace
from remediation.request import OnConflict
from remediation.side_effects import warn_of_dead_keys
from tests.remediation.values import (
    LOGIN,
    REGISTRY,
    a_credential,
    a_request,
    a_secret,
    a_state,
    a_task,
    an_account,
    auth_of,
    config_of,
    document,
)

OTHER = Login("team", "theirs")
BOTH = config_of(registry_example_com=OTHER, quay_io=OTHER)
RIGHT = config_of(registry_example_com=LOGIN)


def codes(secret, on_conflict=OnConflict.FAIL) -> list[tuple[CautionCode, str]]:
    task = a_task(a_request(on_conflict=on_conflict))
    plan = plan_namespace(task, a_state(an_account("default"), secret=secret))
    assert plan
    assert plan.settled is None
    return [(each.code, each.detail) for each in plan.cautions]


@pytest.mark.parametrize(
    ("content", "ours", "on_conflict", "lost"),
    [
        (
            BOTH,
            False,
            OnConflict.REPLACE,
            "'replaced' writes over the login for registry.example.com, quay.io:",
        ),
        (BOTH, False, OnConflict.MERGE, "'merged' writes over the login for registry.example.com:"),
        (BOTH, True, OnConflict.FAIL, "'updated' writes over the login for quay.io:"),
        (config_of(quay_io=OTHER), False, OnConflict.MERGE, ""),
        (config_of(registry_example_com=OTHER), True, OnConflict.FAIL, ""),
        (RIGHT, False, OnConflict.REPLACE, ""),
        (b"{", False, OnConflict.REPLACE, "content that the kubelet cannot read"),
    ],
)
def test_a_login_that_is_kept_nowhere_is_named(content, ours, on_conflict, lost):
    found = codes(a_secret(content, ours=ours), on_conflict)

    assert [code for code, _ in found] == ([CautionCode.LOGIN_LOST] if lost else [])
    assert all(lost in detail for _, detail in found)


@pytest.mark.parametrize("on_conflict", [OnConflict.REPLACE, OnConflict.MERGE])
@pytest.mark.parametrize("content", [RIGHT, config_of(quay_io=OTHER)])
def test_a_secret_of_helm_is_named_whatever_is_done_to_it(content, on_conflict):
    secret = replace(a_secret(content), keeper="Helm release shop")

    assert CautionCode.HELM_OWNED in [code for code, _ in codes(secret, on_conflict)]


@pytest.mark.parametrize(
    ("key", "dead"),
    [
        (REGISTRY, False),
        (f"{REGISTRY}:443", False),
        (f"https://{REGISTRY}/v2/", False),
        (f"{REGISTRY}/team/app", False),
        ("https://index.docker.io/v1/", False),
        ("docker.io/team", False),
        ("registry-1.docker.io", True),
        ("https://registry-1.docker.io/v2/", True),
        ("index.docker.io/team", True),
        (f"{REGISTRY}/Team", True),
        (f"{REGISTRY}/team/app:1", True),
    ],
)
def test_a_key_that_no_image_matches_is_named(key, dead):
    auths = {key: {"auth": auth_of("robot", "made-up")}}
    credential = credential_from_docker_config("reg", document(auths))

    found = list(warn_of_dead_keys("secrets/a/docker", credential.config))

    assert [each.by for each in found] == ([key] if dead else [])
    assert "made-up" not in str(found)


def test_an_update_of_our_password_warns_of_nothing():
    stale = a_credential("an-older-one").content

    assert codes(a_secret(stale, ours=True)) == []
