"""Kubeconfigs: what is served, and for everything else a sentence that holds no value of the file."""

import base64
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml

from worker.kubeconfigs import Contexts, Kubeconfigs, load

TOKEN = "tok-5f0e1d"
EXEC = {
    "apiVersion": "client.authentication.k8s.io/v1",
    "command": "sh",
    "interactiveMode": "Never",
}
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


def a_program(path: Path) -> Path:
    """Make a file that can be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


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
    a_program(tmp_path / "bin" / "login")
    plugin = EXEC | {"command": "./bin/login"}

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
    "token of no text": ({"token": 83}, "token must be text: put it in quotes"),
    "token file missing": ({"tokenFile": "nowhere"}, "tokenFile cannot be read"),
    "impossible token file": ({"tokenFile": "a\0b"}, "tokenFile cannot be read"),
    "certificate without key": ({"client-certificate-data": a_ca()}, "needs its client key"),
    "key without certificate": ({"client-key-data": a_ca()}, "needs its client key"),
    "certificate not base64": ({"client-certificate-data": "%%%"}, "not base64"),
    "exec without command": ({"exec": {}}, "names no command"),
    "exec with token": ({"exec": {"command": "x"}, "token": TOKEN}, "ambiguous"),
    "exec without version": ({"exec": {"command": "sh"}}, "the apiVersion of exec must be"),
    "exec of an old version": (
        {"exec": EXEC | {"apiVersion": "client.authentication.k8s.io/v1alpha1"}},
        "the apiVersion of exec must be",
    ),
    "exec v1 without mode": ({"exec": EXEC | {"interactiveMode": ""}}, "Never or IfAvailable"),
    "exec that is not installed": (
        {"exec": EXEC | {"command": "no-such-plugin"}},
        "exec plugin 'no-such-plugin' is not on the worker's PATH",
    ),
    "exec that is not where it should be": (
        {"exec": EXEC | {"command": "./no-such-plugin"}},
        "exec plugin 'no-such-plugin' is not where the kubeconfig says",
    ),
    "exec with env of no kind": ({"exec": EXEC | {"env": ["hunter2"]}}, "env of exec"),
    "auth-provider without anything": ({"token": TOKEN, "auth-provider": {}}, "auth-provider"),
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


def test_an_insecure_context_is_served_only_where_the_operator_allows_it_by_name(tmp_path):
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(a_kubeconfig(cluster={"insecure-skip-tls-verify": True})))

    allowed = load((file,), ("*",), (), ("lab-*", "pro?"))
    refused = load((file,), ("*",), (), ("lab-*",))

    assert allowed.usable["prod"].insecure
    assert "remediator kubeconfig pin CONTEXT" in refused.broken["prod"]
    assert "REMEDIATOR_INSECURE_CONTEXTS" in refused.broken["prod"]


def test_an_allowed_context_may_not_be_insecure_and_have_a_ca_as_in_kubectl(tmp_path):
    file = tmp_path / "config"
    both = {"insecure-skip-tls-verify": True, "certificate-authority-data": a_ca()}
    file.write_text(yaml.safe_dump(a_kubeconfig(cluster=both)))

    contexts = load((file,), ("*",), (), ("*",))

    assert "together with a certificate authority" in contexts.broken["prod"]


BAD_CLUSTERS = {
    "plain http": ({"server": "http://10.0.0.1"}, "https://"),
    "no host": ({"server": "https://"}, "https://"),
    "password in the URL": ({"server": "https://u:hunter2@10.0.0.1"}, "without user name"),
    "query in the URL": ({"server": "https://10.0.0.1?a=b"}, "without user name"),
    "impossible path": ({"certificate-authority": "a\0b"}, "none that a file can have"),
    "insecure": ({"insecure-skip-tls-verify": True}, "refused"),
    "insecure as text": ({"insecure-skip-tls-verify": "false"}, "without quotes"),
    "socks proxy": ({"proxy-url": "socks5://x"}, "SOCKS"),
    "proxy of no kind": ({"proxy-url": "proxy:3128"}, "proxy-url must be http:// or https://"),
    "proxy password as it is": ({"proxy-url": "http://u:hunter2#@x:1"}, "percent-encoded"),
    "proxy password with an at": ({"proxy-url": "http://u:hunter2@2@x:1"}, "percent-encoded"),
    "no URL": ({"server": "10.0.0.1:6443"}, "no URL: write https://HOST:PORT"),
    "no server": ({"server": ""}, "names no server: write https://HOST:PORT"),
    "no port": ({"server": "https://10.0.0.1:65536"}, "write https://HOST:PORT"),
    "port zero": ({"server": "https://10.0.0.1:0"}, "write https://HOST:PORT"),
    "blank in the URL": ({"server": "https://10.0.0.1 :6443"}, "write https://HOST:PORT"),
    "server of no text": ({"server": 10}, "server must be text: put it in quotes"),
    "server name with a scheme": ({"tls-server-name": "https://x"}, "tls-server-name must be"),
    "server name with a dot before": ({"tls-server-name": ".x"}, "tls-server-name must be"),
    "CA twice": (
        {"certificate-authority": "x", "certificate-authority-data": "eA=="},
        "certificate-authority and certificate-authority-data are both there: keep one",
    ),
    "CA twice in base64": (
        {"certificate-authority-data": base64.b64encode(a_ca().encode()).decode()},
        "base64 twice over",
    ),
    "CA in DER": ({"certificate-authority-data": "MIIBCg=="}, "it is DER"),
    "CA without padding": ({"certificate-authority-data": "aGVsbG8"}, "not base64"),
    "CA with something behind": ({"certificate-authority-data": "aGVsbG8=eA=="}, "not base64"),
    "CA not base64": ({"certificate-authority-data": "%%%"}, "not base64"),
    "CA not PEM": ({"certificate-authority-data": "aGVsbG8="}, "not a PEM certificate"),
    "CA file missing": ({"certificate-authority": "nowhere.pem"}, "cannot be read"),
}


@pytest.mark.parametrize(("cluster", "why"), BAD_CLUSTERS.values(), ids=BAD_CLUSTERS)
def test_refuses_a_cluster_that_the_client_would_misread(tmp_path, cluster, why):
    contexts = loaded(tmp_path, a_kubeconfig(cluster=cluster))

    assert not contexts.usable
    assert why in contexts.broken["prod"]
    assert not any(secret in contexts.broken["prod"] for secret in SECRETS)


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


def same_names(folder: Path, *files: str, name: str = "default") -> None:
    """Write files of installers, which call everything `default`."""
    for file in files:
        cluster = {"server": f"https://{file[0]}.example.com:6443"}
        (folder / file).write_text(yaml.safe_dump(a_kubeconfig(name, cluster)))


def test_contexts_of_one_name_in_several_files_get_names_of_their_own(tmp_path):
    same_names(tmp_path, "a.yaml", "b.yaml", "c d.yml")

    contexts = load((tmp_path,), ("*",))

    assert {name: it.server for name, it in contexts.usable.items()} == {
        "default": "https://a.example.com:6443",
        "default@b": "https://b.example.com:6443",
        "default@c-d": "https://c.example.com:6443",
    }
    assert "served as 'default@b'" in contexts.problems[0]
    assert str(tmp_path / "a.yaml") in contexts.problems[0]


def test_a_name_that_is_taken_is_not_given_again(tmp_path):
    (tmp_path / "x").mkdir()
    same_names(tmp_path / "x", "b.yaml")
    same_names(tmp_path, "a.yaml", "b.yaml")
    same_names(tmp_path, "c.yaml", name="default@b")
    (tmp_path / "b.yaml").write_text((tmp_path / "b.yaml").read_text().replace("b.ex", "b2.ex"))

    contexts = load((tmp_path, tmp_path / "x"), ("*",))

    assert {name: it.server.split(".")[0][8:] for name, it in contexts.usable.items()} == {
        "default": "a",
        "default@b": "c",
        "default@b-2": "b2",
        "default@b-3": "b",
    }


def test_a_file_that_is_named_twice_or_copied_is_no_second_cluster(tmp_path):
    same_names(tmp_path, "a.yaml")
    (tmp_path / "a.yaml.bak").write_bytes((tmp_path / "a.yaml").read_bytes())
    (tmp_path / "link").symlink_to(tmp_path / "a.yaml")

    contexts = load((tmp_path, tmp_path / "a.yaml"), ("*",))

    assert list(contexts.usable) == ["default"]
    assert [line.partition(": ")[2].split(" in ")[0] for line in contexts.problems] == [
        "context 'default' is the same as"
    ]


@pytest.mark.parametrize("pattern", ["default", "default@*", "*"])
def test_a_context_is_chosen_by_either_of_its_names(tmp_path, pattern):
    same_names(tmp_path, "a.yaml", "b.yaml")

    assert "default@b" in load((tmp_path,), (pattern,)).usable


def test_what_a_file_defines_twice_is_said_and_not_guessed(tmp_path):
    document = a_kubeconfig()
    document["contexts"] *= 2
    document["clusters"].append({"name": "two", "cluster": {"server": "https://10.0.0.2"}})
    document["clusters"] += [{"name": "two", "cluster": {"server": "https://10.0.0.3"}}]
    document["contexts"].append({"name": "other", "context": {"cluster": "two", "user": "u"}})

    contexts = loaded(tmp_path, document)

    assert contexts.broken == {
        "prod": "its file has two contexts of this name: rename one",
        "other": "its cluster 'two' is defined twice in one file: rename one",
    }


def test_a_filter_that_matches_nothing_names_what_there_is(tmp_path):
    contexts = loaded(tmp_path, a_kubeconfig("eu-prod"), ("eu-prdo", "eu-prod", "us-*"))

    assert list(contexts.usable) == ["eu-prod"]
    assert contexts.problems == ("REMEDIATOR_CONTEXTS 'eu-prdo,us-*' matches none of: eu-prod",)


def test_of_several_documents_in_a_file_the_first_counts_as_in_kubectl(tmp_path):
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump_all([a_kubeconfig("first"), a_kubeconfig("second")]))

    assert list(load((file,), ("*",)).usable) == ["first"]


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
        ("/bin/sh", ("/bin/*",), True),
        ("aws2", ("aws",), False),
        ("anything", ("*",), True),
    ],
)
def test_exec_runs_only_what_the_operator_allows(tmp_path, monkeypatch, command, allowed, served):
    if "/" not in command:
        a_program(tmp_path / "bin" / command)
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(a_kubeconfig(user={"exec": EXEC | {"command": command}})))

    contexts = load((file,), ("*",), allowed)

    assert ("prod" in contexts.usable) is served
    if not served:
        assert "REMEDIATOR_EXEC_PLUGINS" in contexts.broken["prod"]
