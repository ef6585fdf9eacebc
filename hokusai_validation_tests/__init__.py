"""The project's own tests; the folders mirror the package."""

from hypothesis import settings

# The same result each time and on a slow machine; `make soak` explores (see conftest.py).
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile("repeatable")
