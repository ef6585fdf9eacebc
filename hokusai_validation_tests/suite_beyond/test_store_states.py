"""What Redis says of itself, as facts."""

import pytest

from hokusai_validation.facts import FactKind
from hokusai_validation.probes.store_states import cache_state
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.target import Target

CASES = [
    (
        {"role": "master", "used_memory": "950", "maxmemory": "1000", "maxmemory_policy": "noeviction"},
        [FactKind.STORE_NEARLY_FULL],
    ),
    (
        {"role": "master", "used_memory": "1200", "maxmemory": "1000", "maxmemory_policy": "noeviction"},
        [FactKind.STORE_FULL],
    ),
    ({"role": "master", "used_memory": "990", "maxmemory": "1000", "maxmemory_policy": "allkeys-lru"}, []),
    ({"role": "master", "used_memory": "990", "maxmemory": "0", "maxmemory_policy": "noeviction"}, []),
    ({"role": "slave", "master_host": "10.0.0.1"}, [FactKind.REPLICA]),
    ({}, []),
]


@pytest.mark.parametrize(("info", "kinds"), CASES)
def test_what_redis_says_of_itself(info: dict[str, str], kinds: list[FactKind]) -> None:
    evidence = Evidence(Target(name="stub"))
    cache_state(info, evidence, "redis")
    assert [each.kind for each in evidence.facts] == kinds
