"""What the classifier makes of words: recorded ones, and any."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hokusai_validation.observation import ErrorClass
from hokusai_validation.resources.classification import of_answer, of_text

# Messages as libraries and servers write them, most of them inside somebody else's sentence.
TEXTS = [
    (
        "failed with timeout exception Pool(host='r', port=443): Read timed out. (read timeout=10). To increase the"
        " timeout, set the environment variable MLFLOW_HTTP_REQUEST_TIMEOUT",
        "read_timeout",
        "http",
        "timeout",
    ),
    ("[SSL: HTTP_REQUEST] http request (_ssl.c:1006)", "tls_handshake", "openssl", "WRONG_VERSION_NUMBER"),
    ("Authentication is unavailable: the auth service answered 503", "server_error", "http", "5xx"),
    ("502 Server Error: Bad Gateway for url: http://auth/v1/keys", "server_error", "http", "5xx"),
    ("Server error '503 Service Unavailable' for url 'http://auth/v1/keys'", "server_error", "http", "5xx"),
    ("500, message='Internal Server Error', url='http://auth/v1/keys'", "server_error", "http", "5xx"),
    ("HTTP Error 503: Service Unavailable", "server_error", "http", "5xx"),
    ("unexpected status code 504", "server_error", "http", "5xx"),
    ("upstream returned HTTP status 500", "server_error", "http", "5xx"),
    (
        "(psycopg2.errors.ReadOnlySqlTransaction) cannot execute INSERT in a read-only transaction\n[SQL: …]",
        "read_only",
        "postgresql",
        "25006",
    ),
    (
        'connection to server at "10.0.3.4", port 5432 failed: FATAL:  no pg_hba.conf entry for host'
        ' "10.0.1.2", user "mlflow", database "mlflow_db", no encryption',
        "tls_required",
        "postgresql",
        "28000",
    ),
    (
        'FATAL:  no pg_hba.conf entry for host "10.0.1.2", user "postgres", database "mlflow_db", SSL encryption',
        "login_refused",
        "postgresql",
        "28000",
    ),
    ("message type 0x1f arrived from server while idle", "protocol", "postgresql", "08P01"),
    ("'utf-8' codec can't decode byte 0xd8 in position 102", "protocol", "bytes", "UnicodeDecodeError"),
    ("canceling statement due to statement timeout", "statement_timeout", "postgresql", "57014"),
    ("canceling statement due to user request", "cancelled", "postgresql", "57014"),
    ("canceling statement due to lock timeout", "lock_timeout", "postgresql", "55P03"),
    ("FATAL:  sorry, too many clients already", "connections_exhausted", "postgresql", "53300"),
    ("FATAL:  the database system is starting up", "starting", "postgresql", "57P03"),
    (
        'could not connect: connection to server at "db", port 5432 failed: Connection refused',
        "refused",
        "postgresql",
        "08001",
    ),
    ('could not translate host name "db.internal" to address', "name_not_found", "postgresql", "08001"),
    (
        "QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout 30.00",
        "connections_exhausted",
        "postgresql",
        "QueuePool",
    ),
    ("READONLY You can't write against a read only replica.", "replica", "redis", "READONLY"),
    ("OOM command not allowed when used memory > 'maxmemory'.", "out_of_memory", "redis", "OOM"),
    ("Error 111 connecting to 127.0.0.1:6379. Connection refused.", "refused", "redis", "ECONNREFUSED"),
    (
        "An error occurred (AccessDenied) when calling the PutObject operation: User: arn:aws:sts::1:assumed-role/r"
        " is not authorized to perform: kms:GenerateDataKey on resource: arn:aws:kms:…",
        "key_service_denied",
        "s3",
        "kms:GenerateDataKey",
    ),
    (
        "An error occurred (AccessDenied) when calling the GetObject operation: Access Denied",
        "forbidden",
        "s3",
        "AccessDenied",
    ),
    (
        "An error occurred (RequestTimeTooSkewed) when calling the PutObject operation: The difference …",
        "clock_skew",
        "s3",
        "RequestTimeTooSkewed",
    ),
    ("<Error><Code>NoSuchBucket</Code><Message>…</Message></Error>", "no_such_bucket", "s3", "NoSuchBucket"),
    ("Invalid Host header - possible DNS rebinding attack detected", "host_refused", "mlflow", "Host"),
    (
        "HTTPConnectionPool(host='mlflow', port=5000): Max retries exceeded with url: / (Caused by"
        " NewConnectionError('…: Failed to establish a new connection: [Errno 111] Connection refused'))",
        "refused",
        "http",
        "ECONNREFUSED",
    ),
    (
        "HTTPSConnectionPool(host='s3', port=443): Max retries exceeded (Caused by SSLError("
        "SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to"
        " get local issuer certificate (_ssl.c:1006)')))",
        "tls_chain_incomplete",
        "openssl",
        "20",
    ),
    ("certificate verify failed: self-signed certificate (_ssl.c:1006)", "tls_untrusted", "openssl", "18"),
    ("certificate verify failed: certificate has expired (_ssl.c:1006)", "tls_expired", "openssl", "10"),
    ("MLflow is not available: circuit breaker OPEN", "breaker_open", "http", "circuit_breaker"),
    ("[Errno -2] Name or service not known", "name_not_found", "dns", "EAI_NONAME"),
]


@pytest.mark.parametrize(("text", "error_class", "system", "code"), TEXTS)
def test_words_are_known(text: str, error_class: str, system: str, code: str) -> None:
    found = of_text(text)
    assert found is not None
    assert (found.error_class.value, found.native.system, found.native.code) == (error_class, system, code)


@pytest.mark.parametrize(("text", "error_class", "system", "code"), TEXTS)
def test_an_answer_repeats_it(text: str, error_class: str, system: str, code: str) -> None:
    """In a gateway's JSON, escaped, beside a status of its own: the deepest error wins."""
    import json

    body = json.dumps({"detail": f"Upstream failed: {text}", "error_code": "INTERNAL_ERROR"}).encode()
    read = of_answer(500, {"server": "uvicorn"}, body)
    assert read.error is not None
    if text.startswith("Invalid Host"):
        return  # inside another's sentence it is that sentence's
    assert (read.error.error_class.value, read.error.native.system) == (error_class, system)
    assert read.author == "fastapi"


