"""A fault whose holder falls silent undoes itself."""

import time

import pytest

from hokusai_validation_tests.links.program import LinkProgram, client, until


def test_a_lease_that_is_not_renewed_undoes_everything_under_it(program: LinkProgram) -> None:
    program.call("POST", "/leases", {"id": "mine", "seconds": 0.3})
    program.call("POST", "/proxies/link", {"enabled": False, "lease": "mine"})
    body = {"type": "latency", "attributes": {"latency": 1}, "lease": "mine"}
    program.call("POST", "/proxies/link/toxics", body)
    assert [each["id"] for each in program.call("GET", "/leases").json()] == ["mine"]
    assert until(lambda: program.show()["enabled"] and not program.show()["toxics"], 2.0)
    assert program.call("GET", "/leases").json() == []
    client(program.address()).close()


def test_renewing_keeps_it(program: LinkProgram) -> None:
    program.call("POST", "/leases", {"id": "mine", "seconds": 0.3})
    program.call("POST", "/proxies/link", {"enabled": False, "lease": "mine"})
    for _ in range(6):
        time.sleep(0.1)
        program.call("POST", "/leases", {"id": "mine", "seconds": 0.3})
    assert program.show()["enabled"] is False
    with pytest.raises(ConnectionRefusedError):
        client(program.address())


def test_the_end_of_a_lease_leaves_others_alone(program: LinkProgram) -> None:
    for lease in ("mine", "yours"):
        program.call("POST", "/leases", {"id": lease, "seconds": 30})
        body = {"name": lease, "type": "latency", "attributes": {"latency": 1}, "lease": lease}
        program.call("POST", "/proxies/link/toxics", body)
    program.call("POST", "/proxies/link/toxics", {"name": "nobody's", "type": "latency"})
    assert program.call("DELETE", "/leases/mine").status == 204
    assert [toxic["name"] for toxic in program.show()["toxics"]] == ["yours", "nobody's"]
    program.call("DELETE", "/leases/yours")


def test_reset_ends_leases(program: LinkProgram) -> None:
    program.call("POST", "/leases", {"id": "mine", "seconds": 30})
    program.call("POST", "/proxies/link", {"enabled": False, "lease": "mine"})
    program.call("POST", "/reset")
    assert program.call("GET", "/leases").json() == []
    assert program.show()["enabled"] is True


def test_a_link_enabled_by_hand_is_not_touched_by_the_lease_that_cut_it(program: LinkProgram) -> None:
    program.call("POST", "/leases", {"id": "mine", "seconds": 30})
    program.call("POST", "/proxies/link", {"enabled": False, "lease": "mine"})
    program.call("POST", "/proxies/link", {"enabled": True})
    program.call("POST", "/proxies/link", {"enabled": False})
    program.call("DELETE", "/leases/mine")
    assert program.show()["enabled"] is False
