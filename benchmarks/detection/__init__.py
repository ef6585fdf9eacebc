"""How often the diagnosis is right: generated faults, cases from public reports, and controls, each on a
whole light run of a real sandbox. See `docs/detection.md`."""
