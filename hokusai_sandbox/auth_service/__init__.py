"""The sandbox's authentication service, with a store of its own."""
