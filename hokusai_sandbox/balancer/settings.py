"""What the balancer is told, as JSON in its environment."""

import json
import os
from dataclasses import asdict, dataclass, field
from typing import Self

VARIABLE = "SANDBOX_BALANCER"


@dataclass(frozen=True)
class BalancerSettings:
    """Ports on 127.0.0.1; where the routing is read; the certificate's texts."""

    https_port: int
    http_port: int
    aws_address: str
    token: str = field(repr=False)
    certificate: str
    certificate_key: str = field(repr=False)

    def to_environment(self) -> dict[str, str]:
        """For the process's environment."""
        return {VARIABLE: json.dumps(asdict(self))}

    @classmethod
    def from_environment(cls) -> Self:
        """In the process."""
        return cls.from_text(os.environ[VARIABLE])

    @classmethod
    def from_text(cls, text: str) -> Self:
        """From what stands in the process's environment."""
        return cls(**json.loads(text))
