"""Who may do what, where: roles, bindings of subjects to them, and whether they cover what is asked for."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice

from remediation.patterns import matcher, subsumes

ALL = ("*",)
MOST_PLACES = 100


class Permission(StrEnum):
    """What a caller may be allowed to do."""

    CREATE_REMEDIATIONS = "remediations:create"
    READ_REMEDIATIONS = "remediations:read"
    CANCEL_REMEDIATIONS = "remediations:cancel"
    MANAGE_REMEDIATIONS = "remediations:manage"  # cancel, retry and undo those of others
    CREATE_READINESS_CHECKS = "readiness:create"
    READ_READINESS_CHECKS = "readiness:read"
    APPROVE_REMEDIATIONS = "remediations:approve"
    PAUSE_SERVICE = "service:pause"
    READ_INVENTORY = "inventory:read"
    READ_SYSTEM = "system:read"
    READ_AUDIT = "audit:read"


class Role(StrEnum):
    """What a binding makes of its subjects."""

    VIEWER = "viewer"
    REQUESTER = "requester"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    ADMIN = "admin"


_VIEWER = frozenset(
    {
        Permission.READ_REMEDIATIONS,
        Permission.READ_READINESS_CHECKS,
        Permission.READ_INVENTORY,
        Permission.READ_SYSTEM,
    }
)
_REQUESTER = _VIEWER | {
    Permission.CREATE_REMEDIATIONS,
    Permission.CANCEL_REMEDIATIONS,
    Permission.CREATE_READINESS_CHECKS,
}
ROLES: Mapping[Role, frozenset[Permission]] = {
    Role.VIEWER: _VIEWER,
    Role.REQUESTER: _REQUESTER,
    Role.OPERATOR: _REQUESTER
    | {
        Permission.MANAGE_REMEDIATIONS,
        Permission.APPROVE_REMEDIATIONS,
        Permission.PAUSE_SERVICE,
    },
    Role.AUDITOR: _VIEWER | {Permission.READ_AUDIT},
    Role.ADMIN: frozenset(Permission),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A role, and where it counts: patterns of clusters, of their namespaces, and of names of credentials."""

    role: Role
    clusters: tuple[str, ...]
    namespaces: tuple[str, ...]
    credentials: tuple[str, ...]

    def gives(self, permission: Permission) -> bool:
        """Tell whether the role has the permission."""
        return permission in ROLES[self.role]


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asked, as it is kept with what was asked: `subject` with its prefix, `groups` without."""

    subject: str
    groups: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names by which bindings may call it."""
        return (self.subject, *(f"group:{group}" for group in self.groups))


@dataclass(frozen=True, slots=True)
class Warrant:
    """On whose behalf work is done, and the permission that it needs wherever it is done.

    `approved` says that a second person agreed.
    """

    requester: Requester
    needs: Permission = Permission.CREATE_REMEDIATIONS
    approved: bool = False


@dataclass(frozen=True, slots=True)
class Binding:
    """Gives a grant to some subjects: names with their prefix, or globs."""

    subjects: tuple[str, ...]
    grant: Grant


@dataclass(frozen=True, slots=True)
class Policy:
    """All bindings, and the clusters (globs) that nobody may change alone. There is nothing secret in it."""

    bindings: tuple[Binding, ...] = ()
    protected: tuple[str, ...] = ()

    def grants_of(self, requester: Requester) -> tuple[Grant, ...]:
        """Return what the requester has been given, in the order of the bindings."""
        return tuple(
            binding.grant
            for binding in self.bindings
            if any(map(matcher(binding.subjects), requester.names))
        )


@dataclass(frozen=True, slots=True)
class Place:
    """What is asked for, as patterns: some namespaces of some clusters."""

    cluster: str
    namespace: str

    def __str__(self) -> str:
        return f"namespaces '{self.namespace}' of clusters '{self.cluster}'"


