"""What a declaration hands to delivery streams: functions, schemas, quotas and faults.

[functions]                       # Lambda processors call them by name
enrich = "shop.enrich:handler"    # module:function, found beside lakelet.toml too

[ingest]
quotas = "large"                  # each stream's Direct PUT ones, "large" or "small" region's
faults = { fail = [3, 10], repeat = true }    # for tests of producers
"""

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lakelet.ingest.assemble import Toolbox
from lakelet.ingest.errors import InvalidArgument
from lakelet.ingest.function import Function
from lakelet.ingest.gate import LARGE_REGION, NO_QUOTAS, SMALL_REGION, Faults, Quotas, parse_faults
from lakelet.ingest.parquet import SchemaOf
from lakelet.model.errors import DeclarationError
from lakelet.model.toml import Section
from lakelet.store.errors import KeyRefused
from lakelet.store.keys import encode_key

if TYPE_CHECKING:
    import pyarrow as pa

    from lakelet.catalog.catalog import Catalog

_QUOTAS = {"off": NO_QUOTAS, "large": LARGE_REGION, "small": SMALL_REGION}


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """The tables [functions] and [ingest]."""

    functions: Mapping[str, Function]
    quotas: Quotas  # of every stream
    faults: Faults  # of the pipeline's own stream, until others are set


def read_ingest(functions: Section, ingest: Section) -> IngestSettings:
    """Raises DeclarationError, naming file, line and key."""
    loaded = {name: _load_function(functions, name) for name in functions.values}
    quotas = _QUOTAS[ingest.take("quotas", str, "off", choices=tuple(_QUOTAS))]
    given = ingest.take("faults", dict, {})
    ingest.finish()
    try:
        faults = parse_faults(given)
    except InvalidArgument as error:
        raise ingest.error("faults", error.message.rstrip("."), error.hint) from error
    return IngestSettings(loaded, quotas, faults)


def make_toolbox(settings: IngestSettings, catalog: "Catalog") -> Toolbox:
    return Toolbox(settings.functions, schema_of(catalog), key_fault)


def key_fault(key: str) -> str:
    """Why the node's disk can hold no object of this key; "" where it can."""
    try:
        encode_key(key)
    except KeyRefused as error:
        return error.message
    return ""


def schema_of(catalog: "Catalog") -> SchemaOf:
    """Columns of a catalog table as Arrow writes them; partition keys are in the key."""

    def look_up(database: str, table: str) -> "pa.Schema":
        import pyarrow as pa

        from lakelet.catalog.types import parse_type, to_arrow

        columns = catalog.get_table(database, table)["StorageDescriptor"]["Columns"]
        return pa.schema([(each["Name"], to_arrow(parse_type(each["Type"]))) for each in columns])

    return look_up


def _load_function(section: Section, name: str) -> Function:
    target = section.take(name, str, pattern=r"[\w.]+:\w+")
    module_name, _, function_name = target.partition(":")
    folder = str(Path(section.source.name).resolve().parent)
    if Path(section.source.name).exists() and folder not in sys.path:
        sys.path.append(folder)
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError) as error:
        raise section.error(
            name,
            f"{target!r} can't be loaded: {error}",
            "Put the module beside lakelet.toml, or install it where lakelet runs",
        ) from error
    except Exception as error:
        raise DeclarationError(
            f"functions.{name}: importing {module_name} failed: {type(error).__name__}: {error}",
            hint="Mend the module.",
        ) from error
    if not callable(function):
        raise section.error(name, f"{target!r} is no function", "Name one: module:function")
    loaded: Function = function
    return loaded
