"""What people may have to be told of a run, in some KiB: the sensors look at it every half minute, for every target."""

from pydantic import BaseModel, ConfigDict

from hokusai_validation.report import Priority, Report, Verdict

SPOKEN_OF = (Priority.P0, Priority.P1)


class OpenCause(BaseModel):
    """A cause that is worth telling. `kind` is the finding's cause."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    key: str
    kind: str
    title: str
    priority: Priority
    component: str
    team: str
    impact: str

    @property
    def signature(self) -> str:
        """What makes a known cause news again: another priority, component or kind, not another count."""
        return f"{self.kind}|{self.component}|{self.priority}"


class News(BaseModel):
    """Of the newest run of a target."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    run_id: str
    target: str
    verdict: Verdict
    headline: str
    causes: tuple[OpenCause, ...] = ()

    @classmethod
    def of(cls, report: Report) -> "News":
        """Only critical matters are spoken of: P0 and P1 causes, and an unhealthy verdict."""
        return cls(
            run_id=report.run_id,
            target=report.target,
            verdict=report.verdict,
            headline=report.headline,
            causes=tuple(
                OpenCause(
                    key=each.key,
                    kind=each.cause.value,
                    title=each.title,
                    priority=each.priority,
                    component=each.component,
                    team=each.team,
                    impact=each.impact,
                )
                for each in report.findings
                if each.priority in SPOKEN_OF
            ),
        )
