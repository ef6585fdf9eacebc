"""One run at a time for each target: faults of one would be findings of the other."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from hokusai_validation.store.lease import Lease
from hokusai_validation.store.locks import NameLock, TargetLock, target_key
from hokusai_validation.store.storage import base_path, default_base, default_options, is_local
from hokusai_validation.target import Target

_leased: set[str] = set()


@contextmanager
def target_lock(target: Target, base: str = "", *, what: str = "a run") -> Iterator[None]:
    """Hold a target for this process; again within the same process is fine. No other run of this
    machine and user gets the stack, whatever its target is called and wherever its results go, nor the
    target's place in the results; where results lie in a bucket, no run of another machine that uses it
    does either. A process that dies gives all of it back, a bucket's lease after a minute.

    Raises TargetBusy, with the holder; LockUnusable."""
    kept = base_path(base or default_base(), default_options())
    with ExitStack() as stack:
        stack.enter_context(TargetLock(target, what))
        if is_local(kept):
            stack.enter_context(NameLock(target, what, str(kept)))
        else:
            for name in sorted({target.name, target_key(target)}):
                path = kept / "locks" / f"{name}.json"
                if str(path) not in _leased:
                    lease = Lease(path, f"Target '{target.name}' is in use by another run")
                    lease.take(what)
                    _leased.add(str(path))
                    stack.callback(_leased.discard, str(path))
                    stack.callback(lease.leave)
        yield
