"""Policies of engines that write imagePullSecrets: Kyverno, Gatekeeper, jsPolicy, Kubewarden, Karmada and the like.

What such a policy does is decided by its engine. That it touches a list of Secrets, or the name of a ServiceAccount, is
seen in its text, whichever form its patches have and however they are encoded.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from remediation.readiness.forms import forms
from remediation.readiness.judge import Judge
from remediation.readiness.rewriter import Rewriter, Selector

_ENGINES = re.compile(r"polic|mutat|kyverno|gatekeeper|admission|kubewarden|overrides?\b")
# What these say of lists of Secrets is a condition or a result.
_NO_CHANGE = re.compile(
    r"validat|report|constraint|exception|deleting|cleanup|networkpolic|\.rbac\."
)
_TOUCHES = re.compile(r"imagePullSecrets|serviceAccountName", re.IGNORECASE)
_SHORTEST = len("imagePullSecrets") * 4 // 3
_NAME = "kubernetes.io/metadata.name"
_EVERYWHERE: tuple[Selector, ...] = ()
_CHANGES = ("mutate", "generate")


class Engines:
    """Finds policies that write lists of Secrets among custom resources while those are listed."""

    def __init__(self, judges: Sequence[Judge]) -> None:
        self._judges = judges

    def look(self, resource: str, items: Sequence[object]) -> None:
        """Look over a page of a list; `resource` is its name with the group."""
        if not _ENGINES.search(resource) or _NO_CHANGE.search(resource):
            return
        for raw in items:
            rewriter = _of_raw(resource, raw) if isinstance(raw, msgspec.Raw) else None
            if rewriter:
                for judge in self._judges:
                    judge.add_rewriter(rewriter)


def _of_raw(resource: str, raw: msgspec.Raw) -> Rewriter | None:
    touches = _touch(bytes(raw).decode(errors="replace"))
    return _of_policy(resource, msgspec.json.decode(raw)) if touches else None


def _of_policy(resource: str, document: Mapping[str, Any]) -> Rewriter | None:
    meta, spec = document.get("metadata") or {}, document.get("spec") or {}
    if str(spec.get("type", "")).lower() == "validating" or spec.get("mutating") is False:
        return None
    told = {key: each for key, each in document.items() if key not in ("metadata", "status")}
    touching = [*_touching(spec.get("rules"))] if "kyverno" in resource else []
    if "kyverno" in resource and spec.get("rules") and not touching:
        return None
    namespace = str(meta.get("namespace") or "")
    scopes = [_named([namespace])] if namespace else [*_scopes(touching or [spec])]
    return Rewriter(
        str(document.get("kind") or resource),
        str(meta.get("name", "")),
        changes=_found_in(told),
        scopes=tuple(scopes) or (_EVERYWHERE,),
        unseen=True,
        namespace=namespace,
    )


def _touching(rules: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the rules of Kyverno whose changes, not only whose conditions, name a list."""
    for rule in rules if isinstance(rules, list) else ():
        changes = [rule[key] for key in _CHANGES if rule.get(key)]
        if changes and _touch(msgspec.json.encode(changes).decode()):
            yield rule


def _scopes(rules: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Selector, ...]]:
    """Yield to which namespaces rules are limited, as far as that is told in names and labels."""
    for rule in rules:
        match = rule.get("match") or {}
        elsewhere = (rule.get("mutate") or {}).get("targets") or rule.get("generate")
        filters = [*(match.get("any") or ()), *(match.get("all") or ())] or [match]
        for each in filters:
            limits = each.get("resources") or each
            names, selector = limits.get("namespaces") or (), limits.get("namespaceSelector")
            plain = names and not any(set(str(name)) & set("*?") for name in names)
            if elsewhere:
                yield _EVERYWHERE
            else:
                yield (*(_named(names) if plain else ()), *([selector] if selector else ()))


def _named(names: Iterable[str]) -> tuple[Selector, ...]:
    return ({"matchExpressions": [{"key": _NAME, "operator": "In", "values": [*names]}]},)


def _touch(text: str) -> bool:
    return any(map(_TOUCHES.search, forms(text, _SHORTEST).texts))


def _found_in(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what of a document names a list of Secrets or a ServiceAccount, as the API spells it."""
    texts = forms(msgspec.json.encode(document).decode(), _SHORTEST).texts
    found = {one.lower() for text in texts for one in _TOUCHES.findall(text)}
    spelled = {"imagepullsecrets": "imagePullSecrets", "serviceaccountname": "serviceAccountName"}
    return tuple(spelled[one] for one in sorted(found))
