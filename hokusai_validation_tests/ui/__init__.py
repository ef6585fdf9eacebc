"""The UI with a real webserver, daemon and browser."""
