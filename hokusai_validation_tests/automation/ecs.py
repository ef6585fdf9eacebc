"""ECS by moto, with rollouts that a test moves by hand."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hokusai_validation_tests.moto_server import serving_aws

ACCOUNT, REGION, CLUSTER = "123456789012", "us-east-1", "hokusai-test"
OLD = timedelta(hours=1)


class Ecs:
    """A stand-in for ECS on loopback. `target` is a target file that names its services."""

    def __init__(self, url: str, folder: Path, services: Sequence[str]) -> None:
        import boto3

        self.url, self.services, self.count = url, tuple(services), 0
        self.client: Any = boto3.client(
            "ecs",
            region_name=REGION,
            endpoint_url=url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        self.client.create_cluster(clusterName=CLUSTER)
        for name in services:
            self.client.register_task_definition(family=name, containerDefinitions=[self._container(name, 1)])
            self.client.create_service(cluster=CLUSTER, serviceName=name, taskDefinition=name, desiredCount=1)
            self.roll_out(name)
        (folder / "secrets.env").write_text("TEST_AWS_KEY=testing\n")
        self.target = folder / "deployed.toml"
        rows = "\n".join(f'[aws.services."s{i}"]\nservice = "{name}"' for i, name in enumerate(services))
        self.target.write_text(
            f'name = "deployed"\nenv_file = "secrets.env"\n[aws]\ncluster = "{CLUSTER}"\n'
            f'endpoint_url = "{url}"\naccess_key = {{env = "TEST_AWS_KEY"}}\n'
            f'secret_key = {{env = "TEST_AWS_KEY"}}\n{rows}\n'
        )

    def roll_out(self, name: str, state: str = "COMPLETED", *, age: timedelta = OLD) -> str:
        """A new deployment takes the place of the present one; returns its id."""
        self.count += 1
        service = self._service(name)
        moment = datetime.now(UTC).replace(tzinfo=None) - age
        definition = self.client.register_task_definition(
            family=name, containerDefinitions=[self._container(name, self.count)]
        )["taskDefinition"]["taskDefinitionArn"]
        fresh = {
            **service.deployments[0],
            "id": f"ecs-svc/{self.count}",
            "rolloutState": state,
            "taskDefinition": definition,
            "createdAt": moment,
            "updatedAt": moment,
        }
        service.deployments[:] = [fresh]
        return str(fresh["id"])

    def finish(self, name: str, state: str = "COMPLETED") -> None:
        """The present deployment comes to its end."""
        self._service(name).deployments[0]["rolloutState"] = state

    def _service(self, name: str) -> Any:
        from moto.ecs.models import ecs_backends

        return ecs_backends[ACCOUNT][REGION]._get_service(CLUSTER, name)

    @staticmethod
    def _container(name: str, number: int) -> dict[str, Any]:
        return {
            "name": name,
            "image": f"registry.example/{name}:{number}",
            "memory": 128,
            "environment": [{"name": "GIT_COMMIT", "value": f"{number:07x}"}],
        }


@contextmanager
def running(folder: Path, services: Sequence[str]) -> Iterator[Ecs]:
    """ECS, up for a while."""
    from moto.ecs.models import ecs_backends

    try:
        with serving_aws() as url:
            yield Ecs(url, folder, services)
    finally:
        ecs_backends[ACCOUNT][REGION].reset()
