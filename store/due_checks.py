"""The readiness checks that follow remediations: due once these have ended, recorded by whoever comes first."""

from remediation.inventory import known_credentials
from remediation.permission import Permission
from remediation.readiness.proof import Level
from remediation.readiness.request import CheckRequest
from store.ids import check_after
from store.records import meant_for
from store.store import Store


def begin_due_checks(store: Store) -> None:
    """Record the readiness checks that follow remediations, each once, and wake their workers."""
    for remediation_id in store.checks.due():
        remediation = store.remediations.get(remediation_id)
        if remediation is not None:
            request = remediation.request
            warrant = store.remediations.warrant(remediation_id)
            inline = request.inline_credential
            known = known_credentials(store.inventory.workers()).get(request.credential or "")
            registries = known.credential.registries if known else ()
            runs = store.intake.check(
                check_after(remediation_id),
                CheckRequest(
                    clusters=tuple(run.cluster for run in remediation.runs),
                    # A login that came in the request is gone by now.
                    registries=(inline.registry,) if inline else registries,
                    credential=request.credential,
                    namespaces=request.namespaces,
                    ignore=request.ignore,
                    namespace_selector=request.namespace_selector,
                    secret_name=request.secret_name,
                    evidence=Level.GRAPH,  # the credential itself was proved before the first write
                ),
                remediation.requested_by,
                [(run.cluster, run.pool) for run in remediation.runs],
                groups=warrant.requester.groups if warrant else (),
                needs=Permission.CREATE_REMEDIATIONS,
                remediation_id=remediation_id,
                uids=meant_for(remediation.runs),
            )
            for run in runs:
                store.queue.wake(run.pool, run.id)
        store.checks.no_longer_due(remediation_id)
