"""Running one test of the suite as its plugin would, with fixtures of ours: for showing that it
can fail, and with which fact."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hokusai_validation.facts import Fact, FactKind
from hokusai_validation.resources.http import fact_of
from hokusai_validation.result import Status
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.runner.outcome import message_of, requests_failed, status_of
from hokusai_validation.target import Target


@dataclass
class Judgement:
    """What came of one attempt at a check. `seen` has its facts as (kind, component)."""

    status: Status
    message: str
    evidence: Evidence = field(repr=False)

    @property
    def facts(self) -> tuple[Fact, ...]:
        return self.evidence.facts

    @property
    def seen(self) -> set[tuple[FactKind, str]]:
        return {(fact.kind, fact.component) for fact in self.facts}


def judge(check: Callable[..., None], component: str = "api", /, **fixtures: object) -> Judgement:
    """Call the test with those of the fixtures that it asks for; `component` is its catalogue
    entry's, which a failed request is blamed on."""
    evidence = Evidence(Target(name="stub"))
    fixtures = {"evidence": evidence, "instances": ()} | fixtures

    class Asked:
        @staticmethod
        def getfixturevalue(name: str) -> object:
            return fixtures[name]

    fixtures["request"] = Asked()
    wanted = [name for name in inspect.signature(check).parameters if name != "self"]
    arguments = {name: fixtures[name] for name in wanted}
    try:
        check(**arguments)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        for failed in requests_failed(error):
            fact = fact_of(failed, component)
            evidence.fact(fact.kind, fact.component, fact.seen, fact.via)
        own = inspect.getsourcefile(inspect.unwrap(check))
        status = status_of(error, file=None if own is None else Path(own))
        return Judgement(status, message_of(error), evidence)
    return Judgement(Status.PASSED, "", evidence)
