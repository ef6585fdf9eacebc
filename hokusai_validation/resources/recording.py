"""What was asked of the target and what came back, noted where it is asked.

One recorder a process and an attempt at a test; every connection of `resources/` tells it, from any
thread. Without one (the command line, a library) nothing is kept.
"""

import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

from hokusai_validation import operations
from hokusai_validation.observation import Edge, ErrorClass, Kind, Native, Observation, Outcome
from hokusai_validation.operations import Operation
from hokusai_validation.resources import classification, own_faults, reports
from hokusai_validation.resources.classification import AnswerRead, Classified
from hokusai_validation.resources.hanging import Asked
from hokusai_validation.resources.places import AWS, UNKNOWN, Place, address
from hokusai_validation.resources.recorder import Recorder
from hokusai_validation.topology import Role

TIMEOUTS = frozenset(
    {
        ErrorClass.CONNECT_TIMEOUT,
        ErrorClass.READ_TIMEOUT,
        ErrorClass.STATEMENT_TIMEOUT,
        ErrorClass.LOCK_TIMEOUT,
    }
)
# Whose errors a log's lines are, by the system that names them.
_LOGGED: Mapping[str, str] = {
    "postgresql": "database",
    "redis": "cache",
    "s3": "artifact_store",
    "aws": "artifact_store",
}
INSTANCE_LIMIT = 80  # characters of a name that a response header gives


