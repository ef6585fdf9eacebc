"""`python -m hokusai_validation.sandbox.aws`, settings in the environment."""

from hokusai_validation.sandbox.aws.settings import AwsSettings


def main() -> None:
    """Serve until the process is ended."""
    settings = AwsSettings.from_environment()
    from hokusai_validation.sandbox.aws import slim

    slim.apply()
    from hokusai_validation.sandbox.aws.server import serve

    serve(settings)


if __name__ == "__main__":
    main()
