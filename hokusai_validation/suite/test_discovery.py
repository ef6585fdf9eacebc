"""What is there: ECS, Cloud Map and its names, load balancers and their rules, stores."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from hokusai_validation.errors import (
    AwsNotFound,
    NotConfigured,
    NotJudged,
    RequestFailed,
)
from hokusai_validation.facts import FactKind
from hokusai_validation.observation import ErrorClass
from hokusai_validation.probes.contract.check import expect
from hokusai_validation.probes.health_check_path import unserved_path
from hokusai_validation.probes.routes import wanted_routes
from hokusai_validation.probes.target_groups import balancers_of, serving_groups
from hokusai_validation.probes.whose import Whose
from hokusai_validation.resources import recording
from hokusai_validation.resources.aws import states
from hokusai_validation.resources.aws.client import Aws
from hokusai_validation.resources.aws.models import DiscoveryService, Listener, LoadBalancer
from hokusai_validation.resources.aws.routing import Decision, Request, knows_host, possible, secure
from hokusai_validation.resources.aws.states import Works
from hokusai_validation.resources.names import Resolver
from hokusai_validation.resources.reaching import accepted
from hokusai_validation.runner.evidence import Evidence
from hokusai_validation.target import Aws as Settings
from hokusai_validation.target import Target
from hokusai_validation.topology import Role

CONNECT_TIMEOUT_S = 3.0


def _settings(target: Target) -> Settings:
    assert target.aws is not None
    return target.aws


class TestEcs:
    """Services and their tasks."""

    def test_services_active(self, target: Target, aws: Aws, evidence: Evidence) -> None:
        """Every declared service is there and active, and its last rollout did not fail."""
        settings = _settings(target)
        states = aws.ecs.services(each.service for each in settings.services.values())
        wrong: list[str] = []
        for component, declared in settings.services.items():
            state = states.get(declared.service)
            if state is None:
                seen = f"service {declared.service} is not in cluster {settings.cluster}"
                evidence.fact(FactKind.SERVICE_BELOW_DESIRED, component, seen)
                wrong.append(seen)
                continue
            evidence.record(component, state.model_copy(update={"events": state.events[:5]}))
            if state.status != "ACTIVE":
                evidence.fact(FactKind.SERVICE_BELOW_DESIRED, component, f"status {state.status}")
                wrong.append(f"service {declared.service} is {state.status}")
            failed = [each for each in state.deployments if each.rollout_state == "FAILED"]
            for rollout in failed:
                seen = f"rollout of {rollout.task_definition.rpartition('/')[2]} failed: {rollout.rollout_reason}"
                evidence.fact(FactKind.ROLLOUT_FAILED, component, seen)
                wrong.append(f"{declared.service}: {seen}")
        if wrong:
            pytest.fail("; ".join(wrong))

    def test_tasks_running(self, target: Target, aws: Aws, evidence: Evidence) -> None:
        """Every declared service has as many tasks running as it should, all of them in order."""
        settings = _settings(target)
        wrong: list[str] = []
        for component, declared in settings.services.items():
            state = aws.ecs.service(declared.service)
            tasks = aws.ecs.tasks(declared.service)
            running = [task for task in tasks if task.status == "RUNNING"]
            sick = [task for task in running if task.health == "UNHEALTHY"]
            desired = declared.desired if declared.desired is not None else state.desired
            evidence.record(
                component,
                {
                    "desired": desired,
                    "running": state.running,
                    "tasks": [task.model_dump(mode="json") for task in tasks],
                },
            )
            seen = f"{len(running)} of {desired} tasks running"
            if min(len(running), state.running) < desired:
                stopped = aws.ecs.tasks(declared.service, stopped=True)
                reason = next((task.stopped_reason for task in stopped if task.stopped_reason), "")
                seen += f" (stopped: {reason})" if reason else ""
                evidence.fact(FactKind.SERVICE_BELOW_DESIRED, component, seen)
                wrong.append(f"{component}: {seen}")
            if sick:
                evidence.fact(
                    FactKind.SERVICE_UNHEALTHY, component, f"{len(sick)} tasks UNHEALTHY", via="aws"
                )
                wrong.append(f"{component}: {len(sick)} of {len(running)} tasks are UNHEALTHY")
        if wrong:
            pytest.fail("; ".join(wrong))


class TestCloudMap:
    """Private names: registered, resolving to what is registered, and somebody there."""

    def test_names_registered(self, target: Target, aws: Aws, evidence: Evidence) -> None:
        """Each name has at least one instance."""
        empty: list[str] = []
        for component, service in self._services(target, aws, evidence).items():
            name = _settings(target).discovery_names[component]
            seen = ""
            if service is None:
                seen = f"{name} is not registered"
            elif not service.instances:
                seen = f"{name} has no registered instance"
            elif all(each.health == "UNHEALTHY" for each in service.instances):
                seen = f"{name} has UNHEALTHY instances only"
            if seen:
                evidence.fact(FactKind.NAME_NOT_RESOLVED, component, seen, via=Role.SERVICE_DISCOVERY)
                empty.append(f"{seen} in namespace {_settings(target).namespace}")
        if empty:
            pytest.fail("; ".join(empty))

    def test_names_lead_to_running_tasks(
        self, target: Target, aws: Aws, resolver: Resolver, evidence: Evidence
    ) -> None:
        """Each name resolves to what is registered, and what is registered is a running task."""
        settings = _settings(target)
        wrong: list[str] = []
        for component, service in self._services(target, aws, evidence).items():
            if service is None or not service.instances:
                continue  # the test before says so
            name = f"{service.name}.{settings.namespace}"
            registered = {each.address for each in service.instances if each.address}
            six = {each.ipv6 for each in service.instances if each.ipv6}
            declared = settings.services.get(component)
            if declared is not None:
                tasks = [task for task in aws.ecs.tasks(declared.service) if task.status == "RUNNING"]
                running = {address for task in tasks for address in task.addresses}
                # Instances without an address of their own (aliases, IPv6, another name) can't be told from here.
                gone = sorted(registered - running)
                if gone and running:
                    seen = f"{name} leads to {', '.join(gone)}, but tasks run at {', '.join(sorted(running))}"
                    evidence.fact(FactKind.NAME_STALE, component, seen, via=Role.SERVICE_DISCOVERY)
                    wrong.append(seen)
            others = sorted({each.cname for each in service.instances if each.cname})
            if not target.dns.search_private or not service.in_dns:
                continue
            try:
                for other in others:  # it answers with what the other name answers with
                    registered |= set(resolver.addresses(other))
                record = "AAAA" if six and not registered else "A"
                registered = six if record == "AAAA" else registered
                if not registered:
                    continue  # nothing that DNS could answer with
                answered = set(
                    resolver.addresses(name, record) if record != "A" else resolver.addresses(name)
                )
            except RequestFailed as error:
                evidence.failure(error, component, via=Role.SERVICE_DISCOVERY)
                wrong.append(str(error))
                continue
            evidence.record(name, {"registered": sorted(registered), "answered": sorted(answered)})
            if not answered <= registered:
                seen = f"{name} resolves to {', '.join(sorted(answered))}, registered {', '.join(sorted(registered))}"
                evidence.fact(FactKind.NAME_STALE, component, seen, via=Role.SERVICE_DISCOVERY)
                wrong.append(seen)
        if wrong:
            pytest.fail("; ".join(dict.fromkeys(wrong)))

    def test_instances_reachable(
        self, target: Target, aws: Aws, resolver: Resolver, evidence: Evidence
    ) -> None:
        """Something accepts connections at each registered instance."""
        if not target.dns.search_private:
            raise NotConfigured("private addresses can't be reached from here (`dns.search_private`)")
        wrong: list[str] = []
        whose = Whose(target)
        for component, service in self._services(target, aws, evidence).items():
            for registered in service.instances if service is not None else ():
                address, port = registered.address or registered.ipv6 or registered.cname, registered.port
                if port is None or not address:
                    continue
                instance = whose.instance(address, port)
                # What is registered is the way of whoever looks the name up; the part itself is asked elsewhere.
                with recording.unrecorded():
                    question = recording.ask("tcp.connect", "", address, port)
                try:
                    where = f"{address}:{port}"
                    accepted(resolver, address, port, CONNECT_TIMEOUT_S, call=where, question=question)
                except RequestFailed as error:
                    evidence.failure(error, instance or component)
                    wrong.append(f"{component}: {error}")
        if wrong:
            pytest.fail(" ".join(wrong))

    def _services(self, target: Target, aws: Aws, evidence: Evidence) -> dict[str, DiscoveryService | None]:
        settings = _settings(target)
        namespace = aws.discovery.namespace(settings.namespace or "")
        found = {each.name: each for each in namespace.services}
        evidence.record("registered", {name: each.instances for name, each in found.items()})
        return {component: found.get(name) for component, name in settings.discovery_names.items()}


class TestBalancing:
    """Load balancers, their targets, and where their rules send each public path."""

    def test_load_balancers_active(self, target: Target, aws: Aws, evidence: Evidence) -> None:
        """Every load balancer is active."""
        balancers = balancers_of(_settings(target), aws)
        evidence.record("load balancers", balancers)
        assert balancers, "No load balancer is named, and none has a rule that leads to the target's groups."
        for balancer in balancers:
            expect(
                balancer.state == "active",
                f"Load balancer {balancer.name} is {balancer.state or 'in no state'}, not active.",
                evidence,
                FactKind.SERVICE_UNHEALTHY,
                Role.LOAD_BALANCER,
                via="aws",
            )

    def test_target_health(self, target: Target, aws: Aws, evidence: Evidence) -> None:
        """Every target group has targets, and all of them are healthy."""
        settings = _settings(target)
        if not any(each.target_group for each in settings.services.values()):
            raise NotConfigured("no target group configured")
        wrong: list[str] = []
        untold: list[str] = []
        whose = Whose(target)
        for component, groups in serving_groups(settings, aws).items():
            targets = {group.name: aws.balancing.target_health(group) for group in groups}
            evidence.record(component, targets)
            health = states.targets(targets)
            name = " and ".join(targets)
            if health.works is Works.UNTOLD:
                untold.append(f"{name}: {health}")
            elif health.works is Works.NO:
                each_state = [each.state for found in targets.values() for each in found]
                for group in groups:
                    seen = unserved_path(group, targets[group.name])
                    if seen is not None:
                        evidence.fact(FactKind.HEALTH_CHECK_PATH, component, seen)
                for sick in health.sick:
                    at = whose.instance(sick.target.id, sick.target.port) or component
                    evidence.fact(FactKind.TARGET_UNHEALTHY, at, str(sick))
                    wrong.append(str(sick))
                if not health.sick:
                    seen = states.sentence(name, health, each_state)
                    evidence.fact(FactKind.TARGET_UNHEALTHY, component, seen)
                    wrong.append(seen)
        if wrong:
            pytest.fail("; ".join(wrong))
        if untold:
            raise NotJudged(f"Nobody checks these targets: {'; '.join(untold)}.")

    def test_routes_reach_right_group(
        self, target: Target, aws: Aws, resolver: Resolver, evidence: Evidence
    ) -> None:
        """Every public path is forwarded to its component's target group and no other; the proxy's
        paths go to the API, not past it."""
        settings = _settings(target)
        routes = wanted_routes(target)
        if not routes:
            raise NotConfigured("no public route configured")
        balancers = balancers_of(settings, aws)
        listeners = {balancer.name: secure(aws.balancing.listeners(balancer)) for balancer in balancers}
        groups = serving_groups(settings, aws)
        by_arn = {group.arn: group.name for each in groups.values() for group in each}
        wrong: list[str] = []
        undecided: list[str] = []
        for route in routes:
            wanted = {group.name for group in groups[route.component]}
            what = f"{route.host}{route.path}"
            found = _decisions(route.host, route.path, balancers, listeners, resolver)
            if not found:
                evidence.fact(
                    FactKind.WRONG_TARGET_GROUP,
                    Role.LOAD_BALANCER,
                    f"{what}: no HTTPS listener",
                    route.component,
                )
                wrong.append(f"no HTTPS listener decides about {what}")
            right = [_is_right(decision, by_arn, wanted) for decision in found]
            if any(right) and not all(right):
                # More than one rule may decide, and they disagree: which one does is not known.
                hangs = sorted({field for decision in found for field in decision.hangs_on})
                if hangs:
                    undecided.append(f"{what} hangs on {', '.join(hangs)}")
                    continue
            for decision in found:
                if _is_right(decision, by_arn, wanted):
                    continue
                went = [by_arn.get(arn, arn.rpartition("targetgroup/")[2]) for arn in decision.target_groups]
                rule = "the default action" if decision.priority is None else f"rule {decision.priority}"
                did = (
                    f"{decision.action} to {', '.join(went)}"
                    if went
                    else f"{decision.action} {decision.status}"
                )
                seen = f"{what}: {rule} of {decision.load_balancer} does {did.strip()}, must forward to {' or '.join(sorted(wanted))}"
                evidence.fact(FactKind.WRONG_TARGET_GROUP, Role.LOAD_BALANCER, seen, via=route.component)
                wrong.append(seen)
        evidence.record("routes", [f"{each.host}{each.path} -> {each.component}" for each in routes])
        if wrong:
            pytest.fail("; ".join(wrong))
        if undecided:
            raise NotJudged(f"Where these paths go can't be told from the rules: {'; '.join(undecided)}.")

    def test_http_is_redirected(self, target: Target, aws: Aws, evidence: Evidence) -> None:
        """Every plain HTTP listener only redirects to HTTPS."""
        wrong: list[str] = []
        for balancer in balancers_of(_settings(target), aws):
            for listener in aws.balancing.listeners(balancer):
                if listener.protocol != "HTTP":
                    continue
                for rule in listener.rules:
                    last = rule.actions[-1] if rule.actions else None
                    if last is None or last.type != "redirect" or last.redirect.get("Protocol") != "HTTPS":
                        wrong.append(
                            f"{balancer.name}:{listener.port} answers over HTTP ({last.type if last else 'no action'})"
                        )
        for seen in wrong:
            evidence.fact(FactKind.CONFIGURATION_DIFFERS, Role.LOAD_BALANCER, seen)
        assert not wrong, "; ".join(wrong) + ", must redirect to HTTPS."

    def test_listener_certificates(self, target: Target, aws: Aws, evidence: Evidence) -> None:
        """Every certificate of an HTTPS listener is valid and lasts longer than the threshold."""
        now = datetime.now(UTC)
        arns: set[str] = set()
        for balancer in balancers_of(_settings(target), aws):
            for listener in secure(aws.balancing.listeners(balancer)):
                arns |= {arn for arn in listener.certificates if ":acm:" in arn}
        if not arns:
            pytest.skip("no listener has a certificate of ACM")
        soon: list[str] = []
        for arn in sorted(arns):
            certificate = aws.balancing.certificate(arn)
            evidence.record(certificate.domain or arn, certificate)
            if certificate.status not in ("ISSUED", ""):
                seen = f"certificate {certificate.domain} is {certificate.status}"
                evidence.fact(FactKind.TLS_FAILED, Role.LOAD_BALANCER, seen, via="aws")
                soon.append(seen)
            if certificate.expires_at is None:
                continue
            days = (certificate.expires_at - now).total_seconds() / 86_400
            if days < target.tls.expiring_days:
                seen = f"certificate {certificate.domain} expires in {days:.1f} days"
                evidence.fact(FactKind.CERTIFICATE_EXPIRING, Role.LOAD_BALANCER, seen, via="aws")
                soon.append(f"{seen}, threshold {target.tls.expiring_days}")
        if soon:
            pytest.fail("; ".join(soon))


def _decisions(
    host: str,
    path: str,
    balancers: tuple[LoadBalancer, ...],
    listeners: dict[str, tuple[Listener, ...]],
    resolver: Resolver,
) -> list[Decision]:
    """What the load balancers that serve a host do with a path: the one that its name leads to;
    where that can't be told, those with a rule for it; else all."""
    served = [each for each in balancers if listeners[each.name]]
    at_host = _addresses(host, resolver)
    by_name = [each for each in served if at_host and at_host & _addresses(each.dns_name, resolver)]
    by_rule = [each for each in served if any(knows_host(item, host) for item in listeners[each.name])]
    found: list[Decision] = []
    for balancer in by_name or by_rule or served:
        found += possible(listeners[balancer.name][0], Request(host=host, path=path))
    return found


