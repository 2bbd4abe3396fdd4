"""Kubeconfigs: what is served, and for everything else a sentence that holds no value of the file."""

import base64
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml

from worker.kubeconfigs import Contexts, Kubeconfigs, load

TOKEN = "tok-5f0e1d"
SECRETS = (TOKEN, "hunter2", "refresh-me")


def a_ca() -> str:
    """Return some real CA of this machine in base64."""
    der = ssl.create_default_context().get_ca_certs(binary_form=True)[0]
    return base64.b64encode(ssl.DER_cert_to_PEM_cert(der).encode()).decode()


def a_kubeconfig(
    name: str = "prod", cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return a kubeconfig with one context; `cluster` and `user` are laid over good entries."""
    good_user = {"token": TOKEN} if user is None else user
    return {
        "clusters": [
            {"name": "c", "cluster": {"server": "https://10.0.0.1:6443"} | (cluster or {})}
        ],
        "users": [{"name": "u", "user": good_user}],
        "contexts": [{"name": name, "context": {"cluster": "c", "user": "u"}}],
    }


def loaded(tmp_path: Path, document: object, patterns: tuple[str, ...] = ("*",)) -> Contexts:
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(document))
    return load((file,), patterns, ("*",))


def test_serves_a_good_context(tmp_path):
    contexts = loaded(tmp_path, a_kubeconfig())

    assert contexts.usable["prod"].server == "https://10.0.0.1:6443"
    assert contexts.usable["prod"].user == {"token": TOKEN}
    assert not contexts.broken
    assert not contexts.problems


def test_strips_the_line_break_that_pasted_tokens_end_with(tmp_path):
    contexts = loaded(tmp_path, a_kubeconfig(user={"token": f"{TOKEN}\n"}))

    assert contexts.usable["prod"].user["token"] == TOKEN


def test_the_token_file_wins_over_the_token_as_in_kubectl(tmp_path):
    (tmp_path / "token").write_text("from-file\n")

    contexts = loaded(tmp_path, a_kubeconfig(user={"token": TOKEN, "tokenFile": "token"}))

    assert contexts.usable["prod"].user == {"tokenFile": str(tmp_path / "token")}


def test_an_exec_plugin_with_a_slash_is_relative_to_its_file(tmp_path):
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "./bin/login"}

    contexts = loaded(tmp_path, a_kubeconfig(user={"exec": plugin}))

    assert contexts.usable["prod"].user["exec"]["command"] == str(tmp_path / "bin/login")


def test_a_certificate_authority_is_read_as_pem(tmp_path):
    contexts = loaded(tmp_path, a_kubeconfig(cluster={"certificate-authority-data": a_ca()}))

    assert "prod" in contexts.usable


BAD_USERS = {
    "no credential": ({}, "no credential"),
    "empty token": ({"token": " "}, "token is empty"),
    "token with control characters": ({"token": "a\x00b"}, "token"),
    "impersonation": ({"token": TOKEN, "as": "admin"}, "impersonation"),
    "impersonated groups": ({"token": TOKEN, "as-groups": ["x"]}, "impersonation"),
    "auth-provider": (
        {"auth-provider": {"name": "oidc", "config": {"refresh-token": "refresh-me"}}},
        "auth-provider",
    ),
    "basic": ({"username": "admin", "password": "hunter2"}, "user name and password"),
    "token file missing": ({"tokenFile": "nowhere"}, "tokenFile cannot be read"),
    "impossible token file": ({"tokenFile": "a\0b"}, "tokenFile cannot be read"),
    "certificate without key": ({"client-certificate-data": a_ca()}, "needs its client key"),
    "key without certificate": ({"client-key-data": a_ca()}, "needs its client key"),
    "certificate not base64": ({"client-certificate-data": "%%%"}, "not base64"),
    "exec without command": ({"exec": {}}, "names no command"),
    "exec with token": ({"exec": {"command": "x"}, "token": TOKEN}, "ambiguous"),
    "exec with cluster info": (
        {"exec": {"command": "x", "provideClusterInfo": True}},
        "provideClusterInfo",
    ),
    "interactive exec": (
        {"exec": {"command": "x", "interactiveMode": "Always"}},
        "interactiveMode",
    ),
}


@pytest.mark.parametrize(("user", "why"), BAD_USERS.values(), ids=BAD_USERS)
def test_refuses_a_user_that_the_client_would_misread(tmp_path, user, why):
    contexts = loaded(tmp_path, a_kubeconfig(user=user))

    assert not contexts.usable
    assert why in contexts.broken["prod"]
    assert not any(secret in contexts.broken["prod"] for secret in SECRETS)


BAD_CLUSTERS = {
    "plain http": ({"server": "http://10.0.0.1"}, "https://"),
    "no host": ({"server": "https://"}, "https://"),
    "password in the URL": ({"server": "https://u:hunter2@10.0.0.1"}, "without user name"),
    "query in the URL": ({"server": "https://10.0.0.1?a=b"}, "without user name"),
    "impossible path": ({"certificate-authority": "a\0b"}, "none that a file can have"),
    "insecure": ({"insecure-skip-tls-verify": True}, "refused"),
    "insecure as text": ({"insecure-skip-tls-verify": "false"}, "without quotes"),
    "socks proxy": ({"proxy-url": "socks5://x"}, "proxy-url"),
    "CA not base64": ({"certificate-authority-data": "%%%"}, "not base64"),
    "CA not PEM": ({"certificate-authority-data": "aGVsbG8="}, "not a PEM certificate"),
    "CA file missing": ({"certificate-authority": "nowhere.pem"}, "cannot be read"),
}


@pytest.mark.parametrize(("cluster", "why"), BAD_CLUSTERS.values(), ids=BAD_CLUSTERS)
def test_refuses_a_cluster_that_the_client_would_misread(tmp_path, cluster, why):
    contexts = loaded(tmp_path, a_kubeconfig(cluster=cluster))

    assert not contexts.usable
    assert why in contexts.broken["prod"]


def test_one_bad_context_leaves_the_good_ones(tmp_path):
    document = a_kubeconfig()
    document["contexts"].append({"name": "orphan", "context": {"cluster": "gone", "user": "u"}})
    document["contexts"].append({"name": "empty"})

    contexts = loaded(tmp_path, document)

    assert list(contexts.usable) == ["prod"]
    assert contexts.broken == {
        "orphan": "its cluster 'gone' is defined nowhere",
        "empty": "the context names no cluster",
    }


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("a: [", "is not YAML (line"),
        (f"token: {TOKEN}\n\t- x", "is not YAML"),
        ("just text", "is not a kubeconfig"),
        ("{}", "is not a kubeconfig"),
        ("", "is not a kubeconfig"),
    ],
)
def test_a_file_that_is_no_kubeconfig_is_a_problem_without_its_content(tmp_path, content, why):
    file = tmp_path / "config"
    file.write_text(content)

    contexts = load((file,), ("*",))

    assert not contexts.usable
    assert why in contexts.problems[0]
    assert TOKEN not in contexts.problems[0]


def test_a_missing_file_is_a_problem_beside_the_good_ones(tmp_path):
    good = tmp_path / "good"
    good.write_text(yaml.safe_dump(a_kubeconfig()))

    contexts = load((tmp_path / "missing", good), ("*",))

    assert list(contexts.usable) == ["prod"]
    assert contexts.problems == (f"{tmp_path / 'missing'}: no such file",)


def test_a_folder_means_its_files_but_not_the_hidden_ones(tmp_path):
    (tmp_path / "a").write_text(yaml.safe_dump(a_kubeconfig("a")))
    (tmp_path / "b").write_text(yaml.safe_dump(a_kubeconfig("b")))
    (tmp_path / "..data").mkdir()
    (tmp_path / ".hidden").write_text(yaml.safe_dump(a_kubeconfig("hidden")))

    contexts = load((tmp_path,), ("*",))

    assert list(contexts.usable) == ["a", "b"]


def test_names_used_in_two_files_keep_their_own_meaning(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).write_text(
            yaml.safe_dump(a_kubeconfig(name, user={"token": f"of-{name}"}))
        )

    contexts = load((tmp_path,), ("*",))

    assert contexts.usable["one"].user == {"token": "of-one"}
    assert contexts.usable["two"].user == {"token": "of-two"}


def test_a_hidden_context_of_the_same_name_is_said(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).write_text(yaml.safe_dump(a_kubeconfig("same")))

    contexts = load((tmp_path,), ("*",))

    assert list(contexts.usable) == ["same"]
    assert contexts.problems == (f"{tmp_path / 'two'}: context 'same' is hidden by an earlier one",)


def test_only_contexts_that_match_are_served(tmp_path):
    document = a_kubeconfig("prod-1")
    document["contexts"].append({"name": "dev", "context": {"cluster": "c", "user": "u"}})

    assert list(loaded(tmp_path, document, ("prod-*",)).usable) == ["prod-1"]


def test_a_changed_file_is_read_again(tmp_path):
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(a_kubeconfig("before")))
    kubeconfigs = Kubeconfigs((file,), ("*",), "in-cluster")
    assert list(kubeconfigs.current().usable) == ["before"]
    assert kubeconfigs.current() is kubeconfigs.current()

    file.write_text(yaml.safe_dump(a_kubeconfig("after!")))

    assert list(kubeconfigs.current().usable) == ["after!"]


def test_no_value_of_a_context_is_in_its_repr(tmp_path):
    contexts = loaded(tmp_path, a_kubeconfig())

    assert TOKEN not in repr(contexts)


def test_without_files_the_pods_own_cluster_is_served():
    contexts = Kubeconfigs((), ("*",), "home").current()

    assert contexts.usable["home"].in_cluster


@pytest.mark.parametrize(
    ("command", "allowed", "served"),
    [
        ("aws", (), False),
        ("aws", ("aws",), True),
        ("aws", ("gke-*", "aws"), True),
        ("gke-gcloud-auth-plugin", ("gke-*",), True),
        ("./aws", ("aws",), False),  # a file beside the kubeconfig is another program
        ("/tmp/aws", ("aws",), False),
        ("/usr/bin/aws", ("/usr/bin/*",), True),
        ("aws2", ("aws",), False),
        ("anything", ("*",), True),
    ],
)
def test_exec_runs_only_what_the_operator_allows(tmp_path, command, allowed, served):
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(a_kubeconfig(user={"exec": {"command": command}})))

    contexts = load((file,), ("*",), allowed)

    assert ("prod" in contexts.usable) is served
    if not served:
        assert "REMEDIATOR_EXEC_PLUGINS" in contexts.broken["prod"]
