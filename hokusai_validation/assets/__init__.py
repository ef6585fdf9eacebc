"""The eight phases, one a file: start the suite, return its rows; fold them; write them down."""
