"""Whether a port accepts connections: one is opened and closed."""

import socket

from hokusai_validation.errors import ConnectionRefused, ConnectTimedOut, NameNotResolved
from hokusai_validation.observation import ErrorClass, Native
from hokusai_validation.resources import recording
from hokusai_validation.resources.classification import Classified, of_exception, of_name
from hokusai_validation.resources.names import Resolver

_NOT_ACCEPTED = Classified(ErrorClass.CONNECT_TIMEOUT, Native(system="errno", code="ETIMEDOUT"))


def accepted(
    resolver: Resolver, host: str, port: int, limit_s: float, *, call: str, question: recording.Question
) -> str:
    """The address of `host` that accepts connections; `question` is told only where none does, and `call`
    names it in messages.

    Raises NameNotResolved, ConnectionRefused, ConnectTimedOut."""
    try:
        address = resolver.addresses(host)[0]
        socket.create_connection((address, port), timeout=limit_s).close()
        return address
    except NameNotResolved as error:
        question.failed(of_name(error.code))
        raise
    except TimeoutError:
        question.failed(_NOT_ACCEPTED)
        raise ConnectTimedOut(f"{call}: no connection within {limit_s:g} s.") from None
    except OSError as error:
        found = of_exception(error)
        question.failed(found)
        if found.error_class is ErrorClass.REFUSED:
            raise ConnectionRefused(f"{call}: connection refused.") from None
        raise ConnectTimedOut(f"{call}: no connection: {error}.") from None
