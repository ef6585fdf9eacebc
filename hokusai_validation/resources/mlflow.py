"""MLflow's REST API as the checks speak it, directly or through the gateway's proxy.

Written on plain HTTP: the checks want the statuses and headers that MLflow's own client hides, and
importing that client costs more than a second.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self
from urllib.parse import quote

from pydantic import JsonValue, SecretStr

from hokusai_validation.errors import ProtocolViolated, TargetInvalid
from hokusai_validation.redaction import shown
from hokusai_validation.resources.http import Answer, HttpClient
from hokusai_validation.resources.names import Resolver
from hokusai_validation.resources.secrets import Secrets
from hokusai_validation.target import Target

API = "/api/2.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
PAGES_LIMIT = 100


class MlflowRefused(ProtocolViolated):
    """MLflow answered a call with an error. `status` is HTTP's, `code` MLflow's own."""

    def __init__(self, message: str, status: int, code: str, answer: Answer) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.answer = answer


class Mlflow:
    """MLflow behind a base URL. `prefix` is what stands before `/api/2.0` (the proxy's path);
    `with_key` sends the client's API key along."""

    def __init__(self, http: HttpClient, *, prefix: str = "", with_key: bool = False) -> None:
        self.http = http
        self._prefix = prefix.rstrip("/")
        self.with_key = with_key

    @classmethod
    def from_target(cls, target: Target, secrets: Secrets, *, timeout_s: float | None = None) -> Self:
        """MLflow by its own address, as `[mlflow]` of the target file says; each call within `timeout_s`, or
        within the target's own limit.

        Raises TargetInvalid where it has none."""
        if target.mlflow is None or target.mlflow.url is None:
            raise TargetInvalid(
                f"Target '{target.name}' names no `mlflow.url`; MLflow can't be asked directly."
            )
        return cls(_client(target, target.mlflow.url, timeout_s=timeout_s))

    @classmethod
    def through_gateway(
        cls,
        target: Target,
        secrets: Secrets,
        *,
        base_url: str | None = None,
        timeout_s: float | None = None,
    ) -> Self:
        """MLflow through the API's proxy, with the good key; `base_url` names one instance.

        Raises TargetInvalid where the target has no gateway, SecretMissing."""
        url = base_url or target.url
        if url is None:
            raise TargetInvalid(
                f"Target '{target.name}' names no endpoint of the registry; add `endpoints.registry`."
            )
        key = None if target.keys.good is None else secrets.value(target.keys.good)
        prefix = target.mlflow.through_gateway if target.mlflow is not None else "/api/mlflow"
        return cls(_client(target, url, key, timeout_s=timeout_s), prefix=prefix, with_key=True)

    @property
    def path_prefix(self) -> str:
        """What stands before `/api/2.0`: empty, or the proxy's path."""
        return self._prefix

    @property
    def address(self) -> str:
        """What stands before `/api/2.0`, with the host."""
        return f"{self.http.base_url.rstrip('/')}{self._prefix}"

    def close(self) -> None:
        """Close the kept connections."""
        self.http.close()

    def ask(self, method: str, path: str, json: object = None, **options: Any) -> Answer:
        """One call below the API's root (`/experiments/search`), whatever it answers.

        Raises the leaves of RequestFailed."""
        return self.http.request(
            method, f"{self._prefix}{API}{path}", json=json, key=self.with_key, **options
        )

    def call(self, method: str, path: str, json: object = None, **options: Any) -> dict[str, JsonValue]:
        """One call that must succeed, its answer as JSON.

        Raises MlflowRefused, and the leaves of RequestFailed."""
        answer = self.ask(method, path, json, **options)
        if answer.status >= 400:
            raise refused(answer)
        body = answer.json() if answer.body else {}
        if not isinstance(body, dict):
            raise ProtocolViolated(f"{method} {answer.url} answered with JSON that is no object.")
        return body

    def health(self) -> Answer:
        """`GET /health`, which MLflow answers without looking at its database."""
        return self.http.get(f"{self._prefix}/health", key=self.with_key)

    def create_experiment(self, name: str, tags: Mapping[str, str] | None = None) -> str:
        """The new experiment's id."""
        pairs = [{"key": key, "value": value} for key, value in (tags or {}).items()]
        made = self.call("POST", "/experiments/create", {"name": name, "tags": pairs})
        return str(part(made, "experiment_id"))

    def delete_experiment(self, experiment_id: str) -> None:
        """Mark an experiment deleted; MLflow keeps it until its own `gc`."""
        self.call("POST", "/experiments/delete", {"experiment_id": experiment_id})

    def search_experiments(
        self, filter_string: str = "", view: str = "ACTIVE_ONLY"
    ) -> Iterator[dict[str, JsonValue]]:
        """Every experiment that fits, page by page."""
        yield from self._pages(
            "/experiments/search",
            "experiments",
            {"filter": filter_string, "view_type": view, "max_results": 200},
        )

    def create_run(
        self, experiment_id: str, start_time_ms: int, tags: Mapping[str, str] | None = None
    ) -> str:
        """The new run's id."""
        pairs = [{"key": key, "value": value} for key, value in (tags or {}).items()]
        body = {"experiment_id": experiment_id, "start_time": start_time_ms, "tags": pairs}
        return str(part(self.call("POST", "/runs/create", body), "run", "info", "run_id"))

    def log_batch(
        self,
        run_id: str,
        *,
        metrics: Sequence[Mapping[str, object]] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Metrics (`key`, `value`, `timestamp` in ms, `step`), parameters and tags in one call;
        MLflow takes 1,000 metrics and 100 of the others."""
        self.call(
            "POST",
            "/runs/log-batch",
            {
                "run_id": run_id,
                "metrics": list(metrics),
                "params": [{"key": key, "value": value} for key, value in (params or {}).items()],
                "tags": [{"key": key, "value": value} for key, value in (tags or {}).items()],
            },
        )

    def finish_run(self, run_id: str, end_time_ms: int, status: str = "FINISHED") -> None:
        """End a run."""
        self.call("POST", "/runs/update", {"run_id": run_id, "status": status, "end_time": end_time_ms})

    def run(self, run_id: str) -> dict[str, JsonValue]:
        """A run: `info` and `data`."""
        found = self.call("GET", f"/runs/get?run_id={quote(run_id)}")
        part(found, "run", "info", "run_id")
        return {"data": {}, **_table(found, "run")}

    def search_runs(self, experiment_id: str, filter_string: str = "") -> Iterator[dict[str, JsonValue]]:
        """Every run of an experiment that fits, page by page."""
        yield from self._pages(
            "/runs/search",
            "runs",
            {"experiment_ids": [experiment_id], "filter": filter_string, "max_results": 200},
        )

    def delete_run(self, run_id: str) -> None:
        """Mark a run deleted."""
        self.call("POST", "/runs/delete", {"run_id": run_id})

    def create_model(self, name: str) -> None:
        """Register a model's name."""
        self.call("POST", "/registered-models/create", {"name": name})

    def delete_model(self, name: str) -> None:
        """Remove a registered model with its versions."""
        self.call("DELETE", "/registered-models/delete", {"name": name})

    def create_version(self, name: str, source: str, run_id: str | None = None) -> str:
        """The new version's number, as MLflow writes it."""
        body: dict[str, object] = {"name": name, "source": source}
        if run_id is not None:
            body["run_id"] = run_id
        return str(part(self.call("POST", "/model-versions/create", body), "model_version", "version"))

    def version(self, name: str, version: str) -> dict[str, JsonValue]:
        """A model version."""
        found = self.call("GET", f"/model-versions/get?name={quote(name, safe='')}&version={quote(version)}")
        return _table(found, "model_version")

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Let an alias point at a version, away from where it pointed."""
        self.call("POST", "/registered-models/alias", {"name": name, "alias": alias, "version": version})

    def version_by_alias(self, name: str, alias: str) -> dict[str, JsonValue]:
        """The version that an alias points at."""
        path = f"/registered-models/alias?name={quote(name, safe='')}&alias={quote(alias, safe='')}"
        return _table(self.call("GET", path), "model_version")

    def set_version_tag(self, name: str, version: str, key: str, value: str) -> None:
        """Tag a version."""
        self.call(
            "POST", "/model-versions/set-tag", {"name": name, "version": version, "key": key, "value": value}
        )

    def search_models(self, filter_string: str = "") -> Iterator[dict[str, JsonValue]]:
        """Every registered model that fits, page by page."""
        options = f"filter={quote(filter_string)}&max_results=200"
        token = ""
        for _ in range(PAGES_LIMIT):
            following = f"&page_token={quote(token)}" if token else ""
            page = self.call("GET", f"/registered-models/search?{options}{following}")
            yield from objects(page, "registered_models")
            token = str(page.get("next_page_token") or "")
            if not token:
                return

    def put_artifact(self, path: str, content: bytes) -> Answer:
        """Write an artifact through MLflow's artifact proxy; `path` below the store's root.

        Raises MlflowRefused, and the leaves of RequestFailed."""
        return self._artifact("PUT", path, content)

    def get_artifact(self, path: str) -> bytes:
        """An artifact's bytes, up to the client's limit."""
        return self._artifact("GET", path).body

    def delete_artifact(self, path: str) -> None:
        """Remove an artifact."""
        self._artifact("DELETE", path)

    def _artifact(self, method: str, path: str, content: bytes | None = None) -> Answer:
        answer = self.http.request(
            method, f"{self._prefix}{ARTIFACTS}/{quote(path)}", content=content, key=self.with_key
        )
        if answer.status >= 400:
            raise refused(answer)
        return answer

    def _pages(self, path: str, items: str, body: Mapping[str, object]) -> Iterator[dict[str, JsonValue]]:
        token = ""
        for _ in range(PAGES_LIMIT):
            page = self.call("POST", path, {**body, **({"page_token": token} if token else {})})
            yield from objects(page, items)
            token = str(page.get("next_page_token") or "")
            if not token:
                return


def _client(
    target: Target, url: str, key: SecretStr | None = None, *, timeout_s: float | None = None
) -> HttpClient:
    return HttpClient(
        url,
        tls=target.tls,
        resolver=Resolver(target.dns.resolver),
        key=key,
        timeout_s=timeout_s or target.limits.request_s,
    )


def part(body: object, *path: str) -> Any:
    """What lies at a path of names in an answer.

    Raises ProtocolViolated where it has no such part."""
    found = body
    for name in path:
        if not isinstance(found, dict) or name not in found:
            raise ProtocolViolated(
                f"MLflow's answer has no `{'.'.join(path)}`: {shown(body, 120)}; see what answers there."
            )
        found = found[name]
    return found


def _table(body: object, *path: str) -> dict[str, JsonValue]:
    found = part(body, *path)
    if not isinstance(found, dict):
        raise ProtocolViolated(f"`{'.'.join(path)}` of MLflow's answer is {type(found).__name__}, no object.")
    return found


def objects(body: Mapping[str, JsonValue], name: str) -> list[dict[str, JsonValue]]:
    """A list of an answer, every one an object; MLflow leaves an empty list out.

    Raises ProtocolViolated where it is anything else."""
    found = body.get(name, [])
    if isinstance(found, list):
        objects = [each for each in found if isinstance(each, dict)]
        if len(objects) == len(found):
            return objects
    raise ProtocolViolated(f"`{name}` of MLflow's answer is no list of objects.")


def refused(answer: Answer) -> MlflowRefused:
    """An error answer as an exception, MLflow's own code in it where the body has one."""
    code, message = "", shown(answer.text, 200)
    try:
        body = answer.json()
    except ProtocolViolated:
        body = None
    if isinstance(body, dict):
        code, message = str(body.get("error_code", "")), shown(body.get("message", body), 200)
    return MlflowRefused(
        f"{answer.method} {answer.url} answered {answer.status} {code}: {message}",
        answer.status,
        code,
        answer,
    )


def artifact_path(artifact_uri: str) -> str:
    """A run's artifact URI as the path that MLflow's artifact proxy takes.

    Raises ProtocolViolated when MLflow doesn't serve that store's artifacts itself."""
    scheme, _, rest = artifact_uri.partition(":")
    if scheme != "mlflow-artifacts":
        raise ProtocolViolated(f"The artifact store {scheme}:… is not served by MLflow's artifact proxy.")
    return rest.lstrip("/") if not rest.startswith("//") else rest[2:].partition("/")[2]
