"""One of several processes that serve the API."""

from dataclasses import dataclass

from hokusai_validation.resources.http import HttpClient


@dataclass(frozen=True)
class ApiInstance:
    """One API instance by its own address. `failpoints` is its admin port, in the sandbox only."""

    name: str
    client: HttpClient
    failpoints: HttpClient | None
