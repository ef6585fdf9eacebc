"""ECS that really runs a task: moto answers, and a process of this machine is the container."""

import json
import os
import subprocess
import sys
import threading
import urllib.request
from typing import Any

import boto3

CLUSTER = "hokusai-validation-tasks"
FAMILY = "hokusai-validation-suite-test"
LIMIT_S = 120.0


def set_transition(url: str, model: str) -> None:
    """From now on moto moves things of this kind only where a test says so."""
    body = {"model_name": model, "transition": {"progression": "manual", "times": 100000}}
    request = urllib.request.Request(
        f"{url}/moto-api/state-manager/set-transition", json.dumps(body).encode()
    )
    request.add_header("content-type", "application/json")
    urllib.request.urlopen(request, timeout=10).close()


class Fargate:
    """Runs what ECS by moto is asked to run, as a process of this machine. `through` is the address
    that its clients `ecs` and `s3` are given for moto's, `environment` what a container has besides."""

    def __init__(self, url: str, bucket: str, *, through: str = "", **environment: str) -> None:
        self.asked: list[dict[str, Any]] = []
        self._environment = environment
        set_transition(url, "ecs::task")
        boto3.client("s3", endpoint_url=url).create_bucket(Bucket=bucket)
        account: Any = boto3.client("ecs", endpoint_url=url)
        account.create_cluster(clusterName=CLUSTER)
        account.register_task_definition(
            family=FAMILY, containerDefinitions=[{"name": "suite", "image": "x:1", "memory": 128}]
        )
        self.ecs: Any = boto3.client("ecs", endpoint_url=through or url)
        self.s3: Any = boto3.client("s3", endpoint_url=through or url)
        self.ecs.meta.events.register("provide-client-params.ecs.RunTask", self._note)
        self.ecs.meta.events.register("after-call.ecs.RunTask", self._start)
        self.threads: list[threading.Thread] = []

    def close(self) -> None:
        """Wait for the containers' ends."""
        for thread in self.threads:
            thread.join(LIMIT_S)

    def _note(self, params: dict[str, Any], **_: Any) -> None:
        self.asked.append(params)
        # moto makes network interfaces only in a network that it knows.
        params.pop("networkConfiguration")

    def _start(self, parsed: dict[str, Any], **_: Any) -> None:
        from moto.ecs.models import ecs_backends

        if not parsed.get("tasks"):
            return
        started = parsed["tasks"][0]
        override = self.asked[-1]["overrides"]["containerOverrides"][0]
        state: Any = ecs_backends["123456789012"]["us-east-1"].tasks[CLUSTER][started["taskArn"]]

        def container() -> None:
            environment = {item["name"]: item["value"] for item in override["environment"]}
            subprocess.run(
                [sys.executable, *override["command"][1:]],
                env={**os.environ, **environment, **self._environment},
                check=False,
                timeout=LIMIT_S,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            state.last_status = state.desired_status = "STOPPED"
            state._status = "STOPPED"

        thread = threading.Thread(target=container)
        thread.start()
        self.threads.append(thread)
