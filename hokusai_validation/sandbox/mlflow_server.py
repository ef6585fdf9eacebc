"""MLflow's own tracking server, under uvicorn: the command line of MLflow takes three seconds more."""

import os

import uvicorn


def main() -> None:
    """Serve on 127.0.0.1, `SANDBOX_MLFLOW_PORT`; the stores come in MLflow's own variables."""
    uvicorn.run(
        "mlflow.server.fastapi_app:app",
        host="127.0.0.1",
        port=int(os.environ["SANDBOX_MLFLOW_PORT"]),
        log_level="warning",
        access_log=False,
        timeout_keep_alive=60,
    )


if __name__ == "__main__":
    main()
