"""What a plan warns of: the objects it writes that another tool writes again."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from remediation.caution import Caution, CautionCode
from remediation.docker_config import DockerConfig, InvalidCredential, holds, parse_docker_config
from remediation.drift.certainty import Certainty, Drift
from remediation.drift.past import Memory, Past, written
from remediation.drift.prediction import predict
from remediation.drift.remedies import account_remedy, secret_remedy
from remediation.drift.secret_prediction import predict_secret
from remediation.drift.signals import Signals
from remediation.footprint import OUR_MANAGER, UPDATE, Holder
from remediation.outcome import NamespaceResult
from remediation.plan import NamespacePlan, Task
from remediation.state import Secret, ServiceAccount

_OURS = (Holder(OUR_MANAGER, UPDATE),)
_WILL = {
    Certainty.POSSIBLE: "may remove",
    Certainty.DOUBTFUL: "may remove",
    Certainty.CERTAIN: "removes",
}


def cautions_of(
    plan: NamespacePlan, row: NamespaceResult, task: Task, memory: Memory, now: datetime
) -> tuple[Caution, ...]:
    """Return the warnings about what of a plan was written, or may have been: the Secret, then the ServiceAccounts."""
    return tuple(_cautions(plan, row, task, memory, now))


def _cautions(
    plan: NamespacePlan, row: NamespaceResult, task: Task, memory: Memory, now: datetime
) -> Iterator[Caution]:
    name = task.request.secret_name
    existing = plan.secret.existing if plan.secret and row.may_have_rewritten_secret else None
    if existing and (found := _of_secret(existing, task.credential.config)):
        fix = secret_remedy(found.by, plan.namespace, name)
        yield _caution(f"secrets/{plan.namespace}/{name}", "the login", found, fix)
    for account in plan.accounts:
        if not row.may_have_written(account.name):
            continue
        past = written(
            memory, (plan.namespace, account.name, name), Past(account.uid, account.holders), now
        )
        if found := _of_account(account, name, past, now):
            listed = (*account.pull_secrets, name)
            fix = account_remedy(found.by, plan.namespace, account.name, listed)
            thing = f"serviceaccounts/{plan.namespace}/{account.name}"
            yield _caution(thing, f"'{name}'", found, fix)


def _of_account(account: ServiceAccount, name: str, past: Past, now: datetime) -> Drift | None:
    found = predict(name, _after(account.signals, now), past, now)
    return found if found.certainty is not Certainty.NONE else None


def _of_secret(secret: Secret, wanted: DockerConfig) -> Drift | None:
    manifest = None if secret.manifest is None else _holds(secret.manifest, wanted)
    past = Past(secret.uid, secret.holders)
    found = predict_secret(_after(secret.signals, None), past, manifest_holds=manifest)
    return found if found.certainty is not Certainty.NONE else None


def _after(signals: Signals, now: datetime | None) -> Signals:
    """Return the signals as they will be once the write is made."""
    return replace(signals, owners=_OURS, written_at=now, others_at=())


def _holds(content: bytes, wanted: DockerConfig) -> bool:
    try:
        return holds(parse_docker_config(content), wanted)
    except InvalidCredential:
        return False


def _caution(thing: str, what: str, found: Drift, fix: str) -> Caution:
    sure = found.certainty is Certainty.CERTAIN
    code = CautionCode.DRIFT if sure else CautionCode.DRIFT_POSSIBLE
    detail = f"{found.by} {_WILL[found.certainty]} {what} {found.when}"
    return Caution(code, found.by, thing, detail, fix)
