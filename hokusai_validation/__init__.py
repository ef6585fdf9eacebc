"""Hokusai Validation: whether a deployed service stack really works, why not, and being believed."""

__version__ = "0.1.0"
