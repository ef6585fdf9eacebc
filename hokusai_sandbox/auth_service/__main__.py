"""`python -m hokusai_sandbox.auth_service`, told by its environment."""

import logging
import sys

import uvloop

from hokusai_sandbox.auth_service.app import build_app
from hokusai_sandbox.auth_service.settings import Settings
from hokusai_sandbox.auth_service.store import Store
from hokusai_sandbox.gateway.logs import Log, LogHandler
from hokusai_sandbox.serving import listen, serve
from hokusai_validation.errors import PortTaken


def main() -> int:
    """Run until SIGTERM. 2: unusable environment; 3: the port is taken."""
    try:
        settings = Settings.from_env()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        listener = listen(settings.host, settings.port)
    except PortTaken as error:
        print(error, file=sys.stderr)
        return 3
    log = Log("auth")
    logging.basicConfig(handlers=[LogHandler(log)], level=logging.WARNING, force=True)
    store = Store(settings.auth_store)
    store.seed(settings.auth_keys)
    log.info("starting", address="{}:{}".format(*listener.getsockname()[:2]), version=settings.version)
    uvloop.run(serve([(build_app(settings, store), listener)]))
    store.close()
    log.info("stopped")
    log.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
