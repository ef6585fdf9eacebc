"""An account on a stand-in for AWS: the stack that is validated, and beside it what `deploy/stack.yaml`
makes. It is made directly; what a validation does with it then goes through a recorder."""

import json
import os
from pathlib import Path
from typing import Any

import boto3

from hokusai_validation_tests.automation.ecs import CLUSTER as VALIDATED
from hokusai_validation_tests.automation.ecs import Ecs
from hokusai_validation_tests.deploy import fargate
from hokusai_validation_tests.deploy.fargate import Fargate
from hokusai_validation_tests.deploy.operations import ACCOUNT, arn
from hokusai_validation_tests.deploy.policies import Stack

CONTROL, SUITE, CHAOS = "control", "suite", "chaos"  # access keys: who asks
RESULTS = "hokusai-validation-policies"
SERVICES = ("hokusai-api-development", "hokusai-auth-development")
LOGS = "/hokusai/validation-development"
TARGET = f"deployed-{os.getpid()}"  # a run locks its target by name


class Validated(Ecs):
    """The stack that is validated; its tasks are given a secret."""

    secret = ""

    @classmethod
    def _container(cls, name: str, number: int) -> dict[str, Any]:
        secrets = [{"name": "DATABASE_PASSWORD", "valueFrom": cls.secret}]
        return {**Ecs._container(name, number), "secrets": secrets}


def environment(through: str) -> dict[str, str]:
    """What the stack gives a container of the control role."""
    return {
        "AWS_ENDPOINT_URL": through,
        "AWS_ACCESS_KEY_ID": CONTROL,
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "HOKUSAI_RESULTS": f"s3://{RESULTS}/results",
        "HOKUSAI_RESULTS_OPTIONS": json.dumps({"endpoint_url": through}),
        "HOKUSAI_RESULTS_BUCKET": RESULTS,
        "HOKUSAI_RUN_TASK_DEFINITION": "hokusai-validation-run-policies",
    }


class Account:
    """What a real account would hold, made at `url` directly; what is done then goes `through` the
    recorder."""

    def __init__(self, url: str, through: str, folder: Path) -> None:
        self.url, self.through, self.folder = url, through, folder
        secrets, ec2 = self.admin("secretsmanager"), self.admin("ec2")
        self.secret: str = secrets.create_secret(
            Name="hokusai/database/credentials-of-policies", SecretString='{"password": "x"}'
        )["ARN"]
        self.webhook: str = secrets.create_secret(
            Name="hokusai/webhook-of-policies", SecretString="http://127.0.0.1:9/hook"
        )["ARN"]
        self.topic: str = self.admin("sns").create_topic(Name="hokusai-validation")["TopicArn"]
        self.admin("logs").create_log_group(logGroupName=LOGS)
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
        self.network = {
            "subnets": [ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]],
            "securityGroups": [
                ec2.create_security_group(GroupName="policies", Description="policies", VpcId=vpc)["GroupId"]
            ],
        }
        self.validated = self._validated()
        self.fargate = Fargate(url, RESULTS, through=through, AWS_ACCESS_KEY_ID=SUITE)
        self.daemon = self._daemon()
        self.experiment: str = self._experiment()
        self.target = folder / "deployed.toml"
        self.target.write_text(self._target())

    @property
    def stack(self) -> Stack:
        """The template with the names of what is here."""
        return Stack(self._names())

    def admin(self, service: str) -> Any:
        """A client that nothing records."""
        return boto3.client(service, "us-east-1", endpoint_url=self.url)

    def _validated(self) -> Validated:
        Validated.secret = self.secret
        made = Validated(self.url, self.folder, SERVICES)
        for name in SERVICES:
            made.client.run_task(
                cluster=VALIDATED, taskDefinition=name, launchType="FARGATE", group=f"service:{name}"
            )
        return made

    def _daemon(self) -> str:
        ecs = self.admin("ecs")
        options = {"awslogs-group": LOGS, "awslogs-region": "us-east-1", "awslogs-stream-prefix": "run"}
        for family, container in (("daemon", "daemon"), ("run", "run")):
            ecs.register_task_definition(
                family=f"hokusai-validation-{family}-policies",
                networkMode="awsvpc",
                requiresCompatibilities=["FARGATE"],
                cpu="512",
                memory="2048",
                containerDefinitions=[
                    {
                        "name": container,
                        "image": "registry.example/validation:1",
                        "memory": 512,
                        "logConfiguration": {"logDriver": "awslogs", "options": options},
                    }
                ],
            )
        started = ecs.run_task(
            cluster=fargate.CLUSTER,
            taskDefinition="hokusai-validation-daemon-policies",
            launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": self.network},
        )
        return str(started["tasks"][0]["taskArn"])

    def _experiment(self) -> str:
        made = self.admin("fis").create_experiment_template(
            clientToken="policies",
            description="stop a task",
            stopConditions=[{"source": "none"}],
            targets={},
            actions={},
            roleArn=f"arn:aws:iam::{ACCOUNT}:role/fis",
        )
        return str(made["experimentTemplate"]["id"])

    def _names(self) -> dict[str, str]:
        return {
            "ValidatedCluster": VALIDATED,
            "DatabaseSecretArn": self.secret,
            "ApiKeySecretArn": arn("secretsmanager", "secret:api-key-000000"),
            "WebhookSecretArn": self.webhook,
            "AlarmTopicArn": self.topic,
            "Cluster": fargate.CLUSTER,
            "Cluster.Arn": arn("ecs", f"cluster/{fargate.CLUSTER}"),
            "Results.Arn": f"arn:aws:s3:::{RESULTS}",
            "Logs.Arn": arn("logs", f"log-group:{LOGS}:*"),
        }

    def _target(self) -> str:
        services = "\n".join(
            f'[aws.services."{name.split("-")[1]}"]\nservice = "{name}"' for name in SERVICES
        )
        return (
            f'name = "{TARGET}"\n'
            f'[aws]\ncluster = "{VALIDATED}"\nendpoint_url = "{self.through}"\n{services}\n'
            f'[permissions]\nfaults = ["stop_task", "fis"]\nfis_templates = ["{self.experiment}"]\n'
            f'[automation]\nsns_topic_arn = "{self.topic}"\nwebhook = {{secret_id = "{self.webhook}"}}\n'
        )
