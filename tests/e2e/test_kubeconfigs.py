"""What a kubeconfig may say, against a real API server: who gets in, who is refused, and what is left behind."""

import asyncio
import base64
import json
import math
import os
import ssl
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from kubernetes.aio.config import incluster_config

from controlplane.cluster import Cluster
from remediation.request import RemediationRequest
from tests.e2e.fleet import Space, grant_least_privilege
from tests.e2e.service import ended
from tests.network.pki import Issued
from tests.worker.kubeconfig_fronts import PROXY_PASSWORD, PROXY_USER, Fronts
from worker import exec_plugin
from worker.faults import Call, Fault
from worker.kubeconfig_rules import Unusable
from worker.kubeconfigs import Context, load
from worker.observe import observe
from worker.pace import Stopped
from worker.session import MERGE_PATCH, Session, open_session
from worker.vigil import Vigil

# Lays aside the file that a context otherwise has.
DATA = {"certificate-authority": None}
VERSION = "client.authentication.k8s.io/v1"
REQUEST = RemediationRequest(clusters=("*",), credential="harbor")


@pytest.fixture(scope="module")
def cluster(clusters: tuple[Cluster, ...]) -> Cluster:
    return clusters[0]


@pytest.fixture(scope="module")
def token(cluster: Cluster) -> str:
    return grant_least_privilege(cluster)


@pytest.fixture(autouse=True)
def _no_files_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Have temporary files where they can be counted: none may stay."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield
    assert list(folder.iterdir()) == []


def a_context(tmp_path: Path, cluster: Cluster, user: dict[str, Any], **more: Any) -> Context:
    """Return the context as the worker judges it."""
    place = {"server": cluster.server, "certificate-authority": str(cluster.ca_file)} | more
    document = {
        "clusters": [{"name": "c", "cluster": place}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "it", "context": {"cluster": "c", "user": "u"}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(document))
    contexts = load((path,), ("*",), ("*",))
    assert not contexts.broken
    return contexts.usable["it"]


def a_plugin(tmp_path: Path, script: str) -> dict[str, Any]:
    """Return the exec entry of a plugin that runs `script`; its relative path is that of the kubeconfig."""
    (tmp_path / "plugin").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "plugin").chmod(0o755)
    return {"apiVersion": VERSION, "command": "./plugin", "interactiveMode": "Never"}


def answers(version: str = VERSION, **status: Any) -> str:
    """Return the shell command that prints a credential."""
    body = {"apiVersion": version, "kind": "ExecCredential", "status": status}
    return f"printf %s '{json.dumps(body)}'"


def used(context: Context, use: Callable[[Session], Awaitable[Any]] | None = None) -> Any:
    """Open a session and use it, by default to observe."""

    async def main() -> Any:
        async with asyncio.timeout(60), open_session(context, "test", 4) as session:
            return await (use(session) if use else observe(session, REQUEST))

    return asyncio.run(main())


def test_a_relative_ca_file_and_a_token_file_with_a_line_break(
    tmp_path: Path, cluster: Cluster, token: str
):
    (tmp_path / "ca.pem").write_bytes(cluster.ca_file.read_bytes())
    (tmp_path / "token").write_text(f"{token}\n")
    context = a_context(
        tmp_path, cluster, {"tokenFile": "token"}, **{"certificate-authority": "ca.pem"}
    )

    assert "default" in used(context).present


def test_no_file_is_left_while_a_session_is_open(tmp_path: Path, cluster: Cluster, token: str):
    """A process that is killed then leaves nothing behind, least of all a private key."""
    inline = base64.b64encode(cluster.ca_file.read_bytes()).decode()
    context = a_context(
        tmp_path, cluster, {"token": token}, **DATA | {"certificate-authority-data": inline}
    )

    async def use(session: Session) -> list[Path]:
        assert (await observe(session, REQUEST)).states
        return list((tmp_path / "temporary").iterdir())

    assert used(context, use) == []


def test_a_token_file_that_is_replaced_is_read_again(tmp_path: Path, cluster: Cluster, token: str):
    (tmp_path / "token").write_text(token)
    context = a_context(tmp_path, cluster, {"tokenFile": "token"})

    async def use(session: Session) -> Any:
        session._connection._config.api_key["BearerToken"] = "Bearer has-run-out"
        return await observe(session, REQUEST)

    assert "default" in used(context, use).present


