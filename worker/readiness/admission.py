"""Asking the API server what it would put into a pod: `POST pods?dryRun=All` stores nothing and starts nothing."""

import asyncio
from collections.abc import Mapping

import msgspec
import orjson

from remediation.outcome import ErrorCode
from remediation.readiness.proof import AdmissionProof
from worker.faults import Call, Fault, Gone
from worker.observe import decode
from worker.readiness.wire_pod import WirePod
from worker.session import Session

Place = tuple[str, str, str]
_DECODER = msgspec.json.Decoder(WirePod)
# How the API server refuses an account that may not create pods at all; everything else is about the pod.
_NO_RIGHT = "cannot create resource"
_UNANSWERED = (ErrorCode.UNREACHABLE, ErrorCode.TIMEOUT)


async def ask_admission(session: Session, templates: Mapping[Place, bytes]) -> list[AdmissionProof]:
    """Return what would become of a pod of each template; those nobody may ask about have no proof.

    Raises Fault if the cluster does not answer.
    """
    answers: list[AdmissionProof] = []
    forbidden = False

    async def one(place: Place, template: bytes) -> None:
        nonlocal forbidden
        if forbidden:
            return
        try:
            answers.append(await _ask(session, place, template))
        except Fault as fault:
            if fault.error.code in _UNANSWERED:
                raise
            if _NO_RIGHT in fault.error.detail:
                forbidden = True
                return
            answers.append(AdmissionProof(*place, refusal=fault.error.detail))

    async with asyncio.TaskGroup() as group:
        for place, template in templates.items():
            group.create_task(one(place, template))
    return answers


async def _ask(session: Session, place: Place, template: bytes) -> AdmissionProof:
    namespace = place[0]
    pod = orjson.loads(template)
    metadata = pod.get("metadata") or {}
    # With the template's labels: policies look at them, and a dry run shows them to nobody else.
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "remediator-",
            "labels": metadata.get("labels") or {},
            "annotations": metadata.get("annotations") or {},
        },
        "spec": pod.get("spec") or {},
    }
    call = Call("create", f"pods/{namespace}")
    path = f"/api/v1/namespaces/{namespace}/pods"
    try:
        answer = await session.post(path, call, orjson.dumps(body), dryRun="All")
    except Gone:
        return AdmissionProof(*place, refusal="the namespace is gone")
    return AdmissionProof(*place, pull_secrets=decode(_DECODER, answer, call).spec.pull_secrets)
