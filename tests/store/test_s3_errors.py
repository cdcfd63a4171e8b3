"""What S3's failures become: may the caller try again, must it look first?"""

import socket
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError

from lakelet.model.errors import Outcome
from lakelet.store.s3 import S3Failed, S3ObjectStore, S3Silent, S3Unreachable


class FailingClient:
    """Every operation raises the same."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self.meta = type("Meta", (), {"region_name": "us-east-1"})

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> None:
            raise self._error

        return call


def refused(code: str, status: int) -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": "m"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, "PutObject")


@pytest.mark.parametrize(
    ("code", "status", "outcome"),
    [
        ("AccessDenied", 403, Outcome.NEVER),
        ("InternalError", 500, Outcome.RETRY),
        ("SlowDown", 503, Outcome.RETRY),
    ],
)
def test_refusals(code: str, status: int, outcome: Outcome) -> None:
    with pytest.raises(S3Failed) as caught:
        S3ObjectStore(FailingClient(refused(code, status))).put("b", "k", b"")
    assert caught.value.outcome is outcome
    assert caught.value.s3_code == code
    assert caught.value.hint


def test_silence_may_have_been_a_success() -> None:
    silent = ReadTimeoutError(endpoint_url="http://127.0.0.1")
    with pytest.raises(S3Silent) as caught:
        S3ObjectStore(FailingClient(silent)).put("b", "k", b"")
    assert caught.value.outcome is Outcome.UNKNOWN


def test_nobody_listens() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{closed.getsockname()[1]}",
            region_name="us-east-1",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
            config=Config(retries={"total_max_attempts": 1}),
        )
        with pytest.raises(S3Unreachable) as caught:
            S3ObjectStore(client).list_buckets()
    assert caught.value.outcome is Outcome.RETRY
