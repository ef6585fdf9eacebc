"""Changes of what the balancer serves as its certificate."""

from dataclasses import replace

from hokusai_sandbox.balancer.settings import VARIABLE, BalancerSettings
from hokusai_sandbox.changes.ground import ChangeInvalid, Ground, Undo, Values, texts
from hokusai_sandbox.changes.processes import with_environment


async def served(ground: Ground, values: Values) -> Undo:
    """Serve another certificate: of an intermediate authority, with `chain` `leaf` alone or `full`;
    valid for `days`; for `names` instead of its own."""
    chain, days = values.get("chain"), values.get("days")
    if chain not in (None, "leaf", "full") or not (days is None or isinstance(days, int | float)):
        raise ChangeInvalid("`chain` is `leaf` or `full`, and `days` a number.")
    certificate, key = ground.certificates.another(
        chain=None if chain is None else str(chain), days=days, names=texts(values, "names")
    )
    own = ground.supervisor.processes["balancer"].service.environment
    settings = BalancerSettings.from_text(own[VARIABLE])
    new = replace(settings, certificate=certificate, certificate_key=key)
    return await with_environment(ground, "balancer", new.to_environment())
