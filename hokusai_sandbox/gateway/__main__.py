"""`python -m hokusai_sandbox.gateway`: one instance, told by its environment."""

import logging
import sys

import uvloop

from hokusai_sandbox.gateway.settings import Settings
from hokusai_sandbox.serving import listen, serve
from hokusai_validation.errors import PortTaken


def main() -> int:
    """Run until SIGTERM. 2: unusable environment; 3: a port is taken."""
    try:
        settings = Settings.from_env()
        # Only now: the breaker's module makes the shared breaker, which reads the environment too.
        from hokusai_sandbox.gateway.admin import build_admin
        from hokusai_sandbox.gateway.app import build_app
        from hokusai_sandbox.gateway.defects import wire
        from hokusai_sandbox.gateway.logs import LogHandler

        wiring = wire(settings.defects)
        gateway = wiring.build(settings)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        listener = listen(settings.host, settings.port)
        admin = listen("127.0.0.1", settings.admin_port)
    except PortTaken as error:
        print(error, file=sys.stderr)
        return 3
    logging.basicConfig(handlers=[LogHandler(gateway.log)], level=logging.WARNING, force=True)
    gateway.log.info(
        "starting",
        address="{}:{}".format(*listener.getsockname()[:2]),
        admin="{}:{}".format(*admin.getsockname()[:2]),
        version=settings.version,
        defects=list(settings.defects),
    )
    app = build_app(gateway, wiring)
    uvloop.run(serve([(app, listener), (build_admin(gateway), admin)]))
    gateway.log.info("stopped")
    gateway.log.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
