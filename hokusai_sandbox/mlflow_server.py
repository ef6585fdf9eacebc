"""MLflow's own tracking server, under uvicorn: the command line of MLflow takes three seconds more."""

import gc
import os

# The import makes hundreds of thousands of objects that all stay: looking for garbage among them
# while they are made is a tenth of the start.
gc.disable()


def main() -> None:
    """Serve on 127.0.0.1, `SANDBOX_MLFLOW_PORT`; the stores come in MLflow's own variables."""
    import uvicorn
    from mlflow.server.fastapi_app import app

    gc.freeze()
    gc.enable()
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(os.environ["SANDBOX_MLFLOW_PORT"]),
        log_level="warning",
        access_log=False,
        timeout_keep_alive=60,
    )


if __name__ == "__main__":
    main()
