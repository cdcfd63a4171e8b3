"""What reading a footer leaves behind: nothing, as a node reads one for each file, for ever."""

import gc
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakelet.catalog.footers import read_footer
from lakelet.lake.footer import read_schema, row_count
from lakelet.testing.objects import MemoryObjectStore

TABLE = pa.table({"a.b": ["x", "y"], "n": [1, 2], "deep": [{"er": 1}, {"er": 2}]})


@pytest.fixture
def store():
    store = MemoryObjectStore()
    store.create_bucket("lake")
    target = io.BytesIO()
    pq.write_table(TABLE, target, row_group_size=1)
    store.put("lake", "f.parquet", target.getvalue())
    return store


def test_a_leaf_belongs_to_the_longest_name_that_its_path_begins_with(store):
    """Both are columns: `a`, which has a leaf `c`, and `a.b`, a name with a dot."""
    target = io.BytesIO()
    table = pa.table({"a": [{"c": 1}], "a.b": ["x" * 1_000], "a.b.d": [2]})
    pq.write_table(table, target, compression="none", use_dictionary=False, write_statistics=False)
    store.put("lake", "dots.parquet", target.getvalue())
    nested, dotted, more = read_footer(store, store.head("lake", "dots.parquet")).column_bytes
    assert dotted > 1_000 > nested + more
    assert nested > 0 < more


def held():
    return sum(isinstance(each, pq.FileMetaData) for each in gc.get_objects())


@pytest.mark.parametrize("read", ["read_footer", "read_schema", "row_count"])
def test_a_footer_is_let_go_without_the_collector(store, read):
    """45 KB each stand outside of what the collector sees: it let thousands gather."""
    reads = {
        "read_footer": lambda: read_footer(store, store.head("lake", "f.parquet")),
        "read_schema": lambda: read_schema(store, "lake", "f.parquet"),
        "row_count": lambda: row_count(store, "lake", "f.parquet"),
    }
    gc.collect()
    before = held()
    gc.disable()
    try:
        assert all(reads[read]() is not None for _ in range(10))
        assert held() == before
    finally:
        gc.enable()


def test_a_footer_tells_columns_rows_and_bytes_over_all_row_groups(store):
    footer = read_footer(store, store.head("lake", "f.parquet"))
    assert footer.columns == (("a.b", "string"), ("n", "bigint"), ("deep", "struct<er:bigint>"))
    assert footer.rows == 2
    file = pq.ParquetFile(io.BytesIO(store.get("lake", "f.parquet")))
    groups = [file.metadata.row_group(at) for at in range(2)]
    assert footer.column_bytes == tuple(
        sum(group.column(leaf).total_compressed_size for group in groups) for leaf in range(3)
    )
    assert read_schema(store, "lake", "f.parquet") == TABLE.schema
    assert row_count(store, "lake", "f.parquet") == 2
