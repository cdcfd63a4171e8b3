"""Each kind of statement carried out, from its text's meaning to its files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from sqlglot import exp

from lakelet.catalog import Catalog
from lakelet.catalog.crawl import split_location
from lakelet.catalog.ensure import Column
from lakelet.catalog.errors import CatalogError
from lakelet.catalog.formats import CSV, format_of, storage_descriptor
from lakelet.catalog.types import from_arrow
from lakelet.model.ports import ObjectStore
from lakelet.query.bind import encode_view
from lakelet.query.ddl_apply import Ddl
from lakelet.query.errors import InvalidRequest, QueryFailed, ResourceNotFound
from lakelet.query.results import Place, write_csv, write_lines, write_metadata
from lakelet.query.running import Run, Runner
from lakelet.query.saved import SavedQueries
from lakelet.query.statement import UTILITY, Statement
from lakelet.query.statements import bind_parameters, read_statement
from lakelet.query.table_properties import check_properties, file_format
from lakelet.query.types import ResultColumn, duckdb_type, result_column, trino_type
from lakelet.query.writing import Target, Written, write_rows

Shape = dict[str, Any]

_VARCHAR = ResultColumn("", "varchar", 2_147_483_647, 0)


@dataclass
class Outcome:
    """What an execution leaves behind."""

    file: str | None = None  # "csv", "txt", or none
    columns: list[ResultColumn] = field(default_factory=list)
    rows: int = 0
    update_count: int = 0
    manifest: str | None = None  # location of the manifest of written files

    def inside(self) -> Shape:
        return {
            "file": self.file,
            "columns": [column.shape() for column in self.columns],
            "rows": self.rows,
            "update_count": self.update_count,
        }


def answer_location(statement: Statement | None, root: str, identity: str) -> str:
    """Where an execution's answer goes, by its kind; `root` ends in "/"."""
    if statement is None or statement.kind in ("SELECT", "EXECUTE"):
        return f"{root}{identity}.csv"
    if statement.kind == "CREATE_TABLE_AS_SELECT":
        return f"{root}tables/{identity}"
    if statement.kind in ("INSERT", "UNLOAD"):
        return f"{root}{identity}"
    return f"{root}{identity}.txt"


