"""Raw bytes → Arrow → Parquet, rejects and a manifest: one function for every runner."""

from lakelet.model.contract import Keyring
from lakelet.model.schema import QUARANTINE_SCHEMA
from lakelet.model.seen import SeenKeys
from lakelet.transform.core import Records, Source, Transformed, Transformer, transform_bytes
from lakelet.transform.outputs import Each
from lakelet.transform.parquet import TableSink, TableWriter, parquet_writer
from lakelet.transform.personal import KeyMissing
from lakelet.transform.process import Stopped, process, raw_object

__all__ = [
    "QUARANTINE_SCHEMA",
    "Each",
    "KeyMissing",
    "Keyring",
    "Records",
    "SeenKeys",
    "Source",
    "Stopped",
    "TableSink",
    "TableWriter",
    "Transformed",
    "Transformer",
    "parquet_writer",
    "process",
    "raw_object",
    "transform_bytes",
]
