"""The policies of `deploy/stack.yaml`, and what they say to a call: the part of IAM's evaluation that
they use. A denial wins, and a condition on a key that the call does not carry does not hold."""

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from hokusai_validation_tests.deploy.operations import ACCOUNT, REGION, Call

DEPLOY = Path(__file__).parents[2] / "deploy"
_PSEUDO = {"AWS::Partition": "aws", "AWS::Region": REGION, "AWS::AccountId": ACCOUNT}

Statement = Mapping[str, Any]


class Stack:
    """The template, with `names` for what its parameters and resources are called; a name that is
    not given stands for itself."""

    def __init__(self, names: Mapping[str, str] | None = None) -> None:
        self._names = {**_PSEUDO, **(names or {})}
        loader = type("_Loader", (yaml.CSafeLoader,), {})
        loader.add_multi_constructor("!", self._tag)  # type: ignore[attr-defined]
        loaded = yaml.load((DEPLOY / "stack.yaml").read_text(), Loader=loader)
        self.resources: Mapping[str, Any] = loaded["Resources"]

    def _tag(self, loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            assert isinstance(node, yaml.SequenceNode)
            return loader.construct_sequence(node)
        text = str(node.value)
        if tag == "Sub":
            return re.sub(r"\$\{([^}]+)\}", lambda match: self._named(match[1]), text)
        return self._named(text)

    def _named(self, name: str) -> str:
        return self._names.get(name, name)

    def statements(self, *policies: str) -> list[Statement]:
        """Those of some policies."""
        return [
            statement
            for policy in policies
            for statement in self.resources[policy]["Properties"]["PolicyDocument"]["Statement"]
        ]

    def policies_of(self, role: str) -> list[str]:
        """The template's policies that a role has."""
        named = self.resources[role]["Properties"].get("ManagedPolicyArns", [])
        attached = [
            name
            for name, resource in self.resources.items()
            if resource["Type"] == "AWS::IAM::ManagedPolicy"
            and role in resource["Properties"].get("Roles", [])
        ]
        return [each for each in named if each in self.resources] + attached

    def policies(self) -> list[str]:
        """All of them."""
        return [name for name, each in self.resources.items() if each["Type"] == "AWS::IAM::ManagedPolicy"]

    def refused(self, calls: Iterable[Call], *policies: str) -> list[str]:
        """The calls that some policies together do not allow."""
        statements = self.statements(*policies)
        return sorted({str(call) for call in calls if not allows(statements, call)})

    def unused(self, calls: Iterable[Call], *policies: str) -> dict[str, set[str]]:
        """By policy, the actions for which no call was made that its own statement allows."""
        made = list(calls)
        left: dict[str, set[str]] = {}
        for policy in policies:
            for statement in self.statements(policy):
                if statement["Effect"] != "Allow":
                    continue
                for action in many(statement["Action"]):
                    if not any(call.action == action and matches(statement, call) for call in made):
                        left.setdefault(policy, set()).add(action)
        return left


def many(value: str | list[str]) -> list[str]:
    """IAM lets one stand for a list of one."""
    return [value] if isinstance(value, str) else list(value)


def allowed_actions(statements: Iterable[Statement]) -> set[str]:
    """Every action that is allowed on anything."""
    return {action for each in statements if each["Effect"] == "Allow" for action in many(each["Action"])}


def allows(statements: Iterable[Statement], call: Call) -> bool:
    """What IAM would say."""
    effects = {each["Effect"] for each in statements if matches(each, call)}
    return effects == {"Allow"}


def matches(statement: Statement, call: Call) -> bool:
    """Whether a statement speaks of a call."""
    return (
        any(fnmatchcase(call.action, pattern) for pattern in many(statement["Action"]))
        and any(fnmatchcase(call.resource, pattern) for pattern in many(statement["Resource"]))
        and all(
            _holds(operator, key, many(wanted), dict(call.keys))
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _holds(operator: str, key: str, wanted: list[str], given: Mapping[str, str]) -> bool:
    assert operator in ("ArnEquals", "ArnLike", "StringEquals"), operator
    like = operator != "StringEquals"
    return key in given and any(
        fnmatchcase(given[key], each) if like else given[key] == each for each in wanted
    )
