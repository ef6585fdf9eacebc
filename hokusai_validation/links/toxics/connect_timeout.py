"""New connections get no answer at all: the listener's backlog is full. What is established goes
on. Not one of Toxiproxy's."""

from hokusai_validation.links.toxics.base import Toxic


class ConnectTimeout(Toxic):
    type = "connect_timeout"
    fills_backlog = True
