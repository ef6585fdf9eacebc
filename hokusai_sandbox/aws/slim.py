"""What moto reads when it is imported and the stack never needs: the offers of every EC2 instance
type, and the regions of every service. It is half of its start and a third of its memory.

To be called before anything of moto is imported; on this process's moto and boto3 alone.
"""

from typing import Any

import boto3
from moto.utilities import utils

from hokusai_sandbox.plan import REGION


def apply() -> None:
    """One region, no instance types."""
    original = utils.load_resource

    def load_resource(resource: str) -> Any:
        if "instance_type" in resource:
            return [] if "offerings" in resource else {}
        return original(resource)

    utils.load_resource = load_resource

    def get_available_regions(
        self: Any, service_name: str, partition_name: str = "aws", **_: Any
    ) -> list[str]:
        return [REGION] if partition_name == "aws" else []

    session: Any = boto3.Session
    session.get_available_regions = get_available_regions
