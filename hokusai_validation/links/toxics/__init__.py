"""Every kind of toxic, one a file; `make` builds one from JSON."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hokusai_validation.links.toxics.bandwidth import Bandwidth
from hokusai_validation.links.toxics.base import STREAMS, Toxic, ToxicInvalid
from hokusai_validation.links.toxics.connect_timeout import ConnectTimeout
from hokusai_validation.links.toxics.every_nth import EveryNth
from hokusai_validation.links.toxics.garbage import Garbage
from hokusai_validation.links.toxics.half_open import HalfOpen
from hokusai_validation.links.toxics.latency import Latency
from hokusai_validation.links.toxics.limit_data import LimitData
from hokusai_validation.links.toxics.reset_existing import ResetExisting
from hokusai_validation.links.toxics.reset_idle import ResetIdle
from hokusai_validation.links.toxics.reset_peer import ResetPeer
from hokusai_validation.links.toxics.slicer import Slicer
from hokusai_validation.links.toxics.slow_close import SlowClose
from hokusai_validation.links.toxics.timeout import Timeout

if TYPE_CHECKING:
    from pydantic import JsonValue

TYPES: Mapping[str, type[Toxic]] = {
    kind.type: kind
    for kind in (
        Latency,
        Bandwidth,
        SlowClose,
        Timeout,
        ResetPeer,
        Slicer,
        LimitData,
        ResetExisting,
        ResetIdle,
        HalfOpen,
        ConnectTimeout,
        EveryNth,
        Garbage,
    )
}

__all__ = ["TYPES", "Toxic", "ToxicInvalid", "attributes", "make", "toxicity"]

_FIELDS = {"name", "type", "stream", "toxicity", "attributes", "lease"}


def make(values: object) -> Toxic:
    """A toxic from JSON.

    Raises ToxicInvalid."""
    if not isinstance(values, Mapping):
        raise ToxicInvalid("bad request body: a toxic must be a JSON object")
    unknown = sorted(set(map(str, values)) - _FIELDS)
    if unknown:
        raise ToxicInvalid(f"bad request body: unknown field {unknown[0]!r}")
    kind = TYPES.get(str(values.get("type", "")))
    if kind is None:
        raise ToxicInvalid(f"invalid toxic type: {values.get('type')!r}; known: {', '.join(TYPES)}")
    stream = values.get("stream") or "downstream"
    if stream not in STREAMS:
        raise ToxicInvalid("stream was invalid, can be either upstream or downstream")
    name = values.get("name") or f"{kind.type}_{stream}"
    if not isinstance(name, str) or "/" in name or len(name) > 200:
        raise ToxicInvalid(f"a toxic's name must be text without '/', not {name!r}")
    lease = values.get("lease")
    if lease is not None and not isinstance(lease, str):
        raise ToxicInvalid(f"a lease is named by text, not {lease!r}")
    return kind(
        name=name,
        stream=stream,
        toxicity=toxicity(values.get("toxicity", 1.0)),
        attributes=attributes(values.get("attributes")),
        lease=lease,
    )


def toxicity(value: object) -> float:
    """The share of connections that a toxic holds for, between 0 and 1.

    Raises ToxicInvalid."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ToxicInvalid(f"toxicity must lie between 0 and 1, not {value!r}")
    return float(value)


def attributes(value: object) -> "Mapping[str, JsonValue]":
    """A toxic's attributes from JSON.

    Raises ToxicInvalid."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ToxicInvalid(f"attributes must be a JSON object, not {value!r}")
    return value
