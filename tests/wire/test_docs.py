"""What docs/s3.md lists is what there is."""

import re
from pathlib import Path

from lakelet.store.disk import DiskObjectStore
from lakelet.wire.models import service_model
from lakelet.wire.s3 import s3_service

DOCS = Path(__file__).parents[2] / "docs" / "s3.md"


def test_the_operations_of_s3_are_documented(disk: DiskObjectStore) -> None:
    known = set(service_model("s3").operation_names)
    documented = set(re.findall(r"\b[A-Z][A-Za-z0-9]+\b", DOCS.read_text("utf-8"))) & known
    assert documented == set(s3_service(disk).operations)
