"""The sandbox's API gateway: a system under test, written to the service contract."""