class Performer:
    """Carries statements out; knows nothing of executions' states."""

    def __init__(
        self, catalog: Catalog, store: ObjectStore, runner: Runner, saved: SavedQueries
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._runner = runner
        self._saved = saved

    def perform(self, execution: Mapping[str, Any], run: Run) -> Outcome:
        """Raises QueryFailed, QueryCancelled."""
        sql = execution["Query"]
        parameters = execution.get("ExecutionParameters") or []
        statement = read_statement(sql)
        if statement.kind == "EXECUTE":
            values = statement.details["values"] or parameters
            prepared = self._prepared(execution["WorkGroup"], statement.details["name"])
            statement = read_statement(bind_parameters(prepared, values))
        elif parameters or (statement.tree is not None and "?" in sql):
            statement = read_statement(bind_parameters(sql, parameters))
        act = self._actions().get(statement.kind, self._ddl)
        return act(statement, execution, run)

    def arrow(
        self, sql: str, database: str, run: Run, parameters: list[str] | None = None
    ) -> pa.Table:
        """A query's, or a SHOW's, answer as one table; nothing is written."""
        if parameters:
            sql = bind_parameters(sql, parameters)
        statement = read_statement(sql)
        if statement.kind == "SELECT" and statement.tree is not None:
            with self._runner.answer(statement.tree, database, run) as reader:
                return reader.read_all()
        if statement.kind == "EXPLAIN" and statement.tree is not None:
            lines = self._explained(statement, database, run)
            return pa.table({"Query Plan": lines})
        if statement.type == UTILITY:
            lines = [
                "\t".join(row) for row in Ddl(self._catalog, self._store, database).apply(statement)
            ]
            return pa.table({_line_column(statement.kind): lines})
        raise QueryFailed(
            "NOT_SUPPORTED",
            f"{statement.kind} changes the catalog or the lake, and gives no table",
            hint="Run it through StartQueryExecution.",
        )

    def scanned_bytes(self, sql: str, database: str) -> int | None:
        """What a query would scan, by its plan alone; None for what is no SELECT."""
        statement = read_statement(sql)
        if statement.kind != "SELECT" or statement.tree is None:
            return None
        return self._runner.plan(statement.tree, database, Run()).scanned_bytes

    def _actions(self) -> dict[str, Callable[[Statement, Mapping[str, Any], Run], Outcome]]:
        return {
            "SELECT": self._select,
            "CREATE_TABLE_AS_SELECT": self._create_table_as,
            "INSERT": self._insert,
            "UNLOAD": self._unload,
            "CREATE_VIEW": self._create_view,
            "EXPLAIN": self._explain,
            "PREPARE": self._prepare,
            "DEALLOCATE": self._deallocate,
        }

    # --- reading ----------------------------------------------------------------------

    def _select(self, statement: Statement, execution: Mapping[str, Any], run: Run) -> Outcome:
        place = _place(execution)
        with self._runner.answer(_tree(statement), _database(execution), run) as reader:
            columns = [result_column(item) for item in reader.schema]
            rows = write_csv(self._store, place, reader.schema.names, reader)
        write_metadata(self._store, place, columns)
        return Outcome("csv", columns, rows)

    def _explain(self, statement: Statement, execution: Mapping[str, Any], run: Run) -> Outcome:
        lines = self._explained(statement, _database(execution), run)
        return self._lines(execution, "Query Plan", [(line,) for line in lines])

    def _explained(self, statement: Statement, database: str, run: Run) -> list[str]:
        analyze = statement.details["analyze"]
        text = self._runner.explain(_tree(statement), database, analyze=analyze, run=run)
        return text.split("\n")

    def _ddl(self, statement: Statement, execution: Mapping[str, Any], run: Run) -> Outcome:
        run.check()
        rows = Ddl(self._catalog, self._store, _database(execution)).apply(statement)
        return self._lines(execution, _line_column(statement.kind), rows)

    def _lines(self, execution: Mapping[str, Any], name: str, rows: list[Any]) -> Outcome:
        place = _place(execution)
        write_lines(self._store, place, rows)
        # A line of DESCRIBE is one value, and its metadata tell of three columns.
        names = name.split("\t") if rows else []
        columns = [ResultColumn(part, "string", 0, 0) for part in names]
        write_metadata(self._store, place, columns)
        return Outcome("txt", columns, len(rows))

    # --- prepared statements ----------------------------------------------------------

    def _prepared(self, workgroup: str, name: str) -> str:
        try:
            return str(self._saved.prepared(workgroup, name)["QueryStatement"])
        except ResourceNotFound as error:
            raise QueryFailed("NOT_FOUND", f"Prepared statement not found: {name}") from error

    def _prepare(self, statement: Statement, execution: Mapping[str, Any], run: Run) -> Outcome:
        run.check()
        details = statement.details
        try:
            self._saved.put_prepared(
                execution["WorkGroup"], details["name"], details["text"], is_new=True
            )
        except InvalidRequest as error:
            raise QueryFailed("ALREADY_EXISTS", error.message) from error
        return self._lines(execution, "", [])

    def _deallocate(self, statement: Statement, execution: Mapping[str, Any], run: Run) -> Outcome:
        run.check()
        self._prepared(execution["WorkGroup"], statement.details["name"])
        self._saved.delete_prepared(execution["WorkGroup"], statement.details["name"])
        return self._lines(execution, "", [])

    # --- views ------------------------------------------------------------------------

    def _create_view(self, statement: Statement, execution: Mapping[str, Any], run: Run) -> Outcome:
        database, name = self._target(statement, execution)
        with self._runner.answer(_empty(_tree(statement)), _database(execution), run) as reader:
            kinds = [(item.name, from_arrow(item.type)) for item in reader.schema]
        run.statistics["DataScannedInBytes"] = 0
        typed = [{"name": column, "type": trino_type(kind)} for column, kind in kinds]
        body = {
            "Name": name,
            "TableType": "VIRTUAL_VIEW",
            "Parameters": {"presto_view": "true", "comment": "Presto View"},
            "StorageDescriptor": {
                "Columns": [{"Name": column, "Type": str(kind)} for column, kind in kinds],
                "SerdeInfo": {},
            },
            "ViewOriginalText": encode_view(statement.details["text"], _database(execution), typed),
            "ViewExpandedText": "/* Presto View */",
        }
        with _as_failure(), self._catalog.transaction():
            before = self._catalog.find_table(database, name)
            if before is None:
                self._catalog.create_table(database, body)
            elif statement.details["replace"] and before.get("TableType") == "VIRTUAL_VIEW":
                self._catalog.update_table(database, body)
            else:
                raise QueryFailed(
                    "TABLE_ALREADY_EXISTS",
                    f"'{database}.{name}' already exists",
                    hint="CREATE OR REPLACE VIEW replaces a view, not a table.",
                )
        return self._lines(execution, "", [])

    # --- writing ----------------------------------------------------------------------

    def _create_table_as(
        self, statement: Statement, execution: Mapping[str, Any], run: Run
    ) -> Outcome:
        details, properties = statement.details, statement.details["properties"]
        database, name = self._target(statement, execution)
        if self._catalog.find_table(database, name):
            if details["if_not_exists"]:
                return Outcome()
            raise QueryFailed("TABLE_ALREADY_EXISTS", f"Table '{database}.{name}' already exists")
        check_properties(properties)
        kind = file_format(properties)
        keys = tuple(str(key).lower() for key in properties.get("partitioned_by", []))
        place = _place(execution)
        location = properties.get("external_location") or f"{place.location}/"
        tree = _empty(_tree(statement)) if details["no_data"] else _tree(statement)
        with self._runner.answer(tree, _database(execution), run) as reader:
            columns = [
                Column(item.name.lower(), str(from_arrow(item.type))) for item in reader.schema
            ]
            _check_last(columns, keys)
            target = self._new_target(location, execution, kind, keys, properties)
            written = write_rows(self._store, target, reader)
        storage = storage_descriptor(kind)
        if kind == CSV:
            storage["SerdeInfo"]["Parameters"] = {"field.delim": target.delimiter}
        count = len(columns) - len(keys)
        storage["Columns"] = [column.shape() for column in columns[:count]]
        storage["Location"] = f"s3://{target.bucket}/{target.prefix}"
        table = {
            "Name": name,
            "TableType": "EXTERNAL_TABLE",
            "StorageDescriptor": storage,
            "PartitionKeys": [column.shape() for column in columns[count:]],
            "Parameters": {"EXTERNAL": "TRUE", "classification": kind},
        }
        with _as_failure(), self._catalog.transaction():
            self._catalog.create_table(database, table)
            self._add_partitions(database, name, storage, target, written)
        return self._manifest(place, target, written)

    def _insert(self, statement: Statement, execution: Mapping[str, Any], run: Run) -> Outcome:
        database, name = self._target(statement, execution)
        table = self._catalog.find_table(database, name)
        if table is None:
            raise QueryFailed("TABLE_NOT_FOUND", f"Table '{database}.{name}' does not exist")
        storage = table["StorageDescriptor"]
        kind = format_of(storage)
        if kind is None or table.get("TableType") == "VIRTUAL_VIEW":
            raise QueryFailed("NOT_SUPPORTED", f"'{database}.{name}' cannot be written to")
        keys = tuple(key["Name"] for key in table.get("PartitionKeys") or [])
        columns = [*storage["Columns"], *(table.get("PartitionKeys") or [])]
        casts = [
            (column["Name"], duckdb_type(column.get("Type") or "string")) for column in columns
        ]
        tree = _tree(statement)
        if statement.details["columns"]:
            tree, casts = _spread(tree, statement.details["columns"], casts)
        with self._runner.answer(tree, _database(execution), run, casts) as reader:
            serde = (storage.get("SerdeInfo") or {}).get("Parameters") or {}
            target = self._target_of(
                storage["Location"],
                execution,
                kind,
                keys,
                {"field_delimiter": serde.get("field.delim")},
            )
            written = write_rows(self._store, target, reader)
        with _as_failure():
            self._add_partitions(database, name, storage, target, written)
        return self._manifest(_place(execution), target, written)

    def _unload(self, statement: Statement, execution: Mapping[str, Any], run: Run) -> Outcome:
        properties = statement.details["properties"]
        check_properties(properties)
        kind = file_format(properties)
        keys = tuple(str(key).lower() for key in properties.get("partitioned_by", []))
        with self._runner.answer(_tree(statement), _database(execution), run) as reader:
            _check_last([Column(item.name.lower(), "string") for item in reader.schema], keys)
            target = self._new_target(
                statement.details["location"], execution, kind, keys, properties
            )
            written = write_rows(self._store, target, reader)
        return self._manifest(_place(execution), target, written)

    def _target(self, statement: Statement, execution: Mapping[str, Any]) -> tuple[str, str]:
        database, name = statement.details["table"]
        database = database or _database(execution)
        if self._catalog.find_database(database) is None:
            raise QueryFailed("SCHEMA_NOT_FOUND", f"Schema '{database}' does not exist")
        return database, name

    def _new_target(
        self,
        location: str,
        execution: Mapping[str, Any],
        kind: str,
        keys: tuple[str, ...],
        properties: Mapping[str, Any],
    ) -> Target:
        """A target that must hold nothing yet."""
        target = self._target_of(location, execution, kind, keys, properties)
        if next(iter(self._store.list(target.bucket, target.prefix)), None) is not None:
            raise QueryFailed(
                "HIVE_PATH_ALREADY_EXISTS",
                f"Target directory already exists: {location}",
                hint="Name another location, or delete what is there.",
            )
        return target

    def _target_of(
        self,
        location: str,
        execution: Mapping[str, Any],
        kind: str,
        keys: tuple[str, ...],
        properties: Mapping[str, Any],
    ) -> Target:
        with _as_failure():
            bucket, prefix = split_location(location)
        compression = (
            properties.get("write_compression")
            or properties.get("compression")
            or properties.get("parquet_compression")
            or "GZIP"
        )
        delimiter = properties.get("field_delimiter") or "\x01"
        identity = execution["QueryExecutionId"].replace("-", "_")
        return Target(
            bucket, prefix, identity, kind, keys, str(compression).upper(), str(delimiter)
        )

    def _add_partitions(
        self, database: str, name: str, storage: Shape, target: Target, written: Written
    ) -> None:
        if not target.partition_keys:
            return
        known = {place.values for place in self._catalog.partition_places(database, name)}
        inputs = [
            {
                "Values": list(values),
                "StorageDescriptor": {**storage, "Location": f"s3://{target.bucket}/{prefix}"},
            }
            for values, prefix in written.partitions.items()
            if values not in known
        ]
        self._catalog.put_partitions(database, name, inputs)

    def _manifest(self, place: Place, target: Target, written: Written) -> Outcome:
        """The list of written objects, a location a line, beside the results."""
        key = f"{place.key}-manifest.csv"
        text = "".join(f"s3://{target.bucket}/{written_key}\n" for written_key in written.keys)
        self._store.put(place.bucket, key, text.encode())
        columns = [ResultColumn("rows", "bigint", 19, 0)]
        write_metadata(self._store, place, columns)
        return Outcome(None, columns, 0, written.rows, manifest=f"s3://{place.bucket}/{key}")


class _as_failure:  # noqa: N801 - read as a word: `with _as_failure():`
    """The catalog's refusals, as a query's failure."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, CatalogError):
            raise QueryFailed("INVALID_TABLE_PROPERTY", error.message, hint=error.hint) from error


def _place(execution: Mapping[str, Any]) -> Place:
    return Place.of(execution["ResultConfiguration"]["OutputLocation"])


def _database(execution: Mapping[str, Any]) -> str:
    return str(execution["QueryExecutionContext"]["Database"])


def _tree(statement: Statement) -> exp.Expr:
    assert statement.tree is not None  # noqa: S101 - these kinds have a query in them
    return statement.tree


def _empty(tree: exp.Expr) -> exp.Expr:
    """A query of the same columns and no rows."""
    return (
        exp.select("*")
        .from_(
            exp.Subquery(this=tree.copy(), alias=exp.TableAlias(this=exp.to_identifier("__empty")))
        )
        .limit(0)
    )


def _check_last(columns: list[Column], keys: tuple[str, ...]) -> None:
    names = tuple(column.name for column in columns)
    if keys and names[-len(keys) :] != keys:
        raise QueryFailed(
            "INVALID_TABLE_PROPERTY",
            f"Partition columns {list(keys)} must be the last columns, in this order; "
            f"the query gives {list(names)}",
        )


def _spread(
    tree: exp.Expr, named: list[str], casts: list[tuple[str, str]]
) -> tuple[exp.Expr, list[tuple[str, str]]]:
    """INSERT with a column list: the columns it leaves out are NULL."""
    known = [name for name, _ in casts]
    unknown = [name for name in named if name not in known]
    if unknown:
        raise QueryFailed("COLUMN_NOT_FOUND", f"Insert column name does not exist: {unknown[0]}")
    alias = exp.TableAlias(
        this=exp.to_identifier("__given"),
        columns=[exp.to_identifier(name, quoted=True) for name in named],
    )
    items = [
        exp.column(name, "__given", quoted=True) if name in named else exp.alias_(exp.Null(), name)
        for name in known
    ]
    return exp.select(*items).from_(exp.Subquery(this=tree.copy(), alias=alias)), casts


def _line_column(kind: str) -> str:
    """The one column's name of a DDL's answer, as Athena shows it."""
    return {
        "SHOW_DATABASES": "database_name",
        "SHOW_TABLES": "tab_name",
        "SHOW_VIEWS": "views",
        "SHOW_PARTITIONS": "partition",
        "SHOW_COLUMNS": "field",
        "SHOW_CREATE_TABLE": "createtab_stmt",
        "SHOW_CREATE_VIEW": "Create View",
        "SHOW_TABLE_PROPERTIES": "prpt_name\tprpt_value",
        "DESCRIBE_TABLE": "col_name\tdata_type\tcomment",
    }.get(kind, "result")