def _is_right(decision: Decision, by_arn: Mapping[str, str], wanted: set[str]) -> bool:
    """All that it may forward to belongs to the component, in whatever weights."""
    went = {by_arn.get(arn, arn) for arn in decision.target_groups}
    return decision.action == "forward" and bool(went) and went <= wanted


def _addresses(name: str, resolver: Resolver) -> set[str]:
    try:
        with recording.provoked(ErrorClass.NAME_NOT_FOUND):  # not every name has to exist
            return set(resolver.addresses(name)) if name else set()
    except RequestFailed:
        return set()


class TestStores:
    """RDS, the cache, the bucket, the secret, the logs."""

    def test_rds_available(self, target: Target, aws: Aws, evidence: Evidence) -> None:
        """The RDS instance is available, and not open to the world."""
        instance = aws.data.database_server(_settings(target))
        evidence.record("instance", instance)
        works = states.rds(instance.status)
        if works is Works.UNTOLD:
            raise NotJudged(
                f"RDS's {instance.id} is {instance.status or 'in no state'}: that does not say whether it works."
            )
        expect(
            works is Works.YES,
            f"RDS's {instance.id} is {instance.status}, in which it does not work.",
            evidence,
            FactKind.DATABASE_NOT_AVAILABLE,
            Role.DATABASE,
        )
        expect(
            not instance.publicly_accessible,
            f"RDS's {instance.id} is publicly accessible.",
            evidence,
            FactKind.CONFIGURATION_DIFFERS,
            Role.DATABASE,
        )

    def test_cache_available(self, target: Target, aws: Aws, evidence: Evidence) -> None:
        """The ElastiCache cluster is available."""
        try:
            cluster = aws.data.cache(_settings(target))
        except AwsNotFound as error:
            evidence.fact(FactKind.SERVICE_UNHEALTHY, Role.CACHE, str(error), via="aws")
            raise
        evidence.record("cluster", cluster)
        works = states.cache(cluster.status)
        if works is Works.UNTOLD:
            raise NotJudged(
                f"ElastiCache's {cluster.id} is {cluster.status or 'in no state'}: that does not say whether"
                " it works."
            )
        expect(
            works is Works.YES,
            f"ElastiCache's {cluster.id} is {cluster.status}, in which it does not work.",
            evidence,
            FactKind.SERVICE_UNHEALTHY,
            Role.CACHE,
            via="aws",
        )

    def test_bucket_exists(self, target: Target, aws: Aws, evidence: Evidence) -> None:
        """The artifact bucket is there."""
        bucket = _settings(target).bucket or ""
        expect(
            aws.data.bucket_exists(bucket),
            f"Bucket {bucket} is not there; MLflow has nowhere to put artifacts.",
            evidence,
            FactKind.ARTIFACT_STORE_FAILED,
            Role.ARTIFACT_STORE,
            via="aws",
        )

    def test_database_secret(self, target: Target, aws: Aws, evidence: Evidence) -> None:
        """The database's secret is there, has a current version and is not being deleted."""
        secret_id = _settings(target).database_secret or ""
        try:
            state = aws.data.secret_state(secret_id)
        except AwsNotFound as error:
            evidence.fact(FactKind.CONFIGURATION_DIFFERS, Role.SECRETS, str(error), via="aws")
            raise
        evidence.record("secret", state)
        expect(
            not state.deleted and state.current is not None,
            f"Secret {secret_id} {'is scheduled for deletion' if state.deleted else 'has no current version'}.",
            evidence,
            FactKind.CONFIGURATION_DIFFERS,
            Role.SECRETS,
        )

    def test_log_groups(self, target: Target, aws: Aws, evidence: Evidence) -> None:
        """Every service has its log group, and something was ever written to it."""
        wrong: list[str] = []
        for component, declared in _settings(target).services.items():
            if declared.log_group is None:
                continue
            try:
                group = aws.data.log_group(declared.log_group)
            except AwsNotFound as error:
                evidence.fact(FactKind.CONFIGURATION_DIFFERS, component, str(error), via="aws")
                wrong.append(str(error))
                continue
            evidence.record(component, group)
            if group.last_event_at is None:
                seen = f"log group {group.name} has no line"
                evidence.fact(FactKind.CONFIGURATION_DIFFERS, component, seen, via="aws")
                wrong.append(seen)
        if wrong:
            pytest.fail("; ".join(wrong))
