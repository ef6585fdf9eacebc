"""Ending a running experiment from outside, and taking every fault off. May be repeated."""

import contextlib
import os
import signal
import time

from hokusai_validation.errors import AgentFailed, AwsError, FaultOrphaned, SecretMissing
from hokusai_validation.resources.control import ControlClient
from hokusai_validation.resources.links import LinkClient
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.store.locks import ExperimentLock
from hokusai_validation.target import Target

ENDS_WITHIN_S = 10.0
CLEAN_WITHIN_S = 5.0
POLL_S = 0.1


def stop(target: Target, secrets: Secrets) -> list[str]:
    """End the experiment that runs on a target, then `clean`. What was done, sentence by sentence.

    Raises FaultOrphaned when something is still on, after everything was tried."""
    done: list[str] = []
    _end_experiment(target, done)
    return done + clean(target, secrets)


def clean(target: Target, secrets: Secrets) -> list[str]:
    """Take every fault off the target's links and processes, stop FIS experiments of permitted
    templates. What was done, sentence by sentence.

    Raises FaultOrphaned when something is still on, after everything was tried."""
    done: list[str] = []
    problems: list[tuple[str, str]] = []
    if target.links is not None:
        links = LinkClient.from_target(target)
        try:
            _clean_links(links, done)
        except AgentFailed as error:
            problems.append((str(error), f"curl -fsS -X POST {links.url}/reset"))
        finally:
            links.close()
    if target.control is not None:
        by_hand = (
            f'curl -fsS -X POST -H "Authorization: Bearer ${target.control.token.env or "CONTROL_TOKEN"}"'
            f" {target.control.url}/reset"
        )
        try:
            control = ControlClient.from_target(target, secrets)
            try:
                _clean_processes(control, done)
            finally:
                control.close()
        except (AgentFailed, SecretMissing) as error:
            problems.append((str(error), by_hand))
    if target.aws is not None and target.permissions.fis_templates:
        try:
            _stop_fis(target, secrets, done)
        except (AwsError, SecretMissing) as error:
            problems.append((str(error), "aws fis list-experiments; aws fis stop-experiment --id EXPERIMENT"))
    if problems:
        raise FaultOrphaned(
            f"Not every fault on target '{target.name}' could be undone: "
            + " ".join(problem for problem, _ in problems),
            " && ".join(command for _, command in problems),
        )
    return done


def _end_experiment(target: Target, done: list[str]) -> None:
    lock = ExperimentLock(target, "chaos stop")
    holder = lock.holder()
    if holder is None or holder.pid in (0, os.getpid()):
        return
    # The lock is held, so this is the process that wrote its number into it.
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(holder.pid, number)
        deadline = time.monotonic() + ENDS_WITHIN_S
        while time.monotonic() < deadline:
            now = lock.holder()
            if now is None or now.pid != holder.pid:
                done.append(f"Ended process {holder.pid} ({holder.what}, since {holder.since}).")
                return
            time.sleep(POLL_S)
    done.append(f"Process {holder.pid} ({holder.what}) did not end.")


def _clean_links(links: LinkClient, done: list[str]) -> None:
    before = links.states()
    dirty = sorted(name for name, state in before.items() if not state.clean)
    links.reset()
    deadline = time.monotonic() + CLEAN_WITHIN_S
    while True:
        left = sorted(name for name, state in links.states().items() if not state.clean)
        if not left:
            break
        if time.monotonic() > deadline:
            raise AgentFailed(f"Links {', '.join(left)} still have faults.")
        time.sleep(POLL_S)
    if dirty:
        done.append(f"Took the faults off {', '.join(dirty)}.")


def _clean_processes(control: ControlClient, done: list[str]) -> None:
    before = control.processes()
    leased = control.holds_any()
    unwell = sorted(state.name for state in before if state.state != "running")
    control.reset()
    deadline = time.monotonic() + CLEAN_WITHIN_S
    while True:
        left = sorted(state.name for state in control.processes() if state.state != "running")
        if not left:
            break
        for name in left:
            with contextlib.suppress(AgentFailed):
                control.resume(name)
        if time.monotonic() > deadline:
            raise AgentFailed(f"Processes {', '.join(left)} do not run.")
        time.sleep(POLL_S)
    if unwell:
        done.append(f"{', '.join(unwell)} run again.")
    elif leased:
        done.append("Took the faults off the processes.")


def _stop_fis(target: Target, secrets: Secrets, done: list[str]) -> None:
    from hokusai_validation.resources.aws.client import Aws

    aws = Aws.from_target(target, secrets)
    try:
        for experiment in aws.calls.pages("fis", "list_experiments", "experiments"):
            permitted = experiment.get("experimentTemplateId") in target.permissions.fis_templates
            if permitted and experiment["state"]["status"] in ("pending", "initiating", "running"):
                aws.calls.call("fis", "stop_experiment", id=experiment["id"])
                done.append(f"Stopped FIS experiment {experiment['id']}.")
    finally:
        aws.close()
