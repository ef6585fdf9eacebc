"""The breaker under test, imported from where the target names it.

Foreign source is code like any other: it must neither hide modules of ours (a folder with a
`redis.py`) nor end the run when it can't be imported.
"""

import contextlib
import gc
import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from hokusai_validation.errors import NotJudged
from hokusai_validation.target import Breaker


@dataclass(frozen=True)
class BreakerSource:
    """What was imported: the class, its module, and the module of the shared breaker."""

    breaker_class: type[Any]
    module: ModuleType
    shared: ModuleType

    def living(self) -> list[Any]:
        """Every living breaker of the class, and of those that the shared one's module has."""
        known = {self.breaker_class} | {
            each
            for each in vars(self.shared).values()
            if isinstance(each, type) and hasattr(each, "record_failure")
        }
        return [each for each in gc.get_objects() if type(each) in known]


@contextlib.contextmanager
def imported(breaker: Breaker) -> Iterator[BreakerSource]:
    """A fresh import of the class and of the shared breaker's module, for the length of the block;
    afterwards all modules are again what they were.

    Raises NotJudged when something can't be imported, naming what."""
    name, _, class_name = breaker.path.partition(":")
    shared_name = breaker.shared or name
    path_before = list(sys.path)
    dont_write = sys.dont_write_bytecode
    own = _own_names(breaker.source) if breaker.source is not None else frozenset()
    fresh = {name, shared_name}

    def affected(module: str) -> bool:
        return module in fresh or module.partition(".")[0] in own

    hidden = {key: sys.modules.pop(key) for key in list(sys.modules) if affected(key)}
    attributes = _parent_attributes(fresh)
    try:
        if breaker.source is not None:
            # In front while it is imported, so that its modules find each other …
            sys.path.insert(0, str(breaker.source))
            sys.dont_write_bytecode = True  # … and its folder stays as it is
        importlib.invalidate_caches()
        module = _import(name, breaker.source)
        shared = _import(shared_name, breaker.source)
        found = getattr(module, class_name, None)
        if not isinstance(found, type):
            raise NotJudged(
                f"Module {name} has no class {class_name}; correct `breaker.path` in the target file."
            )
        sys.path[:] = path_before
        if breaker.source is not None:
            sys.path.append(str(breaker.source))  # last: for imports inside its functions
        _set_aside(own, hidden)
        yield BreakerSource(found, module, shared)
    finally:
        sys.path[:] = path_before
        sys.dont_write_bytecode = dont_write
        for key in [key for key in sys.modules if affected(key)]:
            del sys.modules[key]
        sys.modules.update(hidden)
        for parent, attribute, value in attributes:
            setattr(parent, attribute, value)


def _import(name: str, source: Path | None) -> ModuleType:
    where = f" from {source}" if source is not None else ""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise NotJudged(
            f"Importing {name}{where} failed: there is no module {error.name}."
            " Correct `breaker` in the target file, or install what the source needs."
        ) from None
    except ImportError as error:
        raise NotJudged(f"Importing {name}{where} failed: {error}.") from None
    except (Exception, SystemExit) as error:
        raise NotJudged(
            f"Importing {name}{where} failed while its code ran: {type(error).__name__}: {error}."
        ) from None


def _own_names(source: Path) -> frozenset[str]:
    """Top-level names that the folder can be imported by; the standard library's are never hidden."""
    if not source.is_dir():
        raise NotJudged(f"The breaker's source folder {source} is not there; correct `breaker.source`.")
    names = {
        each.name.partition(".")[0]
        for each in source.iterdir()
        if each.suffix in (".py", ".so") or (each.is_dir() and each.name.isidentifier())
    }
    return frozenset(names - sys.stdlib_module_names)


def _set_aside(own: frozenset[str], hidden: dict[str, ModuleType]) -> None:
    """Where a foreign module has the name of one that was loaded before, ours is the one that
    `import` finds again, already while the foreign class is in use."""
    taken = {key.partition(".")[0] for key in hidden} & own
    for key in [key for key in sys.modules if key.partition(".")[0] in taken]:
        del sys.modules[key]
    sys.modules.update({key: module for key, module in hidden.items() if key.partition(".")[0] in taken})


def _parent_attributes(names: set[str]) -> list[tuple[ModuleType, str, Any]]:
    """Packages keep a loaded submodule as attribute; a fresh import overwrites it."""
    kept = []
    for name in names:
        parent, _, last = name.rpartition(".")
        module = sys.modules.get(parent)
        if module is not None and hasattr(module, last):
            kept.append((module, last, getattr(module, last)))
    return kept
