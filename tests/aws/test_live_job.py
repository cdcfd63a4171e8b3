"""The Spark job over the buckets in which the function ran: PySpark of Glue 5's version."""

import io
import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from lakelet.model.layout import manifest_key
from lakelet.store.s3 import S3ObjectStore
from tests.aws.live import Live, event, ndjson, on_aws, raw_key
from tests.runners.corpus import assert_same_lake, lake
from tests.runners.spark_versions import ROOT, run_job

pytestmark = [pytest.mark.e2e, pytest.mark.spark]

DAY = "2026-11-25"  # of arrival: no other test has it
BODIES = [
    ndjson(event(n) for n in range(200)),
    ndjson(
        [event(1), event(1), event(2, timestamp="2026-11-19T23:59:59Z")]
    ),  # a duplicate; two days
    ndjson([event(3, user_id=None, quantity="many", stranger={"a": [1, 2]})]) + b'{"event_id": \n',
    ndjson([event(4)]).replace(b"\n", b"") + ndjson([event(5)]),  # joined, as Firehose may
    b"\xff\xfe",
]


def key_of_the_day() -> str:
    folder = "year={}/month={}/day={}".format(*DAY.split("-"))
    return folder + raw_key().removeprefix("year=2026/month=11/day=21").replace("2026-11-21", DAY)


def code_of_the_job(live: Live, folder: Path) -> dict[str, Any]:
    """Unpack what Glue would install; answers the job as Glue knows it."""
    job = live.session.client("glue").get_job(JobName=live.deployment.site.names.job)["Job"]
    where = job["DefaultArguments"]["--additional-python-modules"]
    bucket, key = re.fullmatch(r"s3://([^/]+)/(.+)", where).groups()  # type: ignore[union-attr]
    body = live.as_actor("job").client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    zipfile.ZipFile(io.BytesIO(body)).extractall(folder)
    # Glue has a Spark session ready; here one is made, on the loopback alone.
    shutil.copy(ROOT / "src/lakelet/aws/local_spark.py", folder / "lakelet" / "aws")
    return dict(job)


def of_the_day(live: Live, keys: list[str]) -> tuple[dict[str, Any], dict[Any, Any]]:
    """Manifests of these objects and every file they name."""
    manifests, tables = lake(S3ObjectStore(live.s3), on_aws(live.deployment.site))
    mine = {key: manifests[key] for key in keys if key in manifests}
    files = {(one.bucket, one.key) for manifest in mine.values() for one in manifest.outputs}
    return mine, {address: tables[address] for address in files}


def test_the_job_makes_the_functions_rows(live: Live, tmp_path: Path) -> None:
    """The wheel as deployed, the arguments as declared, with the job's role and no other right."""
    keys = [key_of_the_day() for _ in BODIES]
    with live.unheard():
        for key, body in zip(keys, BODIES, strict=True):
            live.put_raw(body, key=key)
    answer = live.invoke(live.s3_event(*keys))
    assert answer["Payload"] == {"done": len(keys), "done_before": 0}
    by_function = of_the_day(live, keys)
    assert sum(manifest.rows for manifest in by_function[0].values()) > 200
    assert sum(manifest.quarantined_count for manifest in by_function[0].values()) >= 2

    # All but the first are taken away with their manifests: that is what the job shall find.
    undone = keys[1:]
    for key in undone:
        for one in by_function[0][key].outputs:
            live.s3.delete_object(Bucket=one.bucket, Key=one.key)
        live.s3.delete_object(Bucket=live.transformed, Key=manifest_key(key))
    assert set(of_the_day(live, keys)[0]) == {keys[0]}

    job = code_of_the_job(live, tmp_path)
    named = [
        part
        for name in ("--pipeline", "--bucket_suffix")
        for part in (name, job["DefaultArguments"][name])
    ]
    ran = run_job(
        "3.5", *named, "--from", DAY, "--to", DAY,
        source=tmp_path, **live.as_actor("job").variables(),
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    summary = json.loads(ran.stdout.splitlines()[-1])
    assert (summary["objects"], summary["failed"]) == (len(undone), {})
    assert_same_lake(of_the_day(live, keys), by_function)
