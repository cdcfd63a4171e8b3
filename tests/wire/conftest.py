"""A server on a thread with every piece of the wire, and the clients that people use."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from lakelet.store.clock import SystemClock
from lakelet.store.disk import DiskObjectStore
from lakelet.wire.app import build_app
from lakelet.wire.credentials import Credentials, new_credentials
from lakelet.wire.s3 import s3_service
from lakelet.wire.server import ServerThread


@pytest.fixture(scope="session")
def credentials() -> Credentials:
    return new_credentials()


@pytest.fixture(scope="session")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DiskObjectStore]:
    store = DiskObjectStore(tmp_path_factory.mktemp("lake") / "buckets")
    yield store
    store.close()


@pytest.fixture(scope="session")
def s3_server(disk: DiskObjectStore, credentials: Credentials) -> Iterator[ServerThread]:
    app = build_app({"s3": s3_service(disk)}, credentials=credentials, clock=SystemClock())
    with ServerThread(app) as server:
        yield server


@pytest.fixture(scope="session")
def make_s3(s3_server: ServerThread, credentials: Credentials) -> Callable[..., Any]:
    def make(**settings: Any) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=s3_server.url,
            region_name="us-east-1",
            aws_access_key_id=credentials.access_key_id,
            aws_secret_access_key=credentials.secret,
            config=Config(retries={"total_max_attempts": 1}, **settings),
        )

    return make


@pytest.fixture(scope="session")
def s3(make_s3: Callable[..., Any]) -> Any:
    return make_s3()


@pytest.fixture
def bucket(s3: Any, request: pytest.FixtureRequest) -> str:
    """A fresh one for each test."""
    name = f"b-{abs(hash(request.node.nodeid)):x}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def folder(disk: DiskObjectStore, bucket: str) -> Path:
    """Where that bucket's objects lie."""
    return disk.path(bucket, "x").parent
