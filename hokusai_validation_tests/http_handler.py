"""What the tests' stand-ins for HTTP services answer with."""

from http.server import BaseHTTPRequestHandler


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 with connections that stay open, at once and without a word."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else the body waits 40 ms for the ACK of the head

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""
