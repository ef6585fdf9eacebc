"""The eight steps: the phases that test (a table), what folds their rows, and what writes it down."""