@pytest.mark.parametrize(("name", "trusted"), [("kubernetes.default.svc", 1), ("x.example.com", 0)])
def test_the_server_name_is_what_the_certificate_is_compared_with(
    tmp_path: Path, cluster: Cluster, token: str, name: str, trusted: int
):
    context = a_context(tmp_path, cluster, {"token": token}, **{"tls-server-name": name})

    if trusted:
        assert used(context).states
    else:
        with pytest.raises(Fault, match="not trusted"):
            used(context, lambda session: session.reach(8))


def test_a_server_with_a_wrong_path_is_no_empty_cluster(
    tmp_path: Path, cluster: Cluster, token: str
):
    server = f"{cluster.server}/k8s"

    with pytest.raises(Fault, match="no Kubernetes API"):
        used(a_context(tmp_path, cluster, {"token": cluster.admin_token}, server=server))
    with pytest.raises(Fault, match=r'may not list .* cannot get path "/k8s/'):
        used(a_context(tmp_path, cluster, {"token": token}, server=server))


def test_an_exec_plugin_is_asked_for_the_token(tmp_path: Path, cluster: Cluster, token: str):
    script = (
        f'test -n "$KUBERNETES_EXEC_INFO" && test "$WHO $1" = \'me 5\' && {answers(token=token)}'
    )
    plugin = a_plugin(tmp_path, script) | {
        "args": [5],
        "env": [{"name": "WHO", "value": "me"}],
    }

    assert used(a_context(tmp_path, cluster, {"exec": plugin})).states


def test_an_exec_plugin_that_says_much_does_not_block(tmp_path: Path, cluster: Cluster, token: str):
    noise = "head -c 2000000 /dev/zero >&2"
    plugin = a_plugin(tmp_path, f"{noise}; {answers(token=token)}")

    assert used(a_context(tmp_path, cluster, {"exec": plugin})).states


SECRETS = ("tok-5f0e1d99c3", "hunter2")
JWT = f"eyJhbGciOiJSUzI1NiJ9.{base64.b64encode(b'{}').decode()}.c2lnbmF0dXJl"
EXPIRED = "Error: token expired, run: company-login --cluster eu"


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (f"echo '{EXPIRED}' >&2; exit 3", f"'{{}}' ended with code 3: {EXPIRED}"),
        (
            "echo one >&2; printf 'two\n\n\033[31mthree\033[0m\nfour\n' >&2; exit 1",
            "code 1: two; three; four$",
        ),
        ("echo bye >&2; kill -TERM $$", "was ended by SIGTERM: bye"),
        ("echo why >&2; echo hunter2", "its output is not JSON: why"),
        ("echo hunter2; echo saw hunter2 >&2; exit 1", r"ended with code 1: saw \[redacted\]"),
        (
            "echo nothing to say >&2",
            "prints nothing where an ExecCredential is expected: nothing to say",
        ),
        ("echo '[]'", "it has another kind"),
        (answers().replace("ExecCredential", "Pod"), "it has another kind"),
        (answers(token=""), "without a token or certificate"),
        (answers(token=None), "without a token or certificate"),
        (answers(token=7), "a token that is not a text"),
        (answers(clientCertificateData="x"), "a certificate without its key"),
        (answers(token="x", clientKeyData="x"), "a certificate without its key"),
        (answers(token="a\nb"), "characters no token has"),
        (
            answers("client.authentication.k8s.io/v1beta1", token="x"),
            r"another apiVersion \(client.authentication.k8s.io/v1beta1\) than the kubeconfig names "
            rf"\({VERSION}\): set apiVersion",
        ),
        (answers("hunter2/v1", token="x"), r"\(an unknown one\) than"),
        (
            "echo 'cannot prompt during non-interactive execution' >&2; exit 1",
            "a worker has no terminal: log in beforehand",
        ),
        ("exec yes hunter2hunter2", "writes more than 1 MiB"),
        (
            f"echo 'login with {JWT} and password: {SECRETS[1]}' >&2; exit 1",
            r"with \[redacted\] and password: \[",
        ),
        (f"{answers(token=SECRETS[0])}; echo 'got {SECRETS[0]}' >&2; exit 1", r"got \[redacted\]"),
        (
            'echo "tried $COMPANY_PASSWORD with $2" >&2; exit 1',
            r"tried \[redacted\] with \[redacted\]",
        ),
    ],
)
def test_a_failing_exec_plugin_is_named_with_its_last_words_and_no_secret(
    tmp_path: Path, cluster: Cluster, script: str, says: str, caplog: pytest.LogCaptureFixture
):
    """It is never a way in as anonymous either."""
    plugin = a_plugin(tmp_path, script) | {
        "args": ["--client-secret", "hunter2"],
        "env": [{"name": "COMPANY_PASSWORD", "value": "hunter2"}],
    }
    context = a_context(tmp_path, cluster, {"exec": plugin})

    with pytest.raises(Unusable, match=says.replace("{}", str(tmp_path / "plugin"))) as refused:
        used(context)

    assert f"its exec plugin '{tmp_path / 'plugin'}' " in str(refused.value)
    assert f"context '{context.name}': {refused.value}" in caplog.text
    told = f"{refused.value} {caplog.text}"
    assert not [secret for secret in (*SECRETS, JWT) if secret in told]