@dataclass(frozen=True, slots=True)
class Rights:
    """What the grants of one caller come to, for one permission after the other."""

    grants: tuple[Grant, ...] = field(default=())

    @property
    def permissions(self) -> frozenset[Permission]:
        """All that may be done, be it in one place only."""
        return frozenset().union(*(ROLES[grant.role] for grant in self.grants))

    @property
    def roles(self) -> tuple[Role, ...]:
        """The roles, each once, the weakest first."""
        held = {grant.role for grant in self.grants}
        return tuple(role for role in Role if role in held)

    def roles_giving(self, permission: Permission) -> tuple[Role, ...]:
        """Return the roles that have the permission, each once, the weakest first."""
        return tuple(role for role in self.roles if permission in ROLES[role])

    def clusters(self, permission: Permission) -> Callable[[str], bool]:
        """Return a test for the clusters on which the permission counts, be it in one namespace only."""
        return matcher(_joined(grant.clusters for grant in self._giving(permission)))

    def namespaces(self, permission: Permission, cluster: str) -> tuple[str, ...]:
        """Return the patterns of the namespaces of a cluster in which the permission counts."""
        return _joined(
            grant.namespaces
            for grant in self._giving(permission)
            if matcher(grant.clusters)(cluster)
        )

    def uses_cluster(self, permission: Permission, pattern: str) -> bool:
        """Tell whether the permission counts on all clusters of a pattern, be it in one namespace of each only."""
        return any(_within(pattern, grant.clusters) for grant in self._giving(permission))

    def uses_namespace(self, permission: Permission, pattern: str) -> bool:
        """Tell whether the permission counts in all namespaces of a pattern, be it on one cluster only."""
        return any(_within(pattern, grant.namespaces) for grant in self._giving(permission))

    def credentials(self, permission: Permission) -> Callable[[str], bool]:
        """Return a test for the credentials that go with the permission, be it on one cluster only."""
        return matcher(_joined(grant.credentials for grant in self._giving(permission)))

    def everywhere(self, permission: Permission) -> bool:
        """Tell whether the permission counts in every namespace of every cluster."""
        return not self.uncovered(permission, ALL, ALL)

    def uncovered(
        self,
        permission: Permission,
        clusters: Collection[str],
        namespaces: Collection[str],
        credential: str | None = None,
    ) -> list[Place]:
        """Return what of the clusters and namespaces (patterns) the permission does not cover, with this credential.

        At most MOST_PLACES of it, for two long lists make many pairs.
        Something is covered if one grant covers all of it. Two grants that only together would are not enough.
        `credential` is a name, "*" for one that has no name, None where none is used.
        """
        giving = [
            grant
            for grant in self._giving(permission)
            if credential is None or _within(credential, grant.credentials)
        ]
        return list(islice(_uncovered(giving, clusters, namespaces), MOST_PLACES))

    def _giving(self, permission: Permission) -> Iterator[Grant]:
        return (grant for grant in self.grants if grant.gives(permission))


def _uncovered(
    grants: Sequence[Grant], clusters: Collection[str], namespaces: Collection[str]
) -> Iterator[Place]:
    """Yield what no grant covers. Each pattern is compared once with each of a grant, never pair by pair."""
    whole = [(name, _covering(name, [grant.namespaces for grant in grants])) for name in namespaces]
    for cluster in clusters:
        here = _covering(cluster, [grant.clusters for grant in grants])
        for namespace, there in whole:
            if not here & there:
                yield Place(cluster, namespace)


def _covering(pattern: str, of_grants: Iterable[Sequence[str]]) -> int:
    """Return which grants, by their bits, cover all that a pattern means."""
    bits = (1 << at for at, patterns in enumerate(of_grants) if _within(pattern, patterns))
    return sum(bits)


def _within(pattern: str, patterns: Iterable[str]) -> bool:
    return any(subsumes(wider, pattern) for wider in patterns)


def _joined(lists: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(pattern for patterns in lists for pattern in patterns))
