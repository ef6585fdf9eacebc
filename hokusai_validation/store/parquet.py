"""The I/O manager of every phase: the newest frame of an asset as Parquet, locally or on S3."""

import io
from typing import TYPE_CHECKING

import dagster as dg

from hokusai_validation.redaction import shown
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

        from hokusai_validation.result import to_frame

        try:
            return pd.read_parquet(io.BytesIO(path.read_bytes()))
        except FileNotFoundError:
            return to_frame(())  # a phase that was never asked for: no rows, in the same form
        except (OSError, ValueError) as error:
            # pyarrow's errors are of these two. The phases that can be read are worth a report.
            context.log.warning(f"{path} can't be read, and counts as not there: {shown(error, 200)}")
            return to_frame(())


def frames(base: str = "") -> dg.IOManagerDefinition:
    """Frames under `base/assets/TARGET/PHASE.parquet`. `base` is a folder or `s3://bucket/prefix`; none:
    where all results lie. No run configuration moves it."""
    return dg.IOManagerDefinition(
        lambda _: _ParquetFrames(base_path(base or default_base(), default_options()) / "assets"),
        config_schema={},
        description="The newest frame of an asset, as Parquet.",
    )
