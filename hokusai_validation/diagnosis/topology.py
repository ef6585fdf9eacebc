"""The target's components as a graph: who depends on whom, and how hard."""

from collections.abc import Mapping
from functools import cached_property

from hokusai_validation.target import Target
from hokusai_validation.topology import Component, Role


class Graph:
    """Edges go to what a component depends on. Cycles and names that nobody declared are borne."""

    def __init__(self, target: Target) -> None:
        self._nodes: Mapping[str, Component] = target.topology
        self._instances = {instance.name for instance in target.instances}
        self._instances |= set(target.control.processes) - set(self._nodes) if target.control else set()

    def __contains__(self, name: object) -> bool:
        return name in self._nodes

    def part(self, role: Role) -> str | None:
        """The component that plays a role."""
        return next((name for name, node in self._nodes.items() if node.role is role), None)

    def users(self, component: str) -> frozenset[str]:
        """Who depends on a component directly."""
        return frozenset(name for name, node in self._nodes.items() if component in node.depends_on)

    def instances_of(self, component: str) -> frozenset[str]:
        """The names of a component's instances, as far as the target file has them."""
        return frozenset(name for name in self._instances if self.component_of(name) == component)

    def component_of(self, name: str) -> str:
        """The topology's name for what a fact calls `name`: an instance is its component, an edge
        (`api-1->mlflow`) is where it goes to."""
        name = name.rpartition("->")[2].strip()
        if name in self._nodes:
            return name
        stem = name.rstrip("0123456789").rstrip("-")
        return stem if stem in self._nodes else name

    def instance_of(self, name: str | None) -> str | None:
        """The instance that a fact's name or `via` means, or None where it means a component."""
        if not name:
            return None
        name = name.partition("->")[0].strip()
        if name in self._nodes:
            return None
        is_numbered = name[-1:].isdigit() and self.component_of(name) in self._nodes
        return name if name in self._instances or is_numbered else None

    def below(self, component: str) -> frozenset[str]:
        """Everything that a component depends on, however indirectly; not itself."""
        return self._below.get(component, frozenset())

    def above(self, component: str) -> frozenset[str]:
        """Everything that depends on a component; not itself."""
        return frozenset(name for name, below in self._below.items() if component in below)

    def depth(self, component: str) -> int:
        """How many components, at least, lie above: deeper explains more."""
        return len(self.above(component))

    def breaks(self, upper: str, lower: str) -> bool:
        """Whether `upper` can't do its work without `lower`: a way down over components that are
        critical to whoever stands on them."""
        seen, queue = set(), [upper]
        while queue:
            node = queue.pop()
            for dependency in self._nodes[node].depends_on if node in self._nodes else ():
                declared = self._nodes.get(dependency)
                if dependency in seen or declared is None or not declared.critical:
                    continue
                if dependency == lower:
                    return True
                seen.add(dependency)
                queue.append(dependency)
        return False

    def is_critical(self, component: str) -> bool:
        """Whether users are without service when it is out."""
        node = self._nodes.get(component)
        return node is not None and node.critical

    def is_optional(self, component: str) -> bool:
        """Whether a deployment may do without it."""
        node = self._nodes.get(component)
        return node is not None and node.optional

    def is_deployed(self, component: str) -> bool:
        """Whether the target has it at all (an unknown name counts as deployed)."""
        node = self._nodes.get(component)
        return node is None or node.deployed

    def team(self, component: str) -> str:
        """Who owns it; empty for a name that nobody declared."""
        node = self._nodes.get(component)
        return node.team if node else ""

    @cached_property
    def _below(self) -> dict[str, frozenset[str]]:
        found = {}
        for name in self._nodes:
            seen: set[str] = set()
            queue = list(self._nodes[name].depends_on)
            while queue:
                node = queue.pop()
                if node in seen:
                    continue
                seen.add(node)
                if node in self._nodes:
                    queue += self._nodes[node].depends_on
            found[name] = frozenset(seen - {name})
        return found
