"""Which instance of the target file an address in AWS is: control planes list addresses, not names."""

import contextlib
from urllib.parse import urlsplit

from hokusai_validation.errors import AgentFailed
from hokusai_validation.resources.links import LinkClient
from hokusai_validation.target import Target


class Whose:
    """The instances of one target by their addresses: as the file names them, a task's address that only
    one of them has (its port is another where something stands between), and the links that lead to one."""

    def __init__(self, target: Target) -> None:
        self._at: dict[tuple[str, int | None], str] = {}
        hosts: dict[str, list[str]] = {}
        for instance in target.instances:
            url = urlsplit(instance.url)
            self._at[url.hostname or "", url.port] = instance.name
            hosts.setdefault(url.hostname or "", []).append(instance.name)
        self._only = {host: names[0] for host, names in hosts.items() if len(names) == 1}
        names = {each.name for each in target.instances}
        if target.links is None or not names:
            return
        ends = {link: edge.rpartition("->")[2] for edge, link in target.links.edges.items()}
        with contextlib.closing(LinkClient.from_target(target)) as links, contextlib.suppress(AgentFailed):
            for link, state in links.states().items():
                host, _, port = state.listen.rpartition(":")
                if ends.get(link) in names and port.isdecimal():
                    self._at[host.strip("[]"), int(port)] = ends[link]

    def instance(self, address: str, port: int | None) -> str | None:
        """The name of the instance at an address; None where the target file can't tell."""
        return self._at.get((address, port)) or self._only.get(address)
