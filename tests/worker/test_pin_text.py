"""Changing one cluster entry in a kubeconfig's text: everything else stays as it is, byte for byte."""

import json

import pytest
import yaml

from worker.pin_text import CannotChange, with_authority

BLOCK = """\
# Written by hand.
apiVersion: v1
clusters:
- cluster:
    server: https://a.example.com   # the old one
    insecure-skip-tls-verify: true
  name: a
- name: b
  cluster: {server: "https://b.example.com", insecure-skip-tls-verify: true}
contexts: []
users:
- name: u
  user: {token: "s3cret"}
"""


def entry(text: str, name: str) -> dict[str, object]:
    found = next(iter(yaml.safe_load_all(text)))["clusters"]
    return next(item["cluster"] for item in found if item["name"] == name)


def test_the_line_of_the_setting_is_replaced_and_no_other():
    assert with_authority(BLOCK, "a", "QQ==") == BLOCK.replace(
        "    insecure-skip-tls-verify: true\n", "    certificate-authority-data: QQ==\n"
    )


def test_an_entry_in_one_line_is_changed_within_it():
    assert with_authority(BLOCK, "b", "QQ==") == BLOCK.replace(
        'com", insecure-skip-tls-verify: true}', 'com", certificate-authority-data: QQ==}'
    )


def test_a_server_name_is_added_or_replaced():
    once = with_authority(BLOCK, "a", "QQ==", "kubernetes")

    assert entry(once, "a")["tls-server-name"] == "kubernetes"
    assert "tls-server-name: other" in with_authority(once, "a", "QQ==", "other")
    assert "kubernetes" not in with_authority(once, "a", "QQ==", "other")


@pytest.mark.parametrize("flow", [False, True, "json"])
@pytest.mark.parametrize(
    "before",
    [
        {"server": "https://x"},
        {"certificate-authority": "/ca.pem", "server": "https://x"},
        {"server": "https://x", "certificate-authority-data": "QUFB" * 40},
        {"certificate-authority-data": "Qg==", "server": "https://x", "certificate-authority": "f"},
        {
            "server": "https://x",
            "certificate-authority-data": "Qg==",
            "insecure-skip-tls-verify": True,
        },
        {"insecure-skip-tls-verify": False, "server": "https://x", "proxy-url": "http://p"},
    ],
)
def test_whatever_said_otherwise_goes(before, flow):
    document = {
        "clusters": [{"name": "o", "cluster": dict(before)}, {"name": "x", "cluster": before}],
        "contexts": [],
    }
    text = (
        json.dumps(document, indent=4)
        if flow == "json"
        else yaml.safe_dump(document, default_flow_style=flow, sort_keys=False, width=1000)
    )

    after = with_authority(text, "x", "QQ==")

    kept = {key: before[key] for key in ("server", "proxy-url") if key in before}
    assert entry(after, "x") == kept | {"certificate-authority-data": "QQ=="}
    assert entry(after, "o") == before
    if flow == "json":
        json.loads(after)


def test_other_documents_line_ends_and_characters_stay():
    text = "# \U0001f511 é\r\n" + BLOCK.replace("\n", "\r\n") + "---\r\nother: 1\r\n"

    assert with_authority(text, "a", "QQ==") == text.replace(
        "    insecure-skip-tls-verify: true\r\n", "    certificate-authority-data: QQ==\r\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        BLOCK.replace("cluster: {", "cluster: &one {") + "other: *one\n",
        "clusters:\n- {name: b, cluster: &x {server: s}}\n- {name: c, cluster: *x}\ncontexts: []\n",
        "base: &x {insecure-skip-tls-verify: true}\nclusters:\n- name: b\n  cluster:\n    <<: *x\n    server: s\n",
        "clusters: []\n",
        "clusters: [{name: b, cluster: {}}]\n",
    ],
    ids=["anchor", "alias", "merge", "not there", "empty"],
)
def test_what_cannot_be_changed_without_touching_something_else_is_not_changed(text):
    with pytest.raises(CannotChange, match="certificate-authority-data by hand"):
        with_authority(text, "b", "QQ==")
