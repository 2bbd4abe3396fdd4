"""A running pod whose list of Secrets is not the one that Kubernetes gives: something else writes these lists."""

import re
from datetime import timedelta

from remediation.readiness.observation import Account, Pod, Workload

# Controllers whose pods are of the template that they have now.
_SAME_TEMPLATE = ("ReplicaSet", "Job", "StatefulSet")
# Admission reads ServiceAccounts from a cache, which follows within moments.
_CACHED = timedelta(seconds=10)
# OpenShift makes such Secrets, and others in their place, for each ServiceAccount.
_PLATFORM = re.compile(r".+-dockercfg-[a-z0-9]{5}")


def given_away(pod: Pod, workload: Workload, account: Account | None) -> str:
    """Say what is strange about a pod's list, "" if its template or its ServiceAccount has it, or may have had it.

    A pod that is older than a change of its ServiceAccount may have what stood there then.
    """
    if workload.kind not in _SAME_TEMPLATE or workload.held:
        return ""
    listed = ", ".join(map(repr, pod.pull_secrets)) or "none"
    said = f"Pod {pod.name} of {workload.kind} {workload.name} names the Secrets [{listed}]"
    if workload.pull_secrets:
        return (
            "" if pod.pull_secrets == workload.pull_secrets else f"{said}, and its template others"
        )
    if account is None or pod.pull_secrets == account.pull_secrets or pod.created_at is None:
        return ""
    made, was = account.created_at, account.listed_by_others_at
    if (made and made > pod.created_at) or (was and was > pod.created_at):
        return ""
    foreign = [
        name
        for name in pod.pull_secrets
        if name not in account.pull_secrets and not _PLATFORM.fullmatch(name)
    ]
    if foreign:
        return f"{said}, and neither its template nor ServiceAccount '{account.name}' names {foreign[0]!r}"
    since = account.listed_at
    if since and pod.created_at > since + _CACHED:
        return f"{said}, and ServiceAccount '{account.name}' has listed others since before it was made"
    return ""
