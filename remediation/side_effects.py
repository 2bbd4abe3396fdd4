"""What a write of the Secret does besides putting the login in place, as warnings."""

import re
from collections.abc import Iterator

from remediation.caution import Caution, CautionCode
from remediation.docker_config import DockerConfig, InvalidCredential, parse_docker_config
from remediation.outcome import SecretAction
from remediation.registry_key import DOCKER_HUB_KEY, effective_key
from remediation.state import Secret

_MOST_NAMES = 5
_HELM = "Helm release "
_PATH = re.compile(r"(/[a-z0-9._/-]*)?")
_HUB_ENDPOINT = "registry-1.docker.io"


def warn_of_secret(
    object_: str, existing: Secret, action: SecretAction, content: bytes
) -> Iterator[Caution]:
    """Yield warnings about a Secret that is there and is written to, or serves as it is; `content` is what it gets."""
    if existing.keeper.startswith(_HELM):
        yield Caution(
            CautionCode.HELM_OWNED,
            "",
            object_,
            f"the Secret belongs to {existing.keeper}: an upgrade can refuse it or write the chart's content again, and"
            " an uninstall deletes it although ServiceAccounts name it",
            "use a secret_name that no chart uses, such as 'remediator-pull'",
        )
    if lost := lost_logins(existing, action, content):
        yield Caution(
            CautionCode.LOGIN_LOST,
            "",
            object_,
            f"'{action}' writes over {lost}: it is kept nowhere, and an undo does not bring it back",
            "save the Secret first if the login is needed, or use another secret_name",
        )


def lost_logins(existing: Secret, action: SecretAction, content: bytes) -> str:
    """Return whose logins a write replaces, "" if none. That ours get another password is what an update is for."""
    if action not in (SecretAction.UPDATED, SecretAction.MERGED, SecretAction.REPLACED):
        return ""
    try:
        before = parse_docker_config(existing.content).by_repository()
    except InvalidCredential:
        return "content that the kubelet cannot read"
    after = parse_docker_config(content).by_repository()
    foreign = action is not SecretAction.UPDATED
    keys = [
        key
        for key, logins in before.items()
        if key not in after or (foreign and not set(logins) <= set(after[key]))
    ]
    more = f" and {len(keys) - _MOST_NAMES} more" if len(keys) > _MOST_NAMES else ""
    return f"the login for {', '.join(keys[:_MOST_NAMES])}{more}" if keys else ""


def warn_of_dead_keys(object_: str, config: DockerConfig) -> Iterator[Caution]:
    """Yield a warning for each key of a credential that the kubelet offers for no image."""
    for key, _ in config.logins:
        if why := _dead(effective_key(key) or ""):
            yield Caution(
                CautionCode.LOGIN_WITHOUT_EFFECT,
                key,
                object_,
                f"no pod uses the login under '{key}': {why}",
                "name the registry as images do",
            )


def _dead(key: str) -> str:
    host, slash, path = key.partition("/")
    if host == _HUB_ENDPOINT or (host == DOCKER_HUB_KEY and slash):
        return (
            "images of Docker Hub are named docker.io, and the key for all of them is 'docker.io'"
        )
    if not _PATH.fullmatch(slash + path):
        return "no repository is named so: names are in lower case, without tag or digest"
    return ""
