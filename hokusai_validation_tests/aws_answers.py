"""AWS's answers as AWS documents them, given in place of the network: each is held against botocore's own
model of the service (names, types, enumerations, required members), so that none can be made up.

These answers are *documented*: written by hand from AWS's references, never recorded from an account."""

from collections.abc import Callable, Mapping
from typing import Any

from botocore.model import Shape
from botocore.validate import ParamValidator

from hokusai_validation.resources.aws.calls import AwsCalls
from hokusai_validation.resources.aws.session import Login

Answer = Mapping[str, Any] | Callable[[Mapping[str, Any]], Mapping[str, Any]]
KEYS = Login.model_validate({"access_key": "test", "secret_key": "test"})


class DocumentedCalls(AwsCalls):
    """Calls that are answered from a table: operation -> the answer, or what makes it of the request.
    What is not in the table fails loudly."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        super().__init__("us-east-1", login=KEYS, attempts=1)
        self._answers = answers
        self.asked: list[tuple[str, Mapping[str, Any]]] = []

    def once(self) -> AwsCalls:
        return self

    def close(self) -> None:
        """Used again by the next look."""

    def client(self, service: str) -> Any:
        made = super().client(service)
        made.meta.events.register("before-call", self._answer, unique_id="documented")
        return made

    def _answer(self, model: Any, params: Mapping[str, Any], context: Any, **_: Any) -> tuple[Any, Any]:
        asked = _asked(params)
        self.asked.append((model.name, asked))
        answer = self._answers[model.name]
        made = dict(answer(asked) if callable(answer) else answer)
        if "Error" in made:
            status = int(made["ResponseMetadata"]["HTTPStatusCode"])
            return type("Http", (), {"status_code": status})(), made
        hold_against(model.output_shape, made)
        return type("Http", (), {"status_code": 200})(), {**made, "ResponseMetadata": {}}


def hold_against(shape: Shape, value: Any) -> None:
    """Raise AssertionError where a value is none that the service's model knows."""
    report = ParamValidator().validate(value, shape)
    assert not report.has_errors(), report.generate_report()
    _known(shape, value, shape.name)


def _known(shape: Any, value: Any, where: str) -> None:
    """What botocore's validator passes over: enumerations, and members that the model does not have."""
    if shape.type_name == "structure":
        unknown = set(value) - set(shape.members)
        assert not unknown, f"{where}: {sorted(unknown)} are not in the model"
        for name, item in value.items():
            _known(shape.members[name], item, f"{where}.{name}")
    elif shape.type_name == "list":
        for item in value:
            _known(shape.member, item, f"{where}[]")
    elif shape.type_name == "map":
        for item in value.values():
            _known(shape.value, item, f"{where}{{}}")
    elif shape.type_name == "string" and getattr(shape, "enum", None):
        assert value in shape.enum, f"{where}: {value!r} is none of {shape.enum}"


def _asked(params: Mapping[str, Any]) -> Mapping[str, Any]:
    import json

    body = params.get("body") or b""
    if isinstance(body, dict):  # the query protocol
        return body
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def refused(code: str, status: int = 400) -> Mapping[str, Any]:
    """An error answer."""
    return {
        "Error": {"Code": code, "Message": "as documented"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
