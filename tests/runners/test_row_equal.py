"""Worker, Lambda, Spark and the slow reference make the same rows, rejects and manifests."""

import json

import pytest

from lakelet.aws.environment import encode_declaration
from lakelet.aws.handler import transform_all
from lakelet.aws.runner import Runner
from lakelet.aws.wrangler import wrangler_writer
from lakelet.model.pipeline import Pipeline
from lakelet.node.queue import TransformQueue
from lakelet.node.worker import LocalTransform, Worker
from lakelet.store.disk import DiskObjectStore
from lakelet.store.s3 import S3ObjectStore
from lakelet.testing.clock import ManualClock
from tests.runners.corpus import (
    assert_as_the_reference_says,
    assert_same_lake,
    corpus,
    fill,
    lake,
)
from tests.runners.emulators import CREDENTIALS, s3_client, s3_emulator
from tests.runners.spark_versions import run_job
from tests.transform.contracts import DEFAULT, KEYRING, WHOLE

PIPELINE = Pipeline()
KEYRING_TEXT = json.dumps(
    {"current": KEYRING.current, **{k: v.decode() for k, v in KEYRING.keys.items()}}
)
CONTRACTS = {"default": DEFAULT, "whole": WHOLE}


@pytest.fixture(scope="module")
def raws():
    return corpus()


@pytest.fixture(scope="module", params=CONTRACTS)
def contract(request):
    return CONTRACTS[request.param]


@pytest.fixture(scope="module")
def by_worker(raws, contract, tmp_path_factory):
    """The local worker's lake: queue, child process and all."""
    folder = tmp_path_factory.mktemp("worker")
    (folder / "keyring.json").write_text(KEYRING_TEXT)
    store = DiskObjectStore(folder / "buckets")
    fill(store, PIPELINE, raws)
    queue = TransformQueue(folder / "queue.sqlite", ManualClock())
    assert queue.reconcile(store, PIPELINE) == len(raws)
    setup = LocalTransform(folder / "buckets", PIPELINE, contract)
    worker = Worker(queue, setup, ManualClock(), processes=1)
    worker.start()
    assert worker.drain(120)
    worker.stop()
    assert worker.stats.failed == 0, worker.stats.last_error
    queue.close()
    return lake(store, PIPELINE)


def test_the_corpus_exercises_every_end(by_worker):
    manifests = by_worker[0].values()
    assert sum(manifest.rows for manifest in manifests) > 100
    assert sum(manifest.quarantined_count for manifest in manifests) > 50
    assert len({reason for manifest in manifests for reason in manifest.quarantined}) >= 5


def test_the_worker_does_as_the_reference_says(by_worker, raws, contract):
    assert_as_the_reference_says(by_worker, raws, contract, KEYRING)


class Context:
    def get_remaining_time_in_millis(self):
        return 300_000


@pytest.mark.e2e
def test_the_function_makes_the_workers_lake(by_worker, raws, contract, monkeypatch):
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with s3_emulator() as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        store = S3ObjectStore(s3_client(endpoint))
        fill(store, PIPELINE, raws)
        runner = Runner(store, PIPELINE, contract, KEYRING, wrangler_writer())
        report = transform_all(runner, [(PIPELINE.raw_bucket, key) for key in raws], Context())
        assert not report.failed
        assert_same_lake(lake(store, PIPELINE), by_worker)


@pytest.mark.spark
@pytest.mark.parametrize(
    "contract, version", [("whole", "3.5"), ("default", "4")], indirect=["contract"]
)
def test_the_spark_job_makes_the_workers_lake(by_worker, raws, contract, tmp_path, version):
    store = DiskObjectStore(tmp_path / "buckets")
    fill(store, PIPELINE, raws)
    (tmp_path / "keyring.json").write_text(KEYRING_TEXT)
    (tmp_path / "declaration.json").write_bytes(encode_declaration(PIPELINE, contract))
    job = run_job(
        version,
        "--buckets", str(tmp_path / "buckets"),
        "--declaration", str(tmp_path / "declaration.json"),
        "--keyring", str(tmp_path / "keyring.json"),
    )  # fmt: skip
    assert job.returncode == 0, job.stderr[-3000:]
    assert json.loads(job.stdout.splitlines()[-1])["objects"] == len(raws)
    assert_same_lake(lake(store, PIPELINE), by_worker)
