"""What was asked of the target and what came back, noted where it is asked.

One recorder a process and an attempt at a test; every connection of `resources/` tells it, from any
thread. Without one (the command line, a library) nothing is kept.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from urllib.parse import urlsplit

from hokusai_validation import operations
from hokusai_validation.observation import Edge, ErrorClass, Kind, Observation, Outcome
from hokusai_validation.operations import Operation
from hokusai_validation.resources import classification, folding, own_faults
from hokusai_validation.resources.classification import AnswerRead, Classified
from hokusai_validation.resources.places import AWS, Place, Places, address

TIMEOUTS = frozenset(
    {
        ErrorClass.CONNECT_TIMEOUT,
        ErrorClass.READ_TIMEOUT,
        ErrorClass.STATEMENT_TIMEOUT,
        ErrorClass.LOCK_TIMEOUT,
    }
)
# Of one attempt; beyond, like ones are folded whether they passed or not.
ATTEMPT_LIMIT = 400
# What a request is refused for by whoever is asked in good order: as promised, where a test says so.
_ANSWERED = range(400, 500)


class Recorder:
    """The observations of one attempt. `prefix` makes their ids unique in a run."""

    def __init__(self, places: Places, prefix: str = "") -> None:
        self.places = places
        self._prefix = prefix
        self._held: dict[str, Observation] = {}
        self._count = 0
        self._fold_at = 2 * ATTEMPT_LIMIT
        self._lock = threading.Lock()

    def add(self, observation: Observation) -> str:
        """Keep one; returns its id, which it is given here."""
        with self._lock:
            self._count += 1
            name = f"{self._prefix}{self._count}"
            self._held[name] = observation.model_copy(update={"id": name})
            if len(self._held) > self._fold_at:
                self._fold()
                self._fold_at = max(2 * ATTEMPT_LIMIT, 2 * len(self._held))
        return name

    def met(self, name: str) -> None:
        """An error answer is what was promised: a refusal of what is to be refused."""
        with self._lock:
            found = self._held.get(name)
            if found is not None and not found.ok and found.status is not None:
                self._held[name] = _as_promised(found)

    def unmet(self, name: str, expected: str, error_class: ErrorClass) -> None:
        """A promise was not kept by an answer: an observation of its own, beside the answer's."""
        with self._lock:
            found = self._held.get(name)
        if found is None:
            return
        # A bad answer's own class says more than that it was not the promised one.
        kind = error_class if found.ok else found.error_class
        self.add(
            found.model_copy(
                update={
                    "outcome": Outcome.UNEXPECTED,
                    "error_class": kind,
                    "expected": expected,
                    "samples": None,
                }
            )
        )

    def finished(self, *, passed: bool) -> tuple[Observation, ...]:
        """Everything, like ones folded, in the order of asking. In a test that passed, refusals were
        as promised."""
        with self._lock:
            if passed:
                for name, each in self._held.items():
                    if not each.ok and each.status in _ANSWERED:
                        self._held[name] = _as_promised(each)
            self._fold()
            return tuple(self._held.values())

    def _fold(self) -> None:
        folded = folding.folded(self._held.values())
        if len(folded) > ATTEMPT_LIMIT:
            folded = folding.folded(folded, failed=True)
        if len(folded) > ATTEMPT_LIMIT:
            folded = folding.folded(folded, failed=True, gap_s=None)
        self._held = {each.id: each for each in folded}


def _as_promised(observation: Observation) -> Observation:
    return observation.model_copy(update={"outcome": Outcome.OK, "error_class": None, "native": None})


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
        self._recorder = recorder
        if recorder is None:  # its methods then do nothing
            return
        self.operation = operation
        self.place = place
        self.instance = place.instance
        self._host = host
        self._port = port
        self._subject = subject
        self._path = operations.path_of(
            operation, dialled=place.dialled, names=recorder.places.names, scheme=scheme
        )
        self._faults = own_faults.labels()
        self._started_at = datetime.now(UTC)
        self._mono_start_s = time.monotonic()

    @property
    def elapsed_ms(self) -> float:
        """Since it was asked."""
        return (time.monotonic() - self._mono_start_s) * 1000

    def ok(self, **numbers: float) -> None:
        """A good answer came."""
        self._end(Outcome.OK, None, numbers)

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
        read = classification.of_answer(status, headers, body)
        by = self._answered_by(read, status)
        numbers["bytes"] = float(len(body))
        outcome = Outcome.OK if read.error is None else Outcome.ERROR
        self._end(outcome, read.error, numbers, status=status, answered_by=by)
        return read

    def _answered_by(self, read: AnswerRead, status: int) -> str | None:
        """The component that wrote the answer; the program's name where it is none of the target's."""
        if self._recorder is None:
            return None
        places = self._recorder.places
        if read.author == "mlflow":
            return places.role("tracking_server")
        if read.author in ("fastapi", "uvicorn", "gunicorn", "hypercorn", "werkzeug"):
            return places.names.get(self.place.role) or self.place.dialled
        if read.author == "awselb":
            return places.role("load_balancer")
        if read.author == "s3":
            return places.role("artifact_store")
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
                faults_on=tuple(sorted({*self._faults, *own_faults.labels()})),
            )
        )


