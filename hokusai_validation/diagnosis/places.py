"""Which component a text speaks of: by an address or a private name that the target file knows, or by
its own name."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from hokusai_validation.target import Target

_ADDRESS = re.compile(r"\b([A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?):(\d{1,5})\b")

_HOST = re.compile(r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?")

_PATH = re.compile(r"\S*/\S*")

# How services call each other in their error texts.
_NAMES = (
    ("mlflow", re.compile(r"\bmlflow\b", re.IGNORECASE)),
    ("auth", re.compile(r"\bauth(entication)?[ -]service\b", re.IGNORECASE)),
    ("postgres", re.compile(r"\bpostgres(ql)?\b|\bdatabase\b|\bpsycopg2?\b|\basyncpg\b", re.IGNORECASE)),
    ("message_queue", re.compile(r"\bmessage[ _]queue\b", re.IGNORECASE)),
    ("redis", re.compile(r"\bredis\b", re.IGNORECASE)),
)


class Places:
    """The target's own addresses, each with the component that serves there."""

    def __init__(self, target: Target) -> None:
        self._component = dict(self._known(target))
        self._private = dict(self._private_names(target))

    def component_at(self, text: str) -> str | None:
        """The component at the first known address in a text."""
        for host, port in _ADDRESS.findall(text):
            found = self._component.get(f"{host.lower()}:{int(port)}")
            if found is not None:
                return found
        return None

    def component_of_name(self, text: str) -> str | None:
        """The component that the first known private name in a text stands for."""
        found = (self._private.get(word.lower()) for word in _HOST.findall(text))
        return next((component for component in found if component), None)

    @staticmethod
    def named(text: str) -> str | None:
        """The dependency that a text names first; a path in it names nobody."""
        text = _PATH.sub(" ", text)
        found = [
            (match.start(), name) for name, pattern in _NAMES if (match := pattern.search(text)) is not None
        ]
        return min(found)[1] if found else None

    @staticmethod
    def _private_names(target: Target) -> Iterator[tuple[str, str]]:
        if target.aws is not None and target.aws.namespace:
            for component, name in target.aws.discovery_names.items():
                yield f"{name}.{target.aws.namespace}".lower(), component

    @staticmethod
    def _known(target: Target) -> Iterator[tuple[str, str]]:
        urls = [(instance.url, "api") for instance in target.instances]
        urls += [(target.auth.url, "auth")] if target.auth else []
        urls += [(target.mlflow.url, "mlflow")] if target.mlflow and target.mlflow.url else []
        for url, component in urls:
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
            yield f"{(parts.hostname or '').lower()}:{port}", component
        if target.database is not None:
            yield f"{target.database.host.lower()}:{target.database.port}", "postgres"
        if target.redis is not None:
            yield f"{target.redis.host.lower()}:{target.redis.port}", "redis"
