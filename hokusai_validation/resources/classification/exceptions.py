"""Errors that our own libraries raise: sockets, ssl, httpx, psycopg2, redis-py, botocore, dnspython."""

import errno
import socket
import ssl
from collections.abc import Iterator, Mapping

from hokusai_validation.observation import ErrorClass, Native
from hokusai_validation.redaction import shown
from hokusai_validation.resources.classification.table import Classified, table
from hokusai_validation.resources.classification.texts import of_aws_code, of_text

_GAI = {
    getattr(socket, name): name
    for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY", "EAI_AGAIN", "EAI_FAIL")
    if hasattr(socket, name)
}
# httpx' and httpcore's, whose names say what happened; the same for the standard library's, below requests'.
_NAMED: Mapping[str, ErrorClass] = {
    "ConnectTimeout": ErrorClass.CONNECT_TIMEOUT,
    "ReadTimeout": ErrorClass.READ_TIMEOUT,
    "WriteTimeout": ErrorClass.READ_TIMEOUT,
    "PoolTimeout": ErrorClass.CONNECTIONS_EXHAUSTED,
    "TimeoutError": ErrorClass.READ_TIMEOUT,
    "ReadError": ErrorClass.RESET,
    "WriteError": ErrorClass.RESET,
    "CloseError": ErrorClass.RESET,
    "RemoteDisconnected": ErrorClass.RESET,
    "IncompleteRead": ErrorClass.CLOSED_EARLY,
    "ConnectError": ErrorClass.UNREACHABLE,
    "LocalProtocolError": ErrorClass.PROTOCOL,
    "UnsupportedProtocol": ErrorClass.PROTOCOL,
    "DecodingError": ErrorClass.PROTOCOL,
}


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what led to it, each once."""
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        yield at
        at = at.__cause__ or at.__context__


def of_exception(error: BaseException) -> Classified:
    """Any error of a connection, by what stands deepest in its chain of causes: a verified
    certificate's reason, an errno, a resolver's answer; else by its own name."""
    causes = list(chain(error))
    for each in causes:
        if isinstance(each, ssl.SSLError):
            return _of_tls(each)
    for each in causes:
        if (found := _of_system(each)) is not None:
            return found
    for each in causes:
        if type(each).__module__.startswith("dns."):
            return of_name(type(each).__name__)
    name = type(error).__name__
    if name == "RemoteProtocolError":
        return _of_protocol(str(error))
    for each in causes:  # requests' own words for it are vague
        if type(each).__name__ in _NAMED:
            return Classified(_NAMED[type(each).__name__], Native(system="http", code=type(each).__name__))
    return of_text(str(error)) or Classified(ErrorClass.UNKNOWN, Native(system="python", code=name[:80]))


def of_name(code: str) -> Classified:
    """A name that was not resolved, by the resolver's word for it."""
    known = table()
    found = known.of_code("dns", code) or known.of_code("gai", code) or ErrorClass.NAME_SERVER_FAILED
    return Classified(found, Native(system="dns", code=code or "unknown"))


def of_database(error: BaseException) -> Classified:
    """An error of psycopg2: by SQLSTATE where there is one, else by libpq's message."""
    code = getattr(error, "pgcode", None)
    text = str(error)
    told = table().phrase("postgresql", text)
    if isinstance(code, str) and len(code) == 5:
        by_code = table().of_code("sqlstate", code) or table().of_code("sqlstate", code[:2])
        # The message tells apart what shares a code: 57014 by whom, 28000 why.
        if told is not None and told.code == code:
            by_code = told.error_class
        return Classified(by_code or ErrorClass.SERVER_ERROR, Native(system="postgresql", code=code))
    if told is not None:
        return Classified(told.error_class, Native(system="postgresql", code=told.code))
    found = of_text(text)
    if found is not None:
        return found
    return Classified(ErrorClass.UNKNOWN, Native(system="postgresql", code=type(error).__name__))


