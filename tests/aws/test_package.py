"""The code that is deployed: small, pure, the same bytes every time."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lakelet.aws.environment import decode_declaration, encode_declaration
from lakelet.aws.package import (
    LAMBDA_UNZIPPED_BYTES_MAX,
    OPTIONAL,
    PROVIDED,
    PROVIDED_BY_GLUE,
    PackageTooLarge,
    build_package,
    check_size,
    foreign_imports,
)
from lakelet.model.contract import Contract
from tests.aws.declared import default_site, events_table

SITE = default_site()


def test_the_same_source_is_the_same_bytes() -> None:
    first, second = (build_package(SITE.pipeline, SITE.contract) for _ in range(2))
    assert first == second
    assert first.function.body == first.wheel.body


def test_another_contract_is_another_key() -> None:
    other = Contract(2, (events_table(),))
    first = build_package(SITE.pipeline, SITE.contract)
    second = build_package(SITE.pipeline, other)
    assert first.function.key != second.function.key
    assert first.script.key == second.script.key


def test_nothing_is_imported_that_the_platform_does_not_bring() -> None:
    for package, importers in foreign_imports().items():
        assert package in PROVIDED | PROVIDED_BY_GLUE | OPTIONAL, importers
        if package in PROVIDED_BY_GLUE:
            assert importers <= {"aws/glue_job.py", "aws/local_spark.py"}


def test_rooms_of_the_node_stay_at_home() -> None:
    archive = zipfile.ZipFile(io.BytesIO(build_package(SITE.pipeline, SITE.contract).wheel.body))
    rooms = {name.split("/")[1] for name in archive.namelist() if name.startswith("lakelet/")}
    assert {"model", "transform", "store", "aws"} <= rooms
    assert rooms.isdisjoint({"node", "wire", "query", "catalog", "cli", "console", "contract"})


def test_it_runs_alone(tmp_path: Path) -> None:
    """Unpacked, with nothing of ours beside it, handler and job can be imported."""
    package = build_package(SITE.pipeline, SITE.contract)
    zipfile.ZipFile(io.BytesIO(package.function.body)).extractall(tmp_path)
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "import lakelet.aws.handler, lakelet.aws.glue_job;"
        "from lakelet.aws.environment import packaged_declaration as p;"
        "pipeline, contract = p({'LAKELET_PIPELINE': 'shop', 'LAKELET_BUCKET_SUFFIX': '-1-x'});"
        "assert lakelet.__file__.startswith(sys.argv[1]), lakelet.__file__;"
        "print(pipeline.raw_bucket, contract.fingerprint)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert ended.stderr == ""
    assert ended.stdout.split() == ["shop-raw-1-x", SITE.contract.fingerprint]


def test_pip_takes_the_wheel(tmp_path: Path) -> None:
    package = build_package(SITE.pipeline, SITE.contract)
    wheel = tmp_path / package.wheel.key.rsplit("/", 1)[-1]
    wheel.write_bytes(package.wheel.body)
    archive = zipfile.ZipFile(wheel)
    assert archive.testzip() is None
    info = next(name for name in archive.namelist() if name.endswith("/RECORD"))
    recorded = {line.split(",")[0] for line in archive.read(info).decode().splitlines()}
    assert recorded == set(archive.namelist())
    assert "Requires-Dist" not in archive.read(info.replace("RECORD", "METADATA")).decode()


def test_it_is_weighed_with_its_layer() -> None:
    assert build_package(SITE.pipeline, SITE.contract).unzipped_bytes < 1_000_000
    check_size(1, LAMBDA_UNZIPPED_BYTES_MAX - 1)
    with pytest.raises(PackageTooLarge, match="262,144,000"):
        check_size(2, LAMBDA_UNZIPPED_BYTES_MAX - 1)


def test_the_declaration_travels_whole() -> None:
    data = encode_declaration(SITE.pipeline, SITE.contract)
    assert decode_declaration(data) == (SITE.pipeline, SITE.contract)
