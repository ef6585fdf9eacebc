"""AWS, read over bounded calls and parsed into models."""
