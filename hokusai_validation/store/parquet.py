"""The I/O manager of every phase: the newest frame of an asset as Parquet, locally or on S3."""

import io
from typing import TYPE_CHECKING

import dagster as dg

from hokusai_validation.store.storage import base_path, default_base, default_options, write_whole

if TYPE_CHECKING:
    import pandas as pd
    from upath import UPath


class _ParquetFrames(dg.UPathIOManager):
    extension = ".parquet"

    def dump_to_path(self, context: dg.OutputContext, obj: "pd.DataFrame", path: "UPath") -> None:
        buffer = io.BytesIO()
        obj.to_parquet(buffer, index=False)
        write_whole(path, buffer.getvalue())

    def load_from_path(self, context: dg.InputContext, path: "UPath") -> "pd.DataFrame":
        import pandas as pd

        try:
            content = path.read_bytes()
        except FileNotFoundError:
            # A phase that was never asked for: no rows, in the same form.
            from hokusai_validation.result import to_frame

            return to_frame(())
        return pd.read_parquet(io.BytesIO(content))


class ParquetIOManager(dg.ConfigurableIOManagerFactory[dg.UPathIOManager]):
    """Frames under `base/assets/TARGET/PHASE.parquet`. `base` is a folder or `s3://bucket/prefix`."""

    base: str = ""

    def create_io_manager(self, context: dg.InitResourceContext) -> dg.UPathIOManager:
        """The manager itself."""
        return _ParquetFrames(base_path(self.base or default_base(), default_options()) / "assets")