class Question:
    """One question on its way. Exactly one of `ok`, `failed` and `answered` ends it; what is told
    later is passed over."""

    def __init__(
        self,
        recorder: Recorder | None,
        operation: Operation,
        place: Place,
        host: str,
        port: int | None,
        scheme: str = "http",
        *,
        subject: str | None = None,
    ) -> None:
        self.id = ""
        self.traceparent = ""
        self._recorder = recorder
        if recorder is None:  # its methods then do nothing
            return
        self.operation = operation
        self.place = place
        self.instance = place.instance
        self._host = host
        self._port = port
        self._subject = subject
        path = operations.path_of(
            operation, dialled=place.dialled, names=recorder.places.names, scheme=scheme
        )
        self._path = path + recorder.places.behind(path[-1].to)
        self._span_id = secrets.token_hex(8)
        self.traceparent = f"00-{recorder.trace_id}-{self._span_id}-01"  # W3C Trace Context, sampled
        self._faults = own_faults.labels()
        self._started_at = datetime.now(UTC)
        self._mono_start_s = time.monotonic()

    @property
    def asked(self) -> Asked | None:
        """What it is known by when it is put again; None where nobody records, or a watch asks."""
        return (
            None
            if self._recorder is None or self._recorder.watches
            else Asked(self._host, self._port, self.operation.name)
        )

    @property
    def elapsed_ms(self) -> float:
        """Since it was asked."""
        return (time.monotonic() - self._mono_start_s) * 1000

    def ok(self, **numbers: float) -> None:
        """A good answer came."""
        self._end(Outcome.OK, None, numbers)

    def in_state(self, native: Native, error_class: ErrorClass | None, numbers: Mapping[str, float]) -> None:
        """A state was read; with a class it is another than it should be."""
        outcome = Outcome.OK if error_class is None else Outcome.UNEXPECTED
        error = None if error_class is None else Classified(error_class, native)
        self._end(outcome, error, numbers)

    def failed(self, error: Classified, **numbers: float) -> None:
        """None came, or an error."""
        outcome = Outcome.TIMEOUT if error.error_class in TIMEOUTS else Outcome.ERROR
        self._end(outcome, error, numbers)

    def answered(
        self, status: int, headers: Mapping[str, str], body: bytes, **numbers: float
    ) -> AnswerRead | None:
        """An HTTP answer came."""
        if self._recorder is None or self.id:
            return None
        header = self._recorder.places.instance_header
        if self.instance is None and header and (named := headers.get(header)):
            self.instance = named[:INSTANCE_LIMIT]
        read = classification.of_answer(status, headers, body)
        by = self._answered_by(read, status)
        numbers["bytes"] = float(len(body))
        outcome = Outcome.OK if read.error is None else Outcome.ERROR
        self._end(outcome, read.error, numbers, status=status, answered_by=by)
        for report in reports.of_answer(self.operation.name, status, body):
            self._repeat(report)
        if read.met is not None:
            self._repeat_error(read.met, by)
        return read

    def _repeat(self, report: reports.Report) -> None:
        """What the answering component says of a part of its own is an observation of that part."""
        if self._recorder is None:
            return
        places = self._recorder.places
        role = reports.ROLES.get(report.part, "")
        part = places.names.get(role) or report.part
        operation = replace(operations.find(report.operation), role=role)
        asker = places.names.get(self.place.role) or self.place.dialled
        path = operations.path_of(operation, dialled=part, names=places.names, asker=asker)
        numbers = {} if report.elapsed_ms is None else {"elapsed_ms": report.elapsed_ms}
        self._add_repeated(operation, asker, part, path, report.error, numbers)

    def _repeat_error(self, error: Classified, by: str | None) -> None:
        """An error that a component repeats is that of the edge on the question's path which speaks the
        error's protocol; of several of one protocol none."""
        if self._recorder is None:
            return
        deep = [edge for edge in self._path if edge.protocol == error.native.system != "http"]
        if not deep and by is not None:
            # Of several it does not say which.
            spoken = error.native.system
            onward = [
                edge
                for edge in self._path
                if edge.source == by and (edge.protocol == "http" or spoken == "bytes")
            ]
            deep = onward if len(onward) == 1 else []
        if not deep:
            return
        edge = deep[-1].model_copy(update={"optional": False})
        operation = replace(operations.find("reported.error"), kind=self.operation.kind)
        self._add_repeated(operation, edge.source, edge.to, (edge,), error, {})

    def _add_repeated(
        self,
        operation: Operation,
        asker: str,
        part: str,
        path: tuple[Edge, ...],
        error: Classified | None,
        numbers: Mapping[str, float],
    ) -> None:
        if self._recorder is None:
            return
        outcome = Outcome.OK
        if error is not None:
            outcome = Outcome.TIMEOUT if error.error_class in TIMEOUTS else Outcome.ERROR
        self._recorder.add(
            Observation(
                id="",
                operation=operation.name,
                kind=operation.kind,
                asker=asker,
                dialled=part,
                instance=self.instance,
                path=path,
                started_at=self._started_at,
                ended_at=datetime.now(UTC),
                mono_start_s=round(self._mono_start_s, 4),
                outcome=outcome,
                error_class=None if error is None else error.error_class,
                native=None if error is None else error.native,
                numbers=dict(numbers),
                faults_on=tuple(sorted({*self._faults, *own_faults.labels()})),
            )
        )

    def _answered_by(self, read: AnswerRead, status: int) -> str | None:
        """The component that wrote the answer; the program's name where it is none of the target's."""
        if self._recorder is None:
            return None
        places = self._recorder.places
        if read.author == "mlflow":
            return places.role(Role.TRACKING_SERVER)
        if read.author in ("fastapi", "uvicorn", "gunicorn", "hypercorn", "werkzeug"):
            return places.names.get(self.place.role) or self.place.dialled
        if read.author == "awselb":
            return places.role(Role.LOAD_BALANCER)
        if read.author == "s3":
            return places.role(Role.ARTIFACT_STORE)
        if read.author is not None:
            # A proxy writes its own name on what it passes on as well: only an error page is its own.
            return read.author if status >= 400 else None
        direct = self.place.instance is not None or places.names.get(self.place.role) == self.place.dialled
        return self.place.dialled if direct else None

    def _end(
        self,
        outcome: Outcome,
        error: Classified | None,
        numbers: Mapping[str, float],
        *,
        status: int | None = None,
        answered_by: str | None = None,
    ) -> None:
        if self._recorder is None or self.id:
            return
        if error is not None and error.error_class in _provoked and not self._recorder.watches:
            outcome, error = Outcome.OK, None
        self.id = self._recorder.add(
            Observation(
                id="",
                operation=self.operation.name,
                kind=self.operation.kind,
                dialled=self.place.dialled,
                host=self._host,
                port=self._port,
                instance=self.instance,
                path=self._path,
                answered_by=answered_by,
                subject=self._subject,
                started_at=self._started_at,
                ended_at=datetime.now(UTC),
                mono_start_s=round(self._mono_start_s, 4),
                outcome=outcome,
                error_class=None if error is None else error.error_class,
                native=None if error is None else error.native,
                status=status,
                numbers={"elapsed_ms": round(self.elapsed_ms, 3), **numbers},
                trace_id=self._recorder.trace_id,
                span_id=self._span_id,
                faults_on=tuple(sorted({*self._faults, *own_faults.labels()})),
            )
        )