def test_an_exec_plugin_that_went_missing_is_named_with_the_hint_to_install_it(
    tmp_path: Path, cluster: Cluster, caplog: pytest.LogCaptureFixture
):
    hint = {"installHint": "Install it:\n  https://x:hunter2@example.com/plugin"}
    context = a_context(tmp_path, cluster, {"exec": a_plugin(tmp_path, "exit") | hint})
    (tmp_path / "plugin").unlink()

    with pytest.raises(Unusable) as refused:
        used(context)

    assert str(refused.value) == (
        f"its exec plugin '{tmp_path}/plugin' cannot be started (No such file or directory); install it where the "
        "worker runs, or put it on the worker's PATH; its hint: Install it: https://[redacted]@example.com/plugin"
    )
    assert str(refused.value) in caplog.text


@pytest.mark.parametrize("told_to_stop", [False, True])
def test_an_exec_plugin_that_hangs_is_ended_with_all_that_it_started(
    tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, told_to_stop: bool
):
    monkeypatch.setattr(exec_plugin, "SECONDS", 3600 if told_to_stop else 3)
    # The file appears as a whole.
    told = f"echo $! > '{tmp_path}/new'; mv '{tmp_path}/new' '{tmp_path}/pid'"
    plugin = a_plugin(tmp_path, f"echo begun >&2; sleep 300 & {told}; wait")
    context = a_context(tmp_path, cluster, {"exec": plugin})

    async def main() -> None:
        opening = asyncio.create_task(open_session(context, "test", 4).__aenter__())
        if told_to_stop:
            while not (tmp_path / "pid").exists():
                await asyncio.sleep(0.02)
            opening.cancel()
        await opening

    says = None if told_to_stop else "did not finish within 3 s; it cannot ask for .* here: begun"
    with pytest.raises(asyncio.CancelledError if told_to_stop else Unusable, match=says):
        asyncio.run(main())

    assert ended(int((tmp_path / "pid").read_text()))


def test_an_exec_plugin_is_asked_again_for_a_token_that_has_run_out(
    tmp_path: Path, cluster: Cluster, token: str
):
    count = f"echo x >> '{tmp_path}/runs'"
    first = f"test $(wc -l < '{tmp_path}/runs') = 1"
    script = f"{count}; if {first}; then {answers(token='old')}; else {answers(token=token)}; fi"
    context = a_context(tmp_path, cluster, {"exec": a_plugin(tmp_path, script)})

    assert used(context).states
    assert (tmp_path / "runs").read_text() == "x\nx\n"  # for three lists that were refused at once


