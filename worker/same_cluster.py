"""Is the cluster that a run is about to work on the one that it was accepted for? Names can change their meaning."""

from remediation.same_server import refusal
from worker.execution import RunFailed
from worker.faults import Call, Fault, Gone
from worker.observe import read_one
from worker.session import Session
from worker.wire import WireNamespace

_FORBIDDEN = 403
_PATH = "/api/v1/namespaces/kube-system"


async def check_same(session: Session, cluster: str, meant: str | None) -> None:
    """Ask the cluster itself whether it has the uid that is meant. Raises RunFailed if not, and Fault.

    An account that may not read it goes on: what is not known is not different.
    """
    if meant is None:
        return
    call = Call("get", "namespaces/kube-system")
    try:
        found = (await read_one(session, _PATH, call, WireNamespace)).metadata.uid
    except Gone:
        return
    except Fault as fault:
        if fault.error.http_status == _FORBIDDEN:
            return
        raise
    if error := refusal(cluster, meant, found):
        raise RunFailed(error)
