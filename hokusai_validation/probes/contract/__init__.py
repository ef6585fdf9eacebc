"""What the API promises to answer, as typed models: each is checked whole (fields, types, ranges,
zones), and gives the failure message itself: which field, what was expected, what was seen."""
