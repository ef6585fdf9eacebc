"""Draws: generated ones, and those from elsewhere."""

import random
from collections.abc import Iterator
from pathlib import Path

from benchmarks.detection.grammar import faults, together
from benchmarks.detection.model import Draw, Fault

# Of eleven draws six are singles, three pairs and two triples; mixed, so that any part of a seed has all.
SIZES = (1, 2, 1, 3, 1, 2, 1, 1, 2, 3, 1)
ONCE_S = (6.0, 12.0)
START_S = (1.0, 6.0)  # a phase in which most is skipped lasts ten seconds


def read_draws(path: Path) -> tuple[Draw, ...]:
    """Draws from a file, one JSON object a line.

    Raises ValueError for a line that is no draw."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(Draw.model_validate_json(line) for line in lines if line.strip())


def random_draws(count: int, seed: int) -> tuple[Draw, ...]:
    """The first `count` draws of a seed: every fault comes once before any comes again; half of them on
    a blind target file, half with busy loops beside."""
    chance = random.Random(seed)
    deck = _deck(chance)
    made = []
    for number in range(count):
        chosen: list[Fault] = []
        passed: list[Fault] = []
        while len(chosen) < SIZES[number % len(SIZES)]:
            fault = next(deck)
            if all(together(fault, other) for other in chosen):
                chosen.append(_timed(fault, chance))
            else:
                passed.append(fault)
        deck = _first(passed, deck)
        made.append(
            Draw(
                id=f"seed{seed}-{number + 1:03}",
                faults=tuple(chosen),
                blind=(number + seed) % 2 == 1,
                busy=(number // 2 + seed) % 2 == 1,
                seed=seed,
            )
        )
    return tuple(made)


def _deck(chance: random.Random) -> Iterator[Fault]:
    """All faults in an order by chance, again and again."""
    while True:
        cards = list(faults())
        chance.shuffle(cards)
        yield from cards


def _first(passed: list[Fault], deck: Iterator[Fault]) -> Iterator[Fault]:
    """What could not be drawn together comes next."""
    yield from passed
    yield from deck


def _timed(fault: Fault, chance: random.Random) -> Fault:
    if fault.duty != "once":
        return fault
    when = {"start_s": round(chance.uniform(*START_S), 1), "length_s": round(chance.uniform(*ONCE_S), 1)}
    return fault.model_copy(update=when)
