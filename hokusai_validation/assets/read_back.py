"""Which of the rows that are read back may speak of this run's target, and what is to be said of them.

A target's name may be given to another stack; rows of the one are no evidence about the other. Rows of
the same stack count also where its file has changed since, and the report says so."""

from collections.abc import Mapping, Sequence

from hokusai_validation.diagnosis import PhaseRows
from hokusai_validation.effective import EffectiveTarget, Snapshot
from hokusai_validation.redaction import shown
from hokusai_validation.store.results import ResultStore

SHOWN = 12  # characters of a hash


def of_this_stack(
    phases: Sequence[PhaseRows], held: EffectiveTarget, run_id: str, store: ResultStore
) -> tuple[tuple[PhaseRows, ...], Mapping[str, str]]:
    """The phases, each with the hash of the target that it was made with and without rows of another
    stack; and as evidence which were left out and why, and which were made with another target."""
    mine = Snapshot.of(held, run_id)
    kept: list[PhaseRows] = []
    left_out: list[str] = []
    for rows in phases:
        if rows.run_id is None:
            kept.append(rows)
            continue
        theirs = mine if rows.run_id == run_id else store.target(held.name, rows.run_id)
        why = _another(mine, theirs)
        if theirs is None or why:
            left_out.append(f"{rows.phase.value} (run {rows.run_id}: {why})")
            kept.append(PhaseRows(phase=rows.phase, run_id=None, asked=False))
        else:
            kept.append(rows.model_copy(update={"target_hash": theirs.hash}))
    evidence = {"target": mine.hash}
    if left_out:
        evidence["rows_left_out"] = "; ".join(left_out)
    others = [rows for rows in kept if rows.target_hash not in (None, mine.hash)]
    if others:
        evidence["phases_of_another_target"] = "; ".join(
            f"{rows.phase.value} (run {rows.run_id}: target {shown(rows.target_hash, SHOWN)})"
            for rows in others
        )
    return tuple(kept), evidence


def _another(mine: Snapshot, theirs: Snapshot | None) -> str:
    """Why rows are not of this stack; empty where they are."""
    if theirs is None:
        return "which stack it validated is not on record"
    names = mine.identity.differences(theirs.identity)
    return f"of another stack, as {', '.join(names)} say" if names else ""