_NOBODY = Question(None, Operation("", Kind.READ), Place(""), "", None)  # told, it keeps nothing
_current: Recorder | None = None


@contextmanager
def recording(recorder: Recorder) -> Iterator[Recorder]:
    """What is asked in the block, by any thread of this process, is told to the recorder."""
    global _current
    before, _current = _current, recorder
    try:
        yield recorder
    finally:
        _current = before


def current() -> Recorder | None:
    """Who is told at present."""
    return _current


def met(observation: str) -> None:
    """The answer recorded under that id is what was promised."""
    if _current is not None and observation:
        _current.met(observation)


def unmet(observation: str, expected: str, error_class: ErrorClass) -> None:
    """It is not: which promise (a short name of ours), and in which way."""
    if _current is not None and observation:
        _current.unmet(observation, expected, error_class)


def ask_http(method: str, url: str, *, with_key: bool = False) -> Question:
    """A request that is about to be sent."""
    recorder = _current
    if recorder is None:
        return _NOBODY
    host, port = address(url)
    place = recorder.places.at(host, port)
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
    recorder = _current
    if recorder is None:
        return _NOBODY
    place = Place(recorder.places.role(role), role, instance)
    return Question(recorder, operations.find(name), place, host, port)


def ask_tls(host: str, port: int) -> Question:
    """A server that is about to be asked for its certificate."""
    recorder = _current
    if recorder is None:
        return _NOBODY
    return Question(
        recorder, operations.find("tls.certificate"), recorder.places.at(host, port), host, port, "tls"
    )


def ask_aws(action: str, arguments: Mapping[str, object]) -> Question:
    """A call of AWS, by its IAM action. It is about the component that its arguments name; S3's is the
    store itself, which is asked over its own interface."""
    recorder = _current
    if recorder is None:
        return _NOBODY
    places = recorder.places
    service = action.partition(":")[0]
    asked = Operation(f"aws.{action.replace(':', '.')}", Kind.READ)
    store = places.names.get("artifact_store")
    place = Place(store) if service == "s3" and store is not None else Place(AWS)
    scheme = "s3" if place.dialled == store else "aws"
    return Question(recorder, asked, place, "", None, scheme, subject=places.subject_of(arguments))


def ask_name(name: str) -> Question:
    """A name that is about to be looked up."""
    recorder = _current
    if recorder is None:
        return _NOBODY
    place = Place(recorder.places.names_of(name))
    subject = recorder.places.of_host(name)
    return Question(recorder, operations.find("dns.resolve"), place, name, None, "dns", subject=subject)


def repeated(
    asker: str,
    part: str,
    *,
    name: str,
    error: Classified | None,
    subject: str | None = None,
    instance: str | None = None,
    status: int | None = None,
    numbers: Mapping[str, float] | None = None,
) -> str:
    """What a component says of a part of its own: that it is well, or the error that it met."""
    recorder = _current
    if recorder is None:
        return ""
    operation = operations.find(name)
    now = datetime.now(UTC)
    role = next((role for role, each in recorder.places.names.items() if each == part), "")
    edge = Edge(source=asker, to=part, protocol=operations.PROTOCOLS.get(role, "http"))
    timeout = error is not None and error.error_class in TIMEOUTS
    return recorder.add(
        Observation(
            id="",
            operation=operation.name,
            kind=operation.kind,
            asker=asker,
            dialled=part,
            instance=instance,
            path=(edge,),
            subject=subject,
            started_at=now,
            ended_at=now,
            mono_start_s=round(time.monotonic(), 4),
            outcome=Outcome.OK if error is None else Outcome.TIMEOUT if timeout else Outcome.ERROR,
            error_class=None if error is None else error.error_class,
            native=None if error is None else error.native,
            status=status,
            numbers=dict(numbers or {}),
            faults_on=own_faults.labels(),
        )
    )
