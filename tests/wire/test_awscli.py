"""The AWS CLI as people type it, in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lakelet.wire.credentials import Credentials
from lakelet.wire.server import ServerThread

Aws = Callable[..., str]

MULTIPART_SIZE_BYTES = 9 << 20  # the CLI splits from 8 MiB on


@pytest.fixture(scope="module")
def aws(s3_server: ServerThread, credentials: Credentials, tmp_path_factory: Any) -> Aws:
    home = tmp_path_factory.mktemp("home")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "AWS_CONFIG_FILE": str(home / "config"),
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": s3_server.url,
    }

    def run(*words: str | Path) -> str:
        command = [str(Path(sys.executable).parent / "aws"), *map(str, words)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_cp_ls_and_sync(aws: Aws, bucket: str, folder: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "a" / "b").mkdir(parents=True)
    (source / "a" / "b" / "ü x").write_bytes(b"small")
    (source / "big").write_bytes(os.urandom(MULTIPART_SIZE_BYTES))
    aws("s3", "sync", source, f"s3://{bucket}/in/")
    assert (folder / "in" / "a" / "b" / "ü x").read_bytes() == b"small"
    assert (folder / "in" / "big").read_bytes() == (source / "big").read_bytes()
    assert aws("s3", "sync", source, f"s3://{bucket}/in/") == ""  # nothing left to do
    listed = aws("s3", "ls", f"s3://{bucket}/in/")
    assert "PRE a/" in listed
    assert f"{MULTIPART_SIZE_BYTES} big" in listed
    aws("s3", "cp", "--recursive", f"s3://{bucket}/in/", target)
    assert (target / "big").read_bytes() == (source / "big").read_bytes()
    aws("s3", "cp", f"s3://{bucket}/in/big", f"s3://{bucket}/copy")
    assert (folder / "copy").read_bytes() == (source / "big").read_bytes()


def test_rm_and_rb(aws: Aws, s3: Any) -> None:
    aws("s3", "mb", "s3://cli-bucket")
    for number in range(3):
        s3.put_object(Bucket="cli-bucket", Key=f"d/{number}", Body=b"")
    aws("s3", "rm", "--recursive", "s3://cli-bucket/d/")
    aws("s3", "rb", "s3://cli-bucket")
    assert "cli-bucket" not in aws("s3", "ls")