PAGES = [
    (413, "nginx/1.22.1", "<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n<body>\r\n<center><h1>413 Request Entity Too Large</h1></center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n", "nginx", "body_limit"),
    (503, "awselb/2.0", "<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n<body>\r\n<center><h1>503 Service Temporarily Unavailable</h1></center>\r\n</body>\r\n</html>\r\n", "awselb", "unavailable"),
    (502, "CloudFront", "<!DOCTYPE HTML><HTML><HEAD><TITLE>ERROR: The request could not be satisfied</TITLE></HEAD>Generated by cloudfront (CloudFront)</HTML>", "cloudfront", "bad_gateway"),
    (503, "envoy", "no healthy upstream", "envoy", "unavailable"),
    (404, "uvicorn", '{"detail":"Not Found"}', "fastapi", "not_found"),
    (404, "", '{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"No Experiment with id=7 exists"}', "mlflow", "not_found"),
    (403, "", "Invalid Host header - possible DNS rebinding attack detected", "mlflow", "host_refused"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "server", "body", "author", "error_class"), PAGES)
def test_pages_say_who_wrote_them(status: int, server: str, body: str, author: str, error_class: str) -> None:
    read = of_answer(status, {"server": server} if server else {}, body.encode())
    assert read.error is not None
    assert (read.author, read.error.error_class.value) == (author, error_class)
    assert read.met is None


def test_a_proxys_name_on_a_good_answer_is_no_error() -> None:
    assert of_answer(200, {"server": "nginx"}, b"{}").error is None


@given(st.text())
def test_any_text_is_borne(text: str) -> None:
    first = of_text(text)
    assert first == of_text(text)
    assert first is None or first.error_class in ErrorClass


@given(
    st.integers(100, 999),
    st.dictionaries(st.sampled_from(["server", "x-cache", "via"]), st.text()),
    st.binary(),
)
def test_any_answer_is_borne(status: int, headers: dict[str, str], body: bytes) -> None:
    read = of_answer(status, headers, body)
    assert read == of_answer(status, headers, body)
    assert (read.error is None) == (status < 400)


@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_is_borne(values: object) -> None:
    import json

    assert of_answer(502, {}, json.dumps(values).encode()).error is not None
