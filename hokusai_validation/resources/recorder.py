"""The observations of one attempt at a test, kept small: like ones side by side become one."""

import secrets
import threading

from hokusai_validation.observation import Edge, ErrorClass, Observation, Outcome
from hokusai_validation.resources import folding
from hokusai_validation.resources.places import Places

# Of one attempt; beyond, like ones are folded whether they passed or not.
ATTEMPT_LIMIT = 400
# What a request is refused with in good order: as promised, where a test says so.
_ANSWERED = range(400, 500)


class Recorder:
    """The observations of one attempt. `prefix` makes their ids unique in a run; `trace_id` and `span_id`
    are of W3C Trace Context, the attempt being the span. One that `watches` is no test's: what it hears neither
    was provoked by one nor tells how long another may wait."""

    def __init__(self, places: Places, prefix: str = "", *, watches: bool = False) -> None:
        self.watches = watches
        self.places = places
        self.trace_id = secrets.token_hex(16)
        self.span_id = secrets.token_hex(8)
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

    def settled_by(self, name: str, asker: str, part: str) -> None:
        """An answer that the asker could not have given without asking `part`: a good one of that, too."""
        with self._lock:
            found = self._held.get(name)
        if found is None:
            return
        protocol = next((edge.protocol for edge in found.path if edge.to == part), "tcp")
        self.add(
            found.model_copy(
                update={
                    "operation": "reported.answer",
                    "asker": asker,
                    "dialled": part,
                    "host": "",
                    "port": None,
                    "path": (Edge(source=asker, to=part, protocol=protocol),),
                    "answered_by": None,
                    "subject": None,
                    "outcome": Outcome.OK,
                    "error_class": None,
                    "native": None,
                    "status": None,
                    "expected": None,
                    "samples": None,
                }
            )
        )

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

    def so_far(self) -> tuple[Observation, ...]:
        """What is held by now."""
        with self._lock:
            return tuple(self._held.values())

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
