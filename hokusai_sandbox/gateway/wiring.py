"""Which class plays each part. The good gateway is what stands here; a defect replaces a part by
a wrong subclass of it, and nothing in the parts themselves knows about defects."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hokusai_sandbox import breaker as shared
from hokusai_sandbox.breaker import MLflowCircuitBreaker
from hokusai_sandbox.gateway.auth_client import AuthClient
from hokusai_sandbox.gateway.authentication import Authenticator
from hokusai_sandbox.gateway.checks import Watched
from hokusai_sandbox.gateway.database import Database
from hokusai_sandbox.gateway.edge import Edge
from hokusai_sandbox.gateway.failpoints import FailPoints
from hokusai_sandbox.gateway.health import Health
from hokusai_sandbox.gateway.key_cache import KeyCache
from hokusai_sandbox.gateway.logs import Log
from hokusai_sandbox.gateway.message_queue import MessageQueue
from hokusai_sandbox.gateway.metrics import Metrics
from hokusai_sandbox.gateway.mlflow import Mlflow
from hokusai_sandbox.gateway.mlflow_diagnosis import MlflowDiagnosis
from hokusai_sandbox.gateway.proxy import Proxy
from hokusai_sandbox.gateway.settings import Settings
from hokusai_sandbox.gateway.state import Gateway
from hokusai_sandbox.gateway.system import System
from hokusai_sandbox.gateway.traffic import Traffic
from hokusai_sandbox.gateway.usage import UsageReports

Part = TypeVar("Part")


@dataclass
class Wiring:
    """The classes to build with, and what is changed before and after."""

    breaker: type[MLflowCircuitBreaker] = MLflowCircuitBreaker
    mlflow: type[Mlflow] = Mlflow
    database: type[Database] = Database
    cache: type[KeyCache] = KeyCache
    queue: type[MessageQueue] = MessageQueue
    auth: type[AuthClient] = AuthClient
    authenticator: type[Authenticator] = Authenticator
    usage: type[UsageReports] = UsageReports
    system: type[System] = System
    gateway: type[Gateway] = Gateway
    health: type[Health] = Health
    metrics: type[Metrics] = Metrics
    proxy: type[Proxy] = Proxy
    diagnosis: type[MlflowDiagnosis] = MlflowDiagnosis
    edge: type[Edge] = Edge
    log: type[Log] = Log
    settings: list[Callable[[Settings], Settings]] = field(default_factory=list)

    def replace(self, part: str, wrong: type[Any]) -> None:
        """Put a wrong variant in front of what plays the part now; several may be combined."""
        current: type[Any] = getattr(self, part)
        setattr(self, part, wrong if current in wrong.__mro__ else type(wrong.__name__, (wrong, current), {}))

    def build(self, settings: Settings) -> Gateway:
        """The parts of one instance, connected to each other and to nothing else yet."""
        for change in self.settings:
            settings = change(settings)
        log = self.log(settings.instance_name)
        failpoints = FailPoints()
        breaker = self._breaker(settings)
        auth = self.auth(settings)
        cache = self.cache(settings)
        database = self.database(settings)
        return self.gateway(
            settings=settings,
            log=log,
            failpoints=failpoints,
            system=self.system(failpoints),
            traffic=Traffic(),
            breaker=breaker,
            mlflow=self.mlflow(settings, breaker),
            database=database,
            cache=cache,
            queue=self.queue(settings, log),
            auth=auth,
            authenticator=self.authenticator(auth, cache, log),
            usage=self.usage(auth, log),
            postgres=Watched("postgres", database.check, settings.check_timeout_s),
        )

    def _breaker(self, settings: Settings) -> MLflowCircuitBreaker:
        breaker = self.breaker(
            settings.mlflow_cb_failure_threshold,
            settings.mlflow_cb_recovery_timeout,
            settings.mlflow_cb_max_recovery_attempts,
        )
        shared.circuit_breaker = breaker  # the module's functions speak of this process's breaker
        return breaker
