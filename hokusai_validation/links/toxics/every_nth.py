"""Every `n`th new connection is reset. Not one of Toxiproxy's."""

from hokusai_validation.links.toxics.base import Toxic


class EveryNth(Toxic):
    type = "every_nth"
    defaults = {"n": 2}  # noqa: RUF012
    _seen = 0

    def admit(self) -> bool:
        self._seen += 1
        n = self.attributes["n"]
        return n == 0 or self._seen % n != 0
