"""Values that most tests of the domain need and none is about."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from remediation.credential import Credential, credential_from_login
from remediation.docker_config import SECRET_TYPE, Login
from remediation.plan import Task
from remediation.request import OnConflict, RemediationRequest
from remediation.state import Namespace, NamespaceState, Secret, ServiceAccount

REGISTRY = "registry.example.com"
LOGIN = Login("robot", "s3cr3t-value")
SECRET_NAME = "docker"

NAMES = st.text("ab-.", min_size=1, max_size=8)
LABELS = st.dictionaries(
    st.sampled_from(["app", "tier", "example.com/team"]), st.sampled_from(["", "a", "b"])
)
# Long and mixed enough not to appear by chance in what else is shown.
PASSWORDS = st.builds(
    "{}-s3cr3t-{}".format,
    *[st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), max_size=8)] * 2,
)


def a_request(
    *,
    clusters: Sequence[str] = ("*",),
    namespaces: Sequence[str] = ("*",),
    ignore: Sequence[str] = (),
    namespace_selector: str | None = None,
    service_accounts: Sequence[str] = ("*",),
    ignore_service_accounts: Sequence[str] = (),
    on_conflict: OnConflict = OnConflict.FAIL,
) -> RemediationRequest:
    return RemediationRequest(
        clusters=tuple(clusters),
        credential="reg",
        namespaces=tuple(namespaces),
        ignore=tuple(ignore),
        namespace_selector=namespace_selector,
        service_accounts=tuple(service_accounts),
        ignore_service_accounts=tuple(ignore_service_accounts),
        secret_name=SECRET_NAME,
        on_conflict=on_conflict,
    )


def a_credential(password: str = LOGIN.password) -> Credential:
    return credential_from_login("reg", REGISTRY, Login(LOGIN.username, password))


def a_task(request: RemediationRequest | None = None, credential: Credential | None = None) -> Task:
    return Task.of("rem_1", request or a_request(), credential or a_credential())


def an_account(name: str, *pull_secrets: str, deleting: bool = False) -> ServiceAccount:
    return ServiceAccount(name, f"uid-{name}", "7", pull_secrets, deleting)


def a_secret(
    content: bytes, *, ours: bool = False, immutable: bool = False, type: str = SECRET_TYPE
) -> Secret:
    return Secret("uid-secret", "7", type, content, ours, immutable)


def a_state(
    *accounts: ServiceAccount, secret: Secret | None = None, namespace: Namespace | None = None
) -> NamespaceState:
    return NamespaceState(namespace or Namespace("team-a"), secret, accounts)


def auth_of(username: str, password: str) -> str:
    return base64.b64encode(f"{username}:{password}".encode()).decode()


def config_of(**logins: Login) -> bytes:
    """Return a document for registries given as keyword arguments, `_` standing for a dot."""
    return document(
        {
            key.replace("_", "."): {"auth": auth_of(login.username, login.password)}
            for key, login in logins.items()
        }
    )


def document(auths: object, **others: Any) -> bytes:
    whole: Mapping[str, Any] = {"auths": auths, **others}
    return json.dumps(whole).encode()