def of_redis(error: BaseException) -> Classified:
    """An error of redis-py: a reply's first word, else its message, else what led to it."""
    text = str(error)
    word = text.split(" ", 1)[0].strip("-")
    by_word = table().of_code("redis", word)
    if by_word is not None:
        return Classified(by_word, Native(system="redis", code=word))
    # The library strips the word and says it by its class.
    told = table().phrase("redis_text", text)
    if told is not None and told.code.isupper() and told.code[0] != "E":
        return Classified(told.error_class, Native(system="redis", code=told.code))
    for each in chain(error):
        if isinstance(each, ssl.SSLError):
            return _of_tls(each)
        if each is not error and (found := _of_system(each)) is not None:
            return found
    if told is not None:
        return Classified(told.error_class, Native(system="redis", code=told.code))
    if (found := of_text(text)) is not None:
        return found
    by_name = {
        "AuthenticationError": ErrorClass.LOGIN_REFUSED,
        "NoPermissionError": ErrorClass.PERMISSION,
        "TimeoutError": ErrorClass.READ_TIMEOUT,
        "ConnectionError": ErrorClass.RESET,
        "ResponseError": ErrorClass.BAD_REQUEST,
        "InvalidResponse": ErrorClass.PROTOCOL,
    }.get(type(error).__name__, ErrorClass.UNKNOWN)
    return Classified(by_name, Native(system="redis", code=type(error).__name__))


def of_aws(error: BaseException) -> Classified:
    """An error of botocore: the service's code, else what kept it from asking."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        details = response.get("Error")
        if isinstance(details, dict):
            meta = response.get("ResponseMetadata")
            status = meta.get("HTTPStatusCode") if isinstance(meta, dict) else None
            operation = str(getattr(error, "operation_name", ""))
            system = "s3" if operation.endswith(("Bucket", "Object", "ObjectsV2", "Buckets")) else "aws"
            return of_aws_code(
                shown(details.get("Code", ""), 80) or "unknown",
                str(details.get("Message", "")),
                system=system,
                status=status if isinstance(status, int) else 0,
            )
    for each in chain(error):
        if isinstance(each, ssl.SSLError):
            return _of_tls(each)
    told = table().phrase("aws_text", f"{type(error).__name__}: {error}")
    if told is not None:
        return Classified(told.error_class, Native(system="aws", code=told.code))
    return of_text(str(error)) or Classified(
        ErrorClass.UNKNOWN, Native(system="aws", code=type(error).__name__)
    )


def _of_tls(error: ssl.SSLError) -> Classified:
    if isinstance(error, ssl.SSLCertVerificationError):
        number = getattr(error, "verify_code", None)
        found = table().of_code("openssl", str(number))
        if found is not None:
            return Classified(found, Native(system="openssl", code=str(number)))
    told = table().phrase("openssl_text", f"{error.reason or ''} {error}")
    if told is not None:
        return Classified(told.error_class, Native(system="openssl", code=told.code))
    return Classified(ErrorClass.TLS_HANDSHAKE, Native(system="openssl", code=shown(error.reason or "", 80)))


def _of_system(error: BaseException) -> Classified | None:
    if isinstance(error, socket.gaierror):
        name = _GAI.get(error.errno or 0, "EAI_FAIL")
        return Classified(
            table().of_code("gai", name) or ErrorClass.NAME_SERVER_FAILED, Native(system="dns", code=name)
        )
    if not isinstance(error, OSError) or error.errno is None:
        return None
    name = errno.errorcode.get(error.errno, "")
    found = table().of_code("errno", name)
    return None if found is None else Classified(found, Native(system="errno", code=name))


def _of_protocol(text: str) -> Classified:
    """What httpcore and h11 call a remote protocol error: broken off, or not HTTP."""
    if "without sending a response" in text or "disconnected" in text:
        return Classified(ErrorClass.RESET, Native(system="http", code="disconnected"))
    if "incomplete" in text or "without sending complete" in text or "received 0 bytes" in text:
        return Classified(ErrorClass.CLOSED_EARLY, Native(system="http", code="incomplete"))
    return Classified(ErrorClass.PROTOCOL, Native(system="http", code="protocol"))
