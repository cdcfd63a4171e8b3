"""First crawl against the next one after a single new day. Run: python bench/crawl.py

To hold (DESIGN.md): on 1,000 days and 100,000 files the incremental crawl takes at
most 1/50 of the first.
"""

import argparse
import tempfile
import time
from pathlib import Path

from lake_days import BUCKET, add_day, make_lake
from lakelet.catalog import Catalog
from lakelet.catalog.crawl import apply_crawl, plan_crawl
from lakelet.store.clock import SystemClock
from lakelet.store.disk import DiskObjectStore


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=1_000)
    parser.add_argument("--files", type=int, default=100, help="files a day")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        data = make_lake(root / "buckets", given.days, given.files)
        clock = SystemClock()
        store = DiskObjectStore(root / "buckets", clock)
        catalog = Catalog(root / "catalog.sqlite", clock)
        crawler = {
            "Name": "bench",
            "DatabaseName": "bench",
            "Targets": {"S3Targets": [{"Path": f"s3://{BUCKET}/"}]},
        }
        time.sleep(2.1)  # a folder's stamp is trusted two seconds after its last change

        def crawl() -> tuple[float, object]:
            began = time.perf_counter()
            plan = plan_crawl(store, catalog, crawler, now_ns=time.time_ns())
            result = apply_crawl(plan, catalog)
            seconds = time.perf_counter() - began
            print("\n".join(f"    {line}" for line in plan.explain()))
            return seconds, result

        first, _ = crawl()
        nothing, _ = crawl()
        add_day(root / "buckets", given.days, given.files, data)
        one_day, result = crawl()
        assert result.partitions_added == 1, result
    print(f"first crawl            {first:8.3f} s  ({given.days} days x {given.files} files)")
    print(f"nothing new            {nothing:8.3f} s  1/{first / nothing:.0f}")
    print(f"one new day            {one_day:8.3f} s  1/{first / one_day:.0f}   to hold: 1/50")


if __name__ == "__main__":
    main()
