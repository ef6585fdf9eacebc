"""Load that does not lie: schedules, the engine that sends, histograms, and the verdict on a run."""
