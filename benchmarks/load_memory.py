"""Memory of the recorder after 10⁵ and after 10⁷ samples, in a process of its own: what a long run
keeps is its histograms, which don't grow."""

import json
import time

import numpy as np
import psutil

from hokusai_validation.load.outcome import Second
from hokusai_validation.load.plan import Endpoint
from hokusai_validation.load.recorder import Judged, Portion, Recorder

FIRST, LAST, BATCH = 100_000, 10_000_000, 10_000


def main() -> None:
    """Print resident bytes at both counts, and the time that a sample took."""
    recorder = Recorder(Endpoint("/", "/"), Judged())
    latencies = np.random.default_rng(7).lognormal(-7, 1, BATCH)
    process, log, second = psutil.Process(), recorder.log(200), Second(0)
    resident: dict[int, int] = {}
    began = time.process_time()
    for done in range(BATCH, LAST + BATCH, BATCH):
        for index, latency in enumerate(latencies.tolist()):
            sent = done + index * 1e-6
            log.append(sent)
            log.append(sent)
            log.append(sent + latency)
        recorder.flush(second, Portion(), 10.0)
        if done in (FIRST, LAST):
            resident[done] = process.memory_info().rss
    used = time.process_time() - began
    result = {"first": resident[FIRST], "last": resident[LAST], "ns_per_sample": used / LAST * 1e9}
    assert recorder.outcome.intended.count == recorder.outcome.sent.count == LAST
    print(json.dumps(result))


if __name__ == "__main__":
    main()
