"""`python -m hokusai_validation.cli`: the same as `hokusai-validation`."""

from hokusai_validation.cli import main

if __name__ == "__main__":
    main()
