"""Errors inside foreign text: a message that a component repeats of its own call."""

import re

from hokusai_validation.observation import ErrorClass, Native
from hokusai_validation.resources.classification.table import Classified, table

# Longer texts are read so far: an error stands at the beginning, or (a trace) at the end.
TEXT_LIMIT = 32_768

_AWS_ERROR = re.compile(r"An error occurred \(([\w.]{1,80})\) when calling the (\w{1,80}) operation")
_AWS_XML = re.compile(r"<Code>([\w.]{1,80})</Code>")
_AWS_ACTION = re.compile(
    r"not authorized to perform:? ([a-z0-9-]{1,40}:[A-Za-z]{1,80})|\b(kms:[A-Z][A-Za-z]{1,60})\b"
)
_S3_OPERATION = re.compile(r"(Object|Bucket|MultipartUpload|UploadPart)s?(V2)?$")


def of_text(text: str) -> Classified | None:
    """The deepest error that a text tells of, or None. Deepest: of the system furthest from who asked,
    for what stands in front of it is what others made of it."""
    if len(text) > TEXT_LIMIT:
        text = f"{text[: TEXT_LIMIT // 2]}\n{text[-TEXT_LIMIT // 2 :]}"
    return (
        _phrase("postgresql", text)
        or _phrase("redis_text", text)
        or of_aws_text(text)
        or _phrase("host_check", text)
        or _phrase("openssl_text", text)
        or _phrase("breaker", text)
        or _phrase("client", text)
    )


def of_aws_text(text: str) -> Classified | None:
    """An error of S3 or another AWS service in a text: botocore's sentence, or S3's XML."""
    told = _AWS_ERROR.search(text)
    if told is not None:
        system = "s3" if _S3_OPERATION.search(told.group(2)) else "aws"
        return of_aws_code(told.group(1), text, system=system)
    xml = _AWS_XML.search(text)
    if xml is not None:
        return of_aws_code(xml.group(1), text, system="s3")
    phrase = table().phrase("aws_text", text)
    if phrase is None:
        return None
    return Classified(phrase.error_class, Native(system="aws", code=phrase.code))


def of_aws_code(code: str, message: str, *, system: str, status: int = 0) -> Classified:
    """An error code of AWS. The code kept is the action that is missing, where the message names it."""
    known = table()
    found = known.of_code("aws", code)
    if found is None:
        if code.endswith(("NotFound", "NotFoundException", "NotFoundFault", "DoesNotExist")):
            found = ErrorClass.NOT_FOUND
        elif code.endswith(("AccessDenied", "AccessDeniedException")):
            found = ErrorClass.FORBIDDEN
        elif "Throttl" in code or "RateExceeded" in code:
            found = ErrorClass.RATE_LIMITED
        else:
            found = known.of_code("http", str(status)) or ErrorClass.UNKNOWN
    if found in (ErrorClass.FORBIDDEN, ErrorClass.KEY_SERVICE_DENIED):
        action = _AWS_ACTION.search(message)
        if action is not None:
            named = action.group(1) or action.group(2)
            key_service = named.startswith("kms:")
            return Classified(
                ErrorClass.KEY_SERVICE_DENIED if key_service else found, Native(system=system, code=named)
            )
    return Classified(found, Native(system=system, code=code))


def _phrase(name: str, text: str) -> Classified | None:
    phrase = table().phrase(name, text)
    if phrase is None:
        return None
    return Classified(phrase.error_class, Native(system=phrase.system, code=phrase.code))
