"""Asking the API server what it would put into a pod: `POST pods?dryRun=All` stores nothing and starts nothing."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import orjson

from remediation.outcome import ErrorCode
from remediation.readiness.judge import Judge
from remediation.readiness.proof import AdmissionProof
from worker.faults import Call, Fault, Gone
from worker.observe import decode
from worker.readiness.wire_pod import WirePod, containers
from worker.session import Session

Place = tuple[str, str, str]
_DECODER = msgspec.json.Decoder(WirePod)
# How the API server refuses an account that may not create pods at all; everything else is about the pod.
_NO_RIGHT = "cannot create resource"
_UNANSWERED = (ErrorCode.UNREACHABLE, ErrorCode.TIMEOUT)
# What controllers add to tell their own pods apart: a ReplicaSet's template is its Deployment's otherwise.
_OF_CONTROLLERS = ("pod-template-hash", "controller-revision-hash")


class Admission:
    """The questions of one reading, and their answers for `judges`: one answer for all templates that are alike."""

    def __init__(self, session: Session, judges: Sequence[Judge]) -> None:
        self._session = session
        self._judges = judges
        self._known: dict[bytes, AdmissionProof] = {}
        self._forbidden = False

    async def ask(self, templates: Mapping[Place, bytes]) -> None:
        """Tell the judges what would become of a pod of each template, and which may not be asked about.

        Raises Fault if the cluster does not answer.
        """
        asked = {place: _pod(template) for place, template in templates.items()}
        digests = {place: _digest(place[0], pod) for place, pod in asked.items()}
        new = {digests[place]: (place, pod) for place, pod in asked.items()}
        async with asyncio.TaskGroup() as group:
            for digest, (place, pod) in new.items():
                if digest not in self._known:
                    group.create_task(self._ask(digest, place, pod))
        for place, digest in digests.items():
            proof = self._known.get(digest)
            for judge in self._judges:
                if proof is None:
                    judge.add_unasked(*place)
                else:
                    namespace, kind, name = place
                    judge.add_admission(replace(proof, namespace=namespace, kind=kind, name=name))

    def was_asked(self, namespace: str, template: bytes) -> bool:
        """Tell whether there is an answer for a template; where asking is forbidden, that is told already."""
        return self._forbidden or _digest(namespace, _pod(template)) in self._known

    async def _ask(self, digest: bytes, place: Place, pod: Mapping[str, Any]) -> None:
        if self._forbidden:
            return
        try:
            self._known[digest] = await self._answer(place, pod)
        except Fault as fault:
            if fault.error.code in _UNANSWERED:
                raise
            if _NO_RIGHT in fault.error.detail:
                self._forbidden = True
                return
            self._known[digest] = AdmissionProof(*place, refusal=fault.error.detail)

    async def _answer(self, place: Place, pod: Mapping[str, Any]) -> AdmissionProof:
        namespace = place[0]
        call = Call("create", f"pods/{namespace}")
        path = f"/api/v1/namespaces/{namespace}/pods"
        try:
            answer = await self._session.post(path, call, orjson.dumps(pod), dryRun="All")
        except Gone:
            return AdmissionProof(*place, refusal="the namespace is gone")
        spec = decode(_DECODER, answer, call).spec
        images = tuple(
            dict.fromkeys(
                container.image
                for container in containers(spec, {})
                if any(judge.image(container.image) for judge in self._judges)
            )
        )
        return AdmissionProof(
            *place, pull_secrets=spec.pull_secrets, images=images, account=spec.account
        )


def _pod(template: bytes) -> Mapping[str, Any]:
    """Return a pod of a template, with its labels: policies look at them, and a dry run shows them to nobody else."""
    pod = orjson.loads(template)
    metadata = pod.get("metadata") or {}
    labels = metadata.get("labels") or {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "remediator-",
            "labels": {key: text for key, text in labels.items() if key not in _OF_CONTROLLERS},
            "annotations": metadata.get("annotations") or {},
        },
        "spec": pod.get("spec") or {},
    }


def _digest(namespace: str, pod: Mapping[str, Any]) -> bytes:
    text = orjson.dumps((namespace, pod), option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(text, digest_size=16).digest()
