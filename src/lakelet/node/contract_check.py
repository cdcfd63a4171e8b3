"""What there is of a contract's tables, read for `lakelet contract check`."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lakelet.contract.check import FileState, PartitionState, TableState, check, footer_columns
from lakelet.model.contract import Contract
from lakelet.node.arguments import WrongArguments
from lakelet.node.operations import Tell, operation

if TYPE_CHECKING:
    from lakelet.node.runtime import Node


@operation
def contract_check(node: "Node", tell: Tell, *, contract: str) -> list[dict[str, Any]]:
    """Findings of a contract (as JSON) against this lake's catalog, partitions and footers.

    Raises WrongArguments.
    """
    try:
        wanted = Contract.from_json(contract)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WrongArguments(
            f"contract of contract_check is no contract: {type(error).__name__}: {error}",
            hint="Send what Contract.to_json gives.",
        ) from error
    states = [_state(node, table.name, table.partition_keys, tell) for table in wanted.tables]
    return [asdict(finding) for finding in check(wanted, states)]


def _state(node: "Node", table: str, keys: tuple[str, ...], tell: Tell) -> TableState:
    database = node.pipeline.database
    found = node.catalog.find_table(database, table)
    if found is None:
        return TableState(table, {}, files=list(_files(node, table, keys, tell)))
    return TableState(
        table,
        _columns(found),
        tuple(key["Name"] for key in found.get("PartitionKeys", [])),
        list(_partitions(node, table)),
        list(_files(node, table, keys, tell)),
    )


def _partitions(node: "Node", table: str) -> Iterator[PartitionState]:
    token = None
    while True:
        page, token = node.catalog.get_partitions(node.pipeline.database, table, token=token)
        for partition in page:
            yield PartitionState(tuple(partition["Values"]), _columns(partition))
        if token is None:
            return


def _columns(holder: dict[str, Any]) -> dict[str, str]:
    columns = holder.get("StorageDescriptor", {}).get("Columns") or []
    return {column["Name"]: column["Type"] for column in columns}


def _files(node: "Node", table: str, keys: tuple[str, ...], tell: Tell) -> Iterator[FileState]:
    import pyarrow.parquet as pq

    bucket = node.pipeline.transformed_bucket

    def read(key: str) -> FileState:
        # Not `pq.read_schema`: its cycle keeps each footer's memory (see catalog/footers.py).
        with pq.ParquetFile(node.store.path(bucket, key)) as file:
            return FileState(key, _values(key, keys), footer_columns(file.schema_arrow))

    parquet = [
        info.key for info in node.store.list(bucket, f"{table}/") if info.key.endswith(".parquet")
    ]
    with ThreadPoolExecutor(4) as pool:
        for done, state in enumerate(pool.map(read, parquet), 1):
            if done % 1_000 == 0:
                tell({"footers": done, "of": len(parquet)})
            yield state


def _values(key: str, keys: tuple[str, ...]) -> tuple[str, ...]:
    named = dict(part.split("=", 1) for part in key.split("/") if "=" in part)
    return tuple(named.get(name, "") for name in keys)
