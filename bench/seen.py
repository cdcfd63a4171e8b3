"""Claims per second of the store of seen keys, as it fills: 20,000 keys an object.

.venv/bin/python bench/seen.py [million keys]
"""

import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from lakelet.lake.seen import SeenStore
from lakelet.store.clock import SystemClock

KEYS_PER_OBJECT = 20_000
REPORT_EVERY = 50  # objects: a million keys


def main() -> None:
    objects = int(float(sys.argv[1] if len(sys.argv) > 1 else 10) * 1e6) // KEYS_PER_OBJECT
    times = pa.array([datetime(2026, 3, 9, tzinfo=UTC)] * KEYS_PER_OBJECT)
    with tempfile.TemporaryDirectory() as folder:
        store = SeenStore(Path(folder), {"events": timedelta(hours=72)}, SystemClock())
        spent = 0.0
        for number in range(1, objects + 1):
            keys = pa.array([uuid.uuid4().hex for _ in range(KEYS_PER_OBJECT)])
            started = time.perf_counter()
            claimed = store.claim("events", keys, times, str(number))
            spent += time.perf_counter() - started
            assert claimed.true_count == KEYS_PER_OBJECT
            if number % REPORT_EVERY == 0:
                rate = REPORT_EVERY * KEYS_PER_OBJECT / spent
                runs = sum(1 for _ in Path(folder).rglob("*.run"))
                print(f"{number * KEYS_PER_OBJECT:>12,} keys  {rate:>9,.0f} keys/s  {runs} files")
                spent = 0.0


if __name__ == "__main__":
    main()
