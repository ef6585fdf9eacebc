"""`python -m hokusai_sandbox.aws`, settings in the environment."""

from hokusai_sandbox.aws.settings import AwsSettings


def main() -> None:
    """Serve until the process is ended."""
    settings = AwsSettings.from_environment()
    from hokusai_sandbox.aws import slim

    slim.apply()
    from hokusai_sandbox.aws.server import serve

    serve(settings)


if __name__ == "__main__":
    main()