_NOBODY = Question(None, Operation("", Kind.READ), Place(""), "", None)  # told, it keeps nothing
_current: Recorder | None = None
_of_thread = threading.local()  # `recorder`: of one thread alone
_provoked: frozenset[ErrorClass] = frozenset()
_about: str | None = None


@contextmanager
def recording(recorder: Recorder) -> Iterator[Recorder]:
    """What is asked in the block, by any thread of this process, is told to the recorder."""
    global _current
    before, _current = _current, recorder
    try:
        yield recorder
    finally:
        _current = before


@contextmanager
def recording_thread(recorder: Recorder) -> Iterator[None]:
    """What is asked in the block by this thread is told to that recorder, whatever test runs meanwhile."""
    _of_thread.recorder = recorder
    try:
        yield
    finally:
        del _of_thread.recorder


@contextmanager
def provoked(*classes: ErrorClass) -> Iterator[None]:
    """In the block these errors are what was to be seen: a refusal that a test asks for. For one
    thread at a time, as tests are."""
    global _provoked
    before, _provoked = _provoked, frozenset(classes)
    try:
        yield
    finally:
        _provoked = before


@contextmanager
def about(component: str) -> Iterator[None]:
    """What is asked in the block is asked of that component, wherever it is dialled: a target's own
    check says so. For one thread at a time."""
    global _about
    before, _about = _about, component
    try:
        yield
    finally:
        _about = before


@contextmanager
def unrecorded() -> Iterator[None]:
    """What is asked in the block is not asked of the target."""
    global _current
    before, _current = _current, None
    try:
        yield
    finally:
        _current = before


def current() -> Recorder | None:
    """Who is told at present."""
    own: Recorder | None = getattr(_of_thread, "recorder", None)
    return own or _current


def met(observation: str) -> None:
    """The answer recorded under that id is what was promised."""
    if (recorder := current()) is not None and observation:
        recorder.met(observation)


def settled_by(observation: str, asker: str, role: str) -> None:
    """The answer recorded under that id is one that `asker` (a role) had to ask another for."""
    if (recorder := current()) is not None and observation:
        names = recorder.places.names
        part = names.get(role)
        if part is not None:
            recorder.settled_by(observation, names.get(asker) or asker, part)


def unmet(observation: str, expected: str, error_class: ErrorClass) -> None:
    """It is not: which promise (a short name of ours), and in which way."""
    if (recorder := current()) is not None and observation:
        recorder.unmet(observation, expected, error_class)


def logged(component: str, text: str, failure: Observation) -> bool:
    """What a component wrote down of a failure: where its lines tell of an error of a part behind it on the
    failure's path, that is an observation of that part, at the failure's time. Gives whether they do."""
    recorder = current()
    if recorder is None:
        return False
    behind = {edge.to for edge in failure.path} - {component}
    for line in reversed(text.splitlines()):
        error = classification.of_text(line)
        role = None if error is None else _LOGGED.get(error.native.system)
        part = recorder.places.names.get(role or "")
        if error is not None and part in behind:
            _add_logged(recorder, component, part, error, failure)
            return True
    return False