def test_a_plugin_that_fails_when_it_is_asked_again_is_named_in_what_fails_for_it(
    tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("worker.renewal.RENEWING_SECONDS", 0.3)
    first = (
        f"if ! test -e '{tmp_path}/first'; then touch '{tmp_path}/first'; {answers(token='old')}"
    )
    script = f"{first}; else echo '{EXPIRED}' >&2; exit 1; fi"
    context = a_context(tmp_path, cluster, {"exec": a_plugin(tmp_path, script)})

    with pytest.raises(Fault, match=f"401.*could not be renewed: its exec plugin .*{EXPIRED}"):
        used(context)


@pytest.mark.parametrize("meanwhile", ["cancelled", "taken over"])
def test_a_write_that_waited_for_a_plugin_is_not_sent_once_the_run_is_over(
    tmp_path: Path, cluster: Cluster, token: str, space: Space, meanwhile: str
):
    name = space.namespace("n")
    begun, go = tmp_path / "begun", tmp_path / "go"
    waits = f"touch '{begun}'; until test -e '{go}'; do sleep 0.02; done"
    first = (
        f"if ! test -e '{tmp_path}/first'; then touch '{tmp_path}/first'; {answers(token='old')}"
    )
    script = f"{first}; else {waits}; {answers(token=token)}; fi"
    context = a_context(tmp_path, cluster, {"exec": a_plugin(tmp_path, script)})
    call = Call("patch", f"serviceaccounts/{name}/default")
    body = b'{"imagePullSecrets": [{"name": "docker"}]}'

    async def main() -> None:
        stop, held_until = asyncio.Event(), [math.inf]
        vigil = Vigil(lambda: held_until[0])
        async with asyncio.timeout(60), open_session(context, "test", 4, stop, None, vigil) as it:
            path = f"/api/v1/namespaces/{name}/serviceaccounts/default"
            writing = asyncio.create_task(it.patch(path, call, body, MERGE_PATCH))
            while not begun.exists():
                await asyncio.sleep(0.02)
            if meanwhile == "cancelled":
                stop.set()
            else:
                held_until[0] = -math.inf
            go.touch()
            if meanwhile == "cancelled":
                with pytest.raises(Stopped):
                    await writing
                return
            while not it._connection.generation:
                await asyncio.sleep(0.02)
            assert not (await asyncio.wait([writing], timeout=0.5))[0]
            assert space.pull_secrets(name, "default") == []
            held_until[0] = math.inf
            await writing
            assert space.pull_secrets(name, "default") == ["docker"]

    asyncio.run(main())


def test_a_server_that_refuses_every_token_does_not_have_the_plugin_run_for_every_call(
    tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("worker.renewal.REST_SECONDS", 3600)
    monkeypatch.setattr("worker.renewal._PAUSES", (0.0, 0.0))
    script = f"echo x >> '{tmp_path}/runs'; {answers(token='wrong')}"
    context = a_context(tmp_path, cluster, {"exec": a_plugin(tmp_path, script)})

    async def use(session: Session) -> None:
        for _ in range(20):
            with pytest.raises(Fault, match="401"):
                await observe(session, REQUEST)

    used(context, use)

    assert (tmp_path / "runs").read_text() == "x\nx\nx\n"  # at the start, and twice in vain


@pytest.mark.parametrize("way", ["plugin", "tokenFile"])
def test_a_renewal_that_fails_for_a_moment_costs_no_call(
    tmp_path: Path, cluster: Cluster, token: str, way: str
):
    """A plugin that is throttled, a file that is empty while it is replaced; the server takes the old token no more."""
    file, runs = tmp_path / "token", tmp_path / "runs"
    file.write_text("has-run-out")
    script = (
        f"echo x >> '{runs}'; case $(wc -l < '{runs}') in 1) {answers(token='has-run-out')};; "
        f"2|3) echo throttled >&2; exit 1;; *) {answers(token=token)};; esac"
    )
    plugin = {"exec": a_plugin(tmp_path, script)}
    context = a_context(tmp_path, cluster, plugin if way == "plugin" else {"tokenFile": str(file)})

    async def use(session: Session) -> None:
        file.write_text("")
        observing = [asyncio.create_task(observe(session, REQUEST)) for _ in range(8)]
        while not session._connection._renewing.locked():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        file.write_text(token)
        for observation in await asyncio.gather(*observing):
            assert observation.states

    used(context, use)

    if way == "plugin":
        assert runs.read_text() == 4 * "x\n"  # one renewal for all of them


def test_a_credential_that_cannot_be_renewed_is_told_with_the_reason_and_may_be_retried(
    tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("worker.renewal.RENEWING_SECONDS", 0.3)
    monkeypatch.setattr("worker.renewal.REST_SECONDS", 3600)
    runs = tmp_path / "runs"
    script = f"echo x >> '{runs}'; test $(wc -l < '{runs}') = 1 || exit 7; {answers(token='has-run-out')}"
    context = a_context(tmp_path, cluster, {"exec": a_plugin(tmp_path, script)})

    async def use(session: Session) -> None:
        for _ in range(3):
            with pytest.raises(Fault, match=r"could not be renewed.*ended with code 7") as caught:
                await observe(session, REQUEST)
            assert caught.value.error.retryable
            assert caught.value.error.http_status == 401

    used(context, use)

    assert len(runs.read_text().split()) <= 4  # the first, and what was tried within 0.3 s


def test_a_pod_s_own_account(
    tmp_path: Path, cluster: Cluster, token: str, monkeypatch: pytest.MonkeyPatch
):
    """The token's file is read again when the server refuses the token, and may be away for a moment."""
    file = tmp_path / "token"
    file.write_text(f"{token}\n")
    host, _, port = cluster.server.removeprefix("https://").partition(":")
    monkeypatch.setitem(os.environ, "KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setitem(os.environ, "KUBERNETES_SERVICE_PORT", port)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(file))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(cluster.ca_file))

    async def use(session: Session) -> None:
        assert (await observe(session, REQUEST)).states
        file.write_text("has-run-out")
        await session._connection.renew(session._connection.generation)
        file.write_text(token)
        assert (await observe(session, REQUEST)).states
        file.unlink()
        loader: Any = session._connection._config.refresh_api_key_hook.__closure__
        for cell in loader:  # its minute is over: it reads the file again
            cell.cell_contents.token_expires_at = cell.cell_contents.token_expires_at.replace(
                year=2000
            )
        assert (await observe(session, REQUEST)).states

    used(Context("it", cluster.server, in_cluster=True), use)


@pytest.fixture(scope="module")
def fronts(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fronts]:
    """The API server behind chains of every shape."""
    trust = ssl.create_default_context(cafile=str(cluster.ca_file))
    with Fronts(tmp_path_factory.mktemp("fronts"), (cluster.server, trust)) as running:
        yield running


def through(fronts: Fronts, front: str, *anchors: Issued, **more: Any) -> dict[str, Any]:
    """Return the cluster entry for one of the fronts."""
    pem = b"".join(anchor.pem for anchor in anchors)
    server = {"server": f"https://127.0.0.1:{fronts.ports[front]}"}
    return DATA | server | {"certificate-authority-data": base64.b64encode(pem).decode()} | more


CHAINS = {
    "the intermediate alone": ("by an intermediate", lambda pki, own: own[:1]),
    "an intermediate that is not sent": ("without its intermediate", lambda pki, own: own[:1]),
    "the server's own certificate": ("by an intermediate", lambda pki, own: own[1:]),
    "a certificate that the server made": ("self-made", lambda pki, own: own),
    "the authorities before and after a rotation": (
        "by the root",
        lambda pki, own: (pki.before, pki.root),
    ),
    "the same the other way round": ("by the root", lambda pki, own: (pki.root, pki.before)),
}


@pytest.mark.parametrize("case", CHAINS)
def test_what_vouches_for_a_server_is_what_go_takes(
    tmp_path: Path, cluster: Cluster, token: str, fronts: Fronts, case: str
):
    front, chosen = CHAINS[case]
    anchors = chosen(fronts.pki, fronts.anchors[front])

    context = a_context(tmp_path, cluster, {"token": token}, **through(fronts, front, *anchors))

    assert "default" in used(context).present


STRANGERS = {
    "another server of the same authority": (
        "by the root",
        lambda pki, own: (Issued.make("x", pki.root),),
    ),
    "another authority": ("by the root", lambda pki, own: (pki.stranger,)),
    "one of the same name": ("by the root", lambda pki, own: (pki.before, pki.stranger)),
    "one whose name stands in the subject alone": (
        "no alternative names",
        lambda pki, own: (pki.root,),
    ),
    "one that has run out": ("run out", lambda pki, own: (pki.root,)),
    "one by an authority that has run out": ("by one that ran out", lambda pki, own: own[:1]),
    "one by one that is no authority": ("by one that is no CA", lambda pki, own: own[:1]),
}


@pytest.mark.parametrize("case", STRANGERS)
def test_trust_is_not_widened(
    tmp_path: Path, cluster: Cluster, token: str, fronts: Fronts, case: str
):
    front, chosen = STRANGERS[case]
    anchors = chosen(fronts.pki, fronts.anchors[front])
    context = a_context(tmp_path, cluster, {"token": token}, **through(fronts, front, *anchors))
    before = fronts.reached

    with pytest.raises(Fault, match="not trusted"):
        used(context, lambda session: session.reach(8))

    assert fronts.reached == before, "nothing was sent"


@pytest.mark.parametrize("named", ["proxy-url", "HTTPS_PROXY"])
@pytest.mark.parametrize(
    ("proxy", "login", "says"),
    [
        ("proxy with login", f"{PROXY_USER}:{quote(PROXY_PASSWORD, safe='')}@", ""),
        ("proxy with login", "", "the proxy wants a login .407."),
        ("proxy with login", "robot:pa55@", "the proxy wants a login .407."),
        ("proxy that refuses", "", "the proxy refuses to connect .403."),
        ("nowhere", "", "cannot connect to the proxy"),
        ("proxy by TLS", "", ""),
    ],
)
def test_a_proxy_on_the_way(
    tmp_path: Path,
    cluster: Cluster,
    token: str,
    fronts: Fronts,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    named: str,
    proxy: str,
    login: str,
    says: str,
):
    scheme = "https" if proxy.endswith("TLS") else "http"
    url = f"{scheme}://{login}127.0.0.1:{fronts.ports.get(proxy, 1)}"
    place = through(fronts, "by the root", fronts.pki.root) | {"tls-server-name": "localhost"}
    # A name that only the proxy knows.
    place["server"] = f"https://api.example.com:{fronts.ports['by the root']}"
    if named == "proxy-url":
        place["proxy-url"] = url
    else:
        monkeypatch.setenv("HTTPS_PROXY", url)
        monkeypatch.setenv("NO_PROXY", "10.0.0.0/8,.internal,api.example.com:1")
    context = a_context(tmp_path, cluster, {"token": token}, **place)

    if says:
        with pytest.raises(Fault, match=says) as refused:
            used(context, lambda session: session.reach(1))
        told = f"{refused.value} {refused.value.error.hint} {caplog.text} {context}"
        assert "pa55" not in told
    else:
        assert "default" in used(context).present
        assert "pa55" not in f"{context} {caplog.text}"


def test_a_plugin_is_told_of_the_cluster_as_gcloud_asks_for_it(
    tmp_path: Path, cluster: Cluster, token: str, fronts: Fronts
):
    version = "client.authentication.k8s.io/v1beta1"
    script = (
        f"printf %s \"$KUBERNETES_EXEC_INFO\" > '{tmp_path}/told'; {answers(version, token=token)}"
    )
    plugin = a_plugin(tmp_path, script) | {
        "apiVersion": version,
        "installHint": "Install gke-gcloud-auth-plugin",
        "provideClusterInfo": True,
    }
    del plugin["interactiveMode"]
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "eu"}}
    place = through(fronts, "by the root", fronts.pki.root)
    more = {"tls-server-name": "localhost", "extensions": [extension]}

    assert used(a_context(tmp_path, cluster, {"exec": plugin}, **place | more)).states

    told = json.loads((tmp_path / "told").read_text())["spec"]
    assert told == {
        "interactive": False,
        "cluster": {
            "server": place["server"],
            "tls-server-name": "localhost",
            "certificate-authority-data": place["certificate-authority-data"],
            "config": {"audience": "eu"},
        },
    }


def test_empty_values_are_none(tmp_path: Path, cluster: Cluster, token: str):
    user: dict[str, Any] = {
        "token": token,
        "username": "",
        "password": None,
        "tokenFile": "",
        "as": "",
        "as-groups": [],
    }
    user |= {"exec": None, "auth-provider": None, "client-certificate-data": "", "client-key": ""}
    empty = {"proxy-url": "", "tls-server-name": "", "insecure-skip-tls-verify": None}

    assert used(a_context(tmp_path, cluster, user, **empty)).states


def test_a_token_counts_while_the_file_beside_it_cannot_be_read(
    tmp_path: Path, cluster: Cluster, token: str
):
    context = a_context(tmp_path, cluster, {"token": token, "tokenFile": "later"})
    assert used(context).states

    (tmp_path / "later").write_text("wrong")
    with pytest.raises(Fault, match="401"):
        used(context)
