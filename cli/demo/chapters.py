"""The chapters of the story: each does one thing as its people would, and checks it at the parts themselves."""

from cli.demo.checks import check, pod_uids
from cli.demo.fleet import items
from cli.demo.judgement import by_class, command, gate, in_words, judge, restart_plan
from cli.demo.pulls import (
    Pulled,
    mend_template,
    pull_anonymously,
    pull_table,
    recreate_pods,
    try_pulls,
)
from cli.demo.request import REASON, request_body
from cli.demo.restarts import carry_out, held, lines
from cli.demo.service import CREDENTIAL
from cli.demo.stage import Stage
from cli.demo.teller import Teller
from cli.demo.workloads import RUNNING_PODS, SECRET, STUBBORN, WORKLOADS
from cli.follow import follow
from cli.request import post
from cli.summary import print_failures, print_remediation

_STUBBORN_PLACE = f"{STUBBORN.namespace}/{STUBBORN.name}"
_TEMPLATE = "W_TEMPLATE_SECRETS"
_OLD_REVISION = "W_DORMANT"


def describe(stage: Stage, teller: Teller) -> None:
    """Say what there is."""
    for cluster in stage.clusters:
        namespaces = len(items(cluster, "/api/v1/namespaces"))
        accounts = len(items(cluster, "/api/v1/serviceaccounts"))
        teller.say(
            f"{cluster.name}: {namespaces} namespaces, {accounts} ServiceAccounts, {RUNNING_PODS} running pods."
        )
    teller.say(
        f"Their images come from {stage.registry.host}, which is public today and will be private."
        f" The service is at {stage.target.url}."
    )
    if stage.nodes.real:
        teller.say(
            "The pods run on real nodes, each with a kubelet, containerd and runc of its own."
        )
    else:
        teller.say(
            f"No real node runs here: {stage.nodes.reason}. The pods are played, and their images are pulled by the"
            " kubelet's and containerd's code."
        )


def would_it_be_safe(stage: Stage, teller: Teller) -> None:
    """Ask before anything is done; then see what would have happened."""
    teller.chapter("Would the pods survive if the registry went private now?")
    teller.command(command(stage.registry.host))
    judged = judge(stage.client, stage.registry.host)
    teller.say(judged.headline)
    teller.say(by_class(judged.findings))
    teller.claim("the verdict is not safe", judged.verdict == "not_safe")
    templates = {
        (cluster.name, one.namespace, one.name)
        for cluster in stage.clusters
        for one in WORKLOADS
        if one.kind != "Pod"
    }
    pods = {
        (cluster.name, one.namespace, one.name)
        for cluster in stage.clusters
        for one in WORKLOADS
        if one.pods
    }
    teller.claim(
        f"all {len(templates)} templates and the pods of all {len(pods)} workloads that run are named",
        judged.named("W_") == templates and judged.named("P_") == pods,
    )
    public = _try_pulls(stage)
    stage.flip()
    private = _try_pulls(stage)
    stage.unflip()
    teller.claim(f"tried: public, {public.told} images of running pods can be pulled", public.ok)
    teller.claim(
        f"tried: private for a moment, {private.told} can be",
        private.refused,
    )


def put_the_secret_in_place(stage: Stage, teller: Teller) -> None:
    """Remediate, and look at the clusters themselves."""
    teller.chapter("Putting the pull Secret in place")
    teller.command(f"remediator run --clusters '*' --credential {CREDENTIAL} --reason '{REASON}'")
    before = pod_uids(stage.clusters)
    remediation = follow(
        stage.client, stage.client.send(post("/remediations", request_body())).body
    )
    teller.pause()
    print_remediation(remediation)
    print_failures(stage.client, remediation)
    teller.pause()
    teller.claim("the remediation succeeded", remediation.get("status") == "succeeded")
    proofs = [
        (cluster.get("registry_check") or {}).get("verdict") for cluster in remediation["clusters"]
    ]
    teller.claim(
        "the login was proven before the first write, at a shadow of the registry that is private already",
        proofs == ["works"] * len(stage.clusters),
    )
    for item in check(stage.clusters, before, stage.registry.host):
        teller.claim(item.claim, item.held)