def _add_logged(
    recorder: Recorder, component: str, part: str, error: classification.Classified, failure: Observation
) -> None:
    operation = operations.find("reported.log")
    recorder.add(
        Observation(
            id="",
            operation=operation.name,
            kind=failure.kind,
            asker=component,
            dialled=part,
            path=(Edge(source=component, to=part, protocol=error.native.system),),
            started_at=failure.started_at,
            ended_at=failure.ended_at,
            mono_start_s=failure.mono_start_s,
            outcome=Outcome.TIMEOUT if error.error_class in TIMEOUTS else Outcome.ERROR,
            error_class=error.error_class,
            native=error.native,
        )
    )


def ask_http(method: str, url: str, *, with_key: bool = False) -> Question:
    """A request that is about to be sent."""
    recorder = current()
    if recorder is None:
        return _NOBODY
    host, port = address(url)
    place = _placed(recorder, recorder.places.at(host, port))
    try:
        parts = urlsplit(url)
        path, scheme = (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), parts.scheme
    except ValueError:
        path, scheme = "/", "http"
    operation = operations.of_request(
        place.role or place.dialled, method, path, with_key=with_key, proxy=recorder.places.proxy
    )
    return Question(recorder, operation, place, host, port, scheme)


def ask(name: str, role: str, host: str, port: int | None, *, instance: str | None = None) -> Question:
    """A question of another protocol, by its name in the table of operations, put to a role."""
    recorder = current()
    if recorder is None:
        return _NOBODY
    operation, scheme = operations.find(name), "http"
    if _about is None:
        place = Place(recorder.places.role(role), role, instance)
    else:
        place = _placed(recorder, Place(UNKNOWN))
        operation, scheme = replace(operation, role=place.role), operations.PROTOCOLS.get(role, "tcp")
    return Question(recorder, operation, place, host, port, scheme)


def ask_tls(host: str, port: int) -> Question:
    """A server that is about to be asked for its certificate."""
    recorder = current()
    if recorder is None:
        return _NOBODY
    place = _placed(recorder, recorder.places.at(host, port))
    return Question(recorder, operations.find("tls.certificate"), place, host, port, "tls")


def ask_aws(action: str, arguments: Mapping[str, object]) -> Question:
    """A call of AWS, by its IAM action. It is about the component that its arguments name; S3's is the
    store itself, which is asked over its own interface."""
    recorder = current()
    if recorder is None:
        return _NOBODY
    places = recorder.places
    service = action.partition(":")[0]
    asked = Operation(f"aws.{action.replace(':', '.')}", Kind.READ)
    store = places.names.get("artifact_store")
    place = Place(store) if service == "s3" and store is not None else Place(AWS)
    scheme = "s3" if place.dialled == store else "aws"
    return Question(recorder, asked, place, "", None, scheme, subject=places.subject_of(arguments))


def ask_name(name: str, record: str = "A") -> Question:
    """A name that is about to be looked up. Its IPv6 addresses say nothing of its IPv4 ones."""
    recorder = current()
    if recorder is None:
        return _NOBODY
    place = Place(recorder.places.names_of(name))
    subject = _about or recorder.places.of_host(name)
    return Question(
        recorder,
        operations.find("dns.resolve" if record == "A" else "dns.resolve.ipv6"),
        place,
        name,
        None,
        "dns",
        subject=subject,
    )


def _placed(recorder: Recorder, found: Place) -> Place:
    """Where a question goes: to the component that it is about, over what is at the address."""
    if _about is None or _about in (found.dialled, recorder.places.names.get(found.role)):
        return found
    dialled = _about if found.dialled == UNKNOWN else found.dialled
    return Place(dialled, recorder.places.role_of(_about), found.instance)


def state(
    role: str, code: str, *, system: str, error_class: ErrorClass | None = None, **numbers: float
) -> None:
    """A store's own word for the state that it is in; with `error_class` it is not a good one."""
    question = ask("state", role, "", None)
    question.in_state(Native(system=system, code=code), error_class, numbers)
