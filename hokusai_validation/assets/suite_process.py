"""The suite as a process beside this one, for Dagster a Pipes client. What it is to do goes in by Pipes,
progress comes back; its rows stand on its record."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from dagster_pipes import PipesDefaultMessageWriter, PipesExtras, PipesParams
from pydantic import BaseModel, JsonValue, ValidationError

from hokusai_validation.assets.progress import Told
from hokusai_validation.catalogue import find, phase_entries
from hokusai_validation.effective import EffectiveTarget
from hokusai_validation.redaction import Redactor
from hokusai_validation.result import Phase, Result
from hokusai_validation.runner import process, standby
from hokusai_validation.runner.process import Ended
from hokusai_validation.runner.warming import warm_up
from hokusai_validation.store import record, scratch
from hokusai_validation.store.storage import default_options


class Message(BaseModel):
    """A message of the Pipes protocol."""

    method: str
    params: dict[str, JsonValue] | None = None


class ProgressReader(dg.PipesMessageReader):
    """Reads messages from a file, whole lines only: Dagster's own reader takes the half of a line that is
    being written for a message, and reads no more after it. Damaged ones are counted."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._tail: record.Tail | None = None
        self._handler: dg.PipesMessageHandler | None = None

    @contextmanager
    def read_messages(self, handler: dg.PipesMessageHandler) -> Iterator[PipesParams]:
        """The file for the time of a session."""
        with scratch.folder("hokusai-pipes-") as folder:
            path = folder / "messages"
            self._tail, self._handler = record.Tail(path), handler
            try:
                yield {PipesDefaultMessageWriter.FILE_PATH_KEY: str(path)}
            finally:
                self.poll()

    def poll(self) -> None:
        """Take what has come since."""
        for line in self._tail.fresh() if self._tail is not None else ():
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            message = Message.model_validate_json(line)
        except ValidationError:
            self._told.damaged += 1
            return
        if message.method == "report_custom_message":
            self._told.hear((message.params or {}).get("payload"))
        elif message.method in ("opened", "closed") and self._handler is not None:
            self._handler.handle_message(json.loads(line))

    def no_messages_debug_text(self) -> str:
        """For Dagster's warning."""
        return "Attempted to read messages from a local temporary file."


@dataclass(frozen=True)
class Request:
    """What a suite is started for: a phase, the address of its record, who listens to its progress; the
    phase that follows, for which the process on standby gets ready meanwhile; whether what is needed at the end is
    too."""

    phase: Phase
    target: EffectiveTarget
    address: str
    told: Told
    redactor: Redactor
    following: Phase | None = None
    warms_up: bool = False


class Invocation(dg.PipesClientCompletedInvocation):
    """A suite that has ended."""

    def __init__(self, session: dg.PipesSession, ended: Ended) -> None:
        super().__init__(session)
        self.ended = ended


class SuiteProcess(dg.PipesClient):
    """Runs the suite's command, with `workers` test processes for the tests that only read."""

    def __init__(self, request: Request, workers: int = 0) -> None:
        self._request = request
        self._workers = workers

    def run(
        self,
        *,
        context: dg.OpExecutionContext | dg.AssetExecutionContext,
        extras: PipesExtras | None = None,
        **_: JsonValue,
    ) -> Invocation:
        """Run it to its end; it is ended when its record does not grow any more.

        Raises SuiteError when it can't be started."""
        asked = self._request
        if record.is_file(asked.address):
            Path(asked.address).parent.mkdir(parents=True, exist_ok=True)
        reader, growth = ProgressReader(asked.told), record.growth(asked.address, default_options())
        with dg.open_pipes_session(
            context=context,
            context_injector=dg.PipesTempFileContextInjector(),
            message_reader=reader,
            extras=extras,
        ) as session:

            def rows_so_far() -> int:
                fresh = growth.fresh()
                self._prepare(fresh)
                asked.told.read(fresh)
                reader.poll()
                return growth.rows

            secrets = {name: value.get_secret_value() for name, value in asked.target.secrets.items()}
            ended = process.run(
                process.command(asked.phase, asked.target.name, asked.address, self._workers),
                {**session.get_bootstrap_env_vars(), **secrets},
                rows_so_far=rows_so_far,
                silence_s=process.silence_limit_s(
                    phase_entries(asked.phase, asked.target.target), asked.target.target
                ),
                redactor=asked.redactor,
            )
        return Invocation(session, ended)

    def _prepare(self, fresh: Sequence[Result]) -> None:
        """Use the time in which the suite waits for the target: most of it once its tests run alone."""
        asked = self._request
        entries = [find(row.test, asked.target.target) for row in fresh]
        if not any(entry is not None and entry.exclusive for entry in entries):
            return
        if asked.following is not None:
            standby.prepare_for(asked.following)
        if asked.warms_up:
            warm_up()