def renew_what_runs(stage: Stage, teller: Teller) -> None:
    """Ask again, and carry out the restart plan."""
    teller.chapter("Is that enough?")
    teller.command(command(stage.registry.host))
    judged = judge(stage.client, stage.registry.host)
    teller.say(judged.headline)
    teller.say(by_class(judged.findings))
    teller.say(
        "Pods keep the list that they were made with, so they have to be made anew. The check comes with a"
        " restart plan, and the owners carry it out:"
    )
    plans = restart_plan(stage.client, judged.id)
    for plan in plans[:1]:
        for line in lines(plan):
            teller.command(line)
        for name in plan["recreate"]:
            teller.say(f"make again by hand: {name}")
        for text in held(plan):
            teller.say(f"not yet: {text}")
    if len(plans) > 1:
        teller.say(f"… and the same for {', '.join(plan['cluster'] for plan in plans[1:])}.")
    carry_out(stage.clusters, plans, stage.registry.host)
    again = judge(stage.client, stage.registry.host)
    teller.pause()
    teller.say(again.headline)
    teller.say(in_words(again.blocking))
    stubborn = {(cluster.name, STUBBORN.namespace, STUBBORN.name) for cluster in stage.clusters}
    teller.claim(
        f"restarted as planned, one template is left, and its pods: {_STUBBORN_PLACE}",
        again.verdict == "not_safe"
        and again.named("W_") == stubborn
        and again.named("P_") == stubborn
        and {finding["class"] for finding in again.blocking} == {_TEMPLATE},
    )
    teller.claim("the gate is closed", bool(gate(stage.client, again.id)))


def mend_the_template(stage: Stage, teller: Teller) -> None:
    """Do the one thing that no ServiceAccount can do; then pass the gate."""
    teller.chapter("Mending the one template that has a list of its own")
    teller.say(f"Its owners add '{SECRET}' to the list, and the Deployment rolls.")
    mend_template(stage.clusters)
    teller.command(command(stage.registry.host))
    judged = judge(stage.client, stage.registry.host)
    teller.say(judged.headline)
    if judged.blocking:
        teller.say(in_words(judged.blocking))
    teller.claim("the verdict is safe", judged.verdict == "safe")
    stubborn = {(cluster.name, STUBBORN.namespace, STUBBORN.name) for cluster in stage.clusters}
    teller.claim(
        "no template and no running pod is left to worry about, only a rollback to the old template of"
        f" {_STUBBORN_PLACE}",
        judged.named("W_") == judged.named(_OLD_REVISION) == stubborn and not judged.named("P_"),
    )
    teller.command(f"remediator gate {judged.id}")
    closed = gate(stage.client, judged.id)
    teller.claim(f"the gate is closed: {closed}" if closed else "the gate is open", not closed)


def go_private(stage: Stage, teller: Teller) -> None:
    """Flip the registry, and pull everything as nodes do."""
    teller.chapter("The registry goes private")
    stage.flip()
    teller.say(
        "Each image is pulled with what its pod's own imagePullSecrets give, and nothing else:"
        " the kubelet's code finds the login, containerd's code pulls."
    )
    anonymous = Pulled({"": pull_anonymously(stage.puller, stage.registry.host)})
    teller.claim(
        "without a login nothing can be pulled any more",
        anonymous.refused,
    )
    running = _try_pulls(stage)
    _show_failures(running, teller)
    teller.claim(f"every pod that runs can pull: {running.told} images", running.ok)
    if stage.nodes.real:
        teller.say("Each node is replaced by a new one, which has no image yet.")
        stage.nodes.replace(stage.clusters)
    recreate_pods(stage.clusters, stage.registry.host)
    if stage.nodes.real:
        recreated = Pulled(stage.nodes.told(stage.clusters))
        by_whom = "the kubelets of the new nodes pulled for all and started them"
    else:
        recreated = _try_pulls(stage)
        by_whom = "all can pull"
    _show_failures(recreated, teller)
    teller.claim(
        f"every pod was deleted and made again, the CronJobs ran, and {by_whom}: {recreated.told} images",
        recreated.ok,
    )


CHAPTERS = (
    would_it_be_safe,
    put_the_secret_in_place,
    renew_what_runs,
    mend_the_template,
    go_private,
)


def _try_pulls(stage: Stage) -> Pulled:
    return Pulled(try_pulls(stage.puller, stage.clusters))


def _show_failures(found: Pulled, teller: Teller) -> None:
    if not found.ok:
        teller.say(pull_table(found.by_cluster, failures_only=True))
