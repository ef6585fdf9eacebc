"""An account as the text of a target file. What can't be known of it stands there as a comment. Pure."""

from collections.abc import Iterator, Sequence

import tomlkit

from hokusai_validation.resources.aws.account import Account, ServiceFound, component_of
from hokusai_validation.topology import Role, word_for

# A new target calls its parts by the contract's words.
COMPONENTS = tuple(map(word_for, (Role.API_GATEWAY, Role.AUTH, Role.TRACKING_SERVER)))


def text(name: str, region: str, found: Account, *, login: Sequence[tuple[str, str]] = ()) -> str:
    """The file; `login` are keys of `[aws]` that say how it was read."""
    parts = [*_head(name, found), *_aws(region, found, login), *_services(found), *_names(found)]
    parts += [*_routes(found), *_instances(found), *_secrets(found), *_rest(found)]
    return "\n".join(parts) + "\n"


def _quoted(value: str) -> str:
    return tomlkit.item(value).as_string()


def _list(values: Sequence[str]) -> str:
    return tomlkit.item(list(values)).as_string()


def _comment(value: str) -> str:
    return "# " + "".join(each if each.isprintable() else " " for each in value)


def _components(found: Account) -> Iterator[tuple[str, ServiceFound]]:
    """Each service under the component that its name speaks of, else under its own name; once each."""
    taken: set[str] = set()
    for each in found.services:
        component = component_of(each.state.name, COMPONENTS)
        if component is None or component in taken:
            component = each.state.name
        taken.add(component)
        yield component, each


def _head(name: str, found: Account) -> Iterator[str]:
    yield _comment(
        f"Read from ECS cluster {found.cluster} of account {found.account_id}. Compare it with what"
    )
    yield "# you know; targets/example.toml explains every key."
    yield f"name = {_quoted(name)}"
    yield "# production = true                        # unless it is: nothing is injected or loaded without consent"
    yield ""
    hosts = sorted(
        {
            value
            for listener in found.listeners
            for rule in listener.rules
            for condition in rule.conditions
            if condition.field == "host-header"
            for value in condition.values
        }
    )
    yield "# The public addresses: the account does not say which host is which."
    yield _comment(f"Hosts in listener rules: {', '.join(hosts) or 'none'}")
    yield "# [endpoints]"
    yield '# registry = "https://…"'
    yield '# api = "https://…"'
    yield '# auth = "https://…"'
    yield ""
    yield "# [keys]"
    yield '# good = { secret_id = "…" }               # a key for the validation alone'
    yield ""


def _aws(region: str, found: Account, login: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield "[aws]"
    yield f"region = {_quoted(region)}"
    yield from (f"{key} = {_quoted(value)}" for key, value in login)
    yield f"account_id = {_quoted(found.account_id)}"
    yield f"cluster = {_quoted(found.cluster)}"
    yield f"load_balancers = {_list([each.name for each in found.balancers])}"
    used = [space for space in found.names if _in_namespace(space, found)]
    yield from _one("namespace", used or list(found.names))
    yield from _one("rds_cluster", found.rds_clusters)
    yield from _one("rds_instance", found.rds_instances, instead=bool(found.rds_clusters))
    yield from _one("elasticache_replication_group", found.replication_groups)
    others = bool(found.replication_groups)
    yield from _one("elasticache_serverless", found.serverless_caches, instead=others)
    others = others or bool(found.serverless_caches)
    yield from _one("elasticache_cluster", found.cache_clusters, instead=others)
    yield '# bucket = "…"                             # of MLflow\'s artifacts'
    yield ""


def _one(key: str, values: Sequence[str], *, instead: bool = False) -> Iterator[str]:
    """A key where there is one candidate; else all of them as comments, for a person to choose."""
    if len(values) == 1 and not instead:
        yield f"{key} = {_quoted(values[0])}"
        return
    yield from (_comment(f"{key} = {_quoted(value)}") for value in values)


def _services(found: Account) -> Iterator[str]:
    for component, each in _components(found):
        yield f"[aws.services.{_quoted(component)}]"
        if component not in COMPONENTS:
            yield "# Which component it is, its name does not say: rename the table, or add it to the topology."
        yield f"service = {_quoted(each.state.name)}"
        yield _comment(
            f"desired = {each.state.desired}                              # now; none: what it wants"
        )
        for group in each.groups[:1]:
            yield f"target_group = {_quoted(group.name)}"
        yield from (_comment(f"takes turns with target group {group.name}") for group in each.groups[1:])
        if each.container is not None:
            yield f"container = {_quoted(each.container.name)}"
            if each.container.log_group:
                yield f"log_group = {_quoted(each.container.log_group)}"
            if each.container.secrets:
                yield f"secrets = {_list(sorted(each.container.secrets))}"
        yield ""


def _in_namespace(space: str, found: Account) -> list[tuple[str, str]]:
    """Component and name, where a name of the namespace speaks of a component or is a service's."""
    matched = []
    for component, each in _components(found):
        for name in found.names[space]:
            if name in (component, each.state.name) or component_of(name, COMPONENTS) == component:
                matched.append((component, name))
                break
    return matched


def _names(found: Account) -> Iterator[str]:
    used = [space for space in found.names if _in_namespace(space, found)]
    if len(used) == 1:
        yield "[aws.discovery_names]"
        yield from (
            f"{_quoted(component)} = {_quoted(name)}" for component, name in _in_namespace(used[0], found)
        )
    for space, names in found.names.items():
        yield _comment(f"Names in {space}: {', '.join(names) or 'none'}")
    yield ""


def _routes(found: Account) -> Iterator[str]:
    """Hosts and paths that a rule names without any wildcard, and whom it forwards them to."""
    by_arn = {group.arn: component for component, each in _components(found) for group in each.groups}
    for listener in found.listeners:
        for rule in listener.rules if listener.protocol == "HTTPS" else ():
            fields = {each.field: each.values for each in rule.conditions}
            goes = {by_arn.get(arn) for action in rule.actions for arn in action.target_groups}
            if len(goes) != 1 or None in goes or set(fields) != {"host-header", "path-pattern"}:
                continue
            for host in fields["host-header"]:
                for path in fields["path-pattern"]:
                    if not set("*?") & set(host + path):
                        yield "[[aws.routes]]"
                        yield f"host = {_quoted(host)}"
                        yield f"path = {_quoted(path)}"
                        yield f"component = {_quoted(str(goes.copy().pop()))}"
                        yield ""


def _instances(found: Account) -> Iterator[str]:
    for component, each in _components(found):
        if component != word_for(Role.API_GATEWAY) or not each.groups:
            continue
        yield "# The API's tasks as they are now: their addresses change with every deployment."
        addresses = [address for task in each.tasks if task.status == "RUNNING" for address in task.addresses]
        for number, address in enumerate(sorted(addresses), 1):
            host = f"[{address}]" if ":" in address else address
            yield "[[instances]]"
            yield f'name = "api-{number}"'
            yield f"url = {_quoted(f'http://{host}:{each.groups[0].port}')}"
            yield ""


def _secrets(found: Account) -> Iterator[str]:
    for secret in found.secrets:
        yield _comment(f"A task is given secret {_quoted(secret)}")
    if found.secrets:
        yield "# The database's: aws.database_secret, and [database] password = { secret_id = …, key = … }"
        yield ""


def _rest(found: Account) -> Iterator[str]:
    for reason in found.unread:
        yield _comment(f"Not read: {reason}")
    yield "# Nothing may be injected, and no load sent, unless it is permitted here."
    yield "[permissions]"
    yield "faults = []"
    yield "write = false"
