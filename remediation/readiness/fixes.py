"""What to do about a finding, as lines that can be pasted: every one names its objects."""

import json
from shlex import quote

from remediation.readiness.coverage import UNNAMED, Wanted
from remediation.readiness.observation import Owner

BEYOND = "was not read: "  # how the reason begins where a bound kept a Secret from being read
_TEMPLATE = ("spec", "template", "spec")
_TEMPLATED = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController")
_POD_SPEC = dict.fromkeys(_TEMPLATED, _TEMPLATE) | {"CronJob": ("spec", "jobTemplate", *_TEMPLATE)}


def kubectl(cluster: str, namespace: str, *words: str) -> str:
    """Return a kubectl line for an object of one namespace; the cluster is a context of the kubeconfig."""
    return " ".join(
        ["kubectl", "--context", quote(cluster), "-n", quote(namespace), *map(quote, words)]
    )


def remediate(cluster: str, namespace: str, wanted: Wanted, also: str = "") -> str:
    """Return what puts Secret and reference in place, whatever Secret of that name is there; `also` is a note on it.

    It is a line, or two where a Secret that cannot be changed is in the way. Another name would do too, but workers may
    have rights to one name only.
    """
    standing = wanted.standing
    if standing.aside:
        return replace_secret(cluster, namespace, wanted)
    return _run(cluster, namespace, wanted, standing.option, standing.why, also)


def remediate_as_named(cluster: str, namespace: str, wanted: Wanted) -> str:
    """Return the line for when no Secret of that name is there any more."""
    return _run(cluster, namespace, wanted)


def _run(cluster: str, namespace: str, wanted: Wanted, option: str = "", *notes: str) -> str:
    line = (
        f"remediator run --clusters {quote(cluster)} --namespaces {quote(namespace)}"
        f" --secret-name {quote(wanted.secret_name)} --credential {quote(wanted.credential)}"
    )
    unnamed = f"{UNNAMED} stands for a credential that the workers hold"
    known = {
        unnamed: wanted.credential == UNNAMED,
        "once the registry takes the login: it refuses it now": wanted.refused,
    }
    told = [note for note in (*notes, *(note for note, holds in known.items() if holds)) if note]
    note = f" ({'; '.join(told)})" if told else ""
    return f"{line}{f' {option}' if option else ''}{note}"


def end_partition(cluster: str, namespace: str, name: str) -> str:
    """Return the line that lets a StatefulSet make all its pods from its template, and rolls those out."""
    nothing_held = {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}}
    line = kubectl(cluster, namespace, "patch", "statefulset", name, "-p", json.dumps(nothing_held))
    return f"make its template the one for all its pods: {line} (this rolls it out)"


def finish_deletion(cluster: str, namespace: str, secret: str, wanted: Wanted) -> str:
    """Return what to do about a Secret that is being deleted, itself or its owner."""
    look = kubectl(cluster, namespace, "get", "secret", secret, "-o", "jsonpath={.metadata}")
    again = (
        remediate_as_named(cluster, namespace, wanted)
        if secret == wanted.secret_name
        else f"create Secret '{secret}' again"
    )
    return f"finish the deletion ({look} shows the finalizers and owners that it waits for), then {again}"


def renew_secret(cluster: str, namespace: str, secret: str, wanted: Wanted) -> str:
    """Return what to do about a Secret whose content is wrong and cannot be changed."""
    delete = kubectl(cluster, namespace, "delete", "secret", secret)
    again = (
        remediate_as_named(cluster, namespace, wanted)
        if secret == wanted.secret_name
        else f"create Secret '{secret}' again"
    )
    return (
        f"Secret '{secret}' is immutable: {delete}, then {again}"
        " (kubelets keep the old content for pods that name it: restart those)"
    )


def replace_secret(cluster: str, namespace: str, wanted: Wanted) -> str:
    """Return what to do about a Secret that cannot be changed, where one of the same name is needed."""
    if wanted.standing.going:
        return finish_deletion(cluster, namespace, wanted.secret_name, wanted)
    delete = kubectl(cluster, namespace, "delete", "secret", wanted.secret_name)
    again = remediate_as_named(cluster, namespace, wanted)
    return f"{wanted.standing.why}: if nothing else uses it, {delete}, then {again}"


def read_secret(namespace: str, name: str, why: str) -> str:
    """Return what lets a Secret be judged that was not read; `why` says what kept it from being, "" for rights."""
    if why.startswith(BEYOND):
        first = (
            "check fewer namespaces at once, or take names of Secrets that do not exist out of the imagePullSecrets"
            " there"
        )
    elif why:
        first = f"have what keeps the API server from giving Secret '{namespace}/{name}' repaired, and judge again"
    else:
        first = f"let the worker get Secret '{namespace}/{name}'"
    return f"{first}, or waive this with an owner and a date"


def set_account_list(cluster: str, namespace: str, account: str, names: tuple[str, ...]) -> str:
    """Return the line that gives a ServiceAccount a whole list of Secrets, which does not merge."""
    patch = json.dumps({"imagePullSecrets": [{"name": name} for name in names if name]})
    line = kubectl(
        cluster, namespace, "patch", "serviceaccount", account, "--type", "merge", "-p", patch
    )
    return f"{line} (and the same in Git or the chart it comes from)"


def add_to_template(
    cluster: str, namespace: str, owner: Owner, names: tuple[str, ...], secret_name: str
) -> str:
    """Return the line that adds a Secret's name to a pod template, keeping the others.

    A PodSpec's list merges by name, a ServiceAccount's does not. A Job's template cannot be changed.
    """
    if owner.kind == "Job":
        return f"make the Job anew with '{secret_name}' among the template's imagePullSecrets"
    path = _POD_SPEC.get(owner.kind)
    if path is None:
        return f"add '{secret_name}' to the imagePullSecrets that {owner.kind} {owner.name} gives its pods"
    ours = [{"name": secret_name}]
    if "" in names:  # an entry without a name cannot be merged with
        kept = [{"name": name} for name in names if name]
        place = "/" + "/".join((*path, "imagePullSecrets"))
        kind, patch = "json", json.dumps([{"op": "replace", "path": place, "value": kept + ours}])
    else:
        nested: object = {"imagePullSecrets": ours}
        for field in reversed(path):
            nested = {field: nested}
        kind, patch = "strategic", json.dumps(nested)
    line = kubectl(
        cluster, namespace, "patch", owner.kind.lower(), owner.name, "--type", kind, "-p", patch
    )
    return f"{line} (and the same in Git or the chart it comes from)"
