"""Make MLflow's tables in a new database; a program of its own, for MLflow takes long to import."""

import os
import sys

import sqlalchemy
from mlflow.store.db.utils import _initialize_tables


def main() -> int:
    """The database is `SANDBOX_DATABASE_URI`."""
    engine = sqlalchemy.create_engine(os.environ["SANDBOX_DATABASE_URI"])
    _initialize_tables(engine)  # type: ignore[no-untyped-call]
    engine.dispose()
    return 0


if __name__ == "__main__":
    sys.exit(main())
