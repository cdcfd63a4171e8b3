"""Why a query fails, in Athena's words: an error name, a position, a category."""

from dataclasses import dataclass

from lakelet.model.errors import LakeletError, Outcome

SYSTEM, USER, OTHER = 1, 2, 3  # AthenaError.ErrorCategory


class QueryError(LakeletError):
    """The base of what this room refuses."""

    code = "query.error"
    aws_code = "InvalidRequestException"
    http_status = 400


class InvalidRequest(QueryError):
    """A request that can't be met: an unknown id, a bad parameter."""

    code = "query.invalid_request"
    aws_code = "InvalidRequestException"


class ResourceNotFound(QueryError):
    code = "query.not_found"
    aws_code = "ResourceNotFoundException"


class MetadataNotFound(QueryError):
    """A database or table of the Data Catalog that isn't there."""

    code = "query.metadata"
    aws_code = "MetadataException"


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """An Athena error's name, and the `AthenaError` numbers that go with it.

    ErrorType numbers are from Athena's published error reference where it lists the
    case; others take the category's general number (assumed).
    """

    category: int
    type: int
    retryable: bool = False


KINDS = {
    "SYNTAX_ERROR": ErrorKind(USER, 1006),
    "COLUMN_NOT_FOUND": ErrorKind(USER, 1006),
    "TABLE_NOT_FOUND": ErrorKind(USER, 1006),
    "SCHEMA_NOT_FOUND": ErrorKind(USER, 1006),
    "CATALOG_NOT_FOUND": ErrorKind(USER, 1006),
    "FUNCTION_NOT_FOUND": ErrorKind(USER, 1006),
    "TYPE_MISMATCH": ErrorKind(USER, 1006),
    "AMBIGUOUS_NAME": ErrorKind(USER, 1006),
    "EXPRESSION_NOT_AGGREGATE": ErrorKind(USER, 1006),
    "NOT_SUPPORTED": ErrorKind(USER, 1006),
    "INVALID_CAST_ARGUMENT": ErrorKind(USER, 1003),
    "INVALID_FUNCTION_ARGUMENT": ErrorKind(USER, 1003),
    "NUMERIC_VALUE_OUT_OF_RANGE": ErrorKind(USER, 1003),
    "DIVISION_BY_ZERO": ErrorKind(USER, 1003),
    "INVALID_PARAMETER_USAGE": ErrorKind(USER, 1006),
    "INVALID_TABLE_PROPERTY": ErrorKind(USER, 1006),
    "SCHEMA_ALREADY_EXISTS": ErrorKind(USER, 1006),
    "TABLE_ALREADY_EXISTS": ErrorKind(USER, 1006),
    "HIVE_BAD_DATA": ErrorKind(USER, 1100),
    "HIVE_CANNOT_OPEN_SPLIT": ErrorKind(USER, 1100),
    "HIVE_UNSUPPORTED_FORMAT": ErrorKind(USER, 1100),
    "HIVE_TOO_MANY_OPEN_PARTITIONS": ErrorKind(USER, 1100),
    "HIVE_PATH_ALREADY_EXISTS": ErrorKind(USER, 1100),
    "CONSTRAINT_VIOLATION": ErrorKind(USER, 1100),
    "EXCEEDED_LOCAL_MEMORY_LIMIT": ErrorKind(SYSTEM, 101, True),
    "GENERIC_INTERNAL_ERROR": ErrorKind(SYSTEM, 0),
}


class QueryFailed(QueryError):
    """A query that cannot be planned, or stopped running.

    `str(error.reason)` is what Athena gives as StateChangeReason:
    `COLUMN_NOT_FOUND: line 1:8: Column 'x' cannot be resolved`.
    """

    code = "query.failed"

    def __init__(
        self,
        name: str,
        message: str,
        *,
        line: int | None = None,
        column: int | None = None,
        hint: str = "",
    ) -> None:
        self.name = name
        at = f"line {line}:{column}: " if line is not None else ""
        self.reason = f"{name}: {at}{message}"
        super().__init__(self.reason, hint=hint)

    @property
    def kind(self) -> ErrorKind:
        return KINDS.get(self.name, KINDS["GENERIC_INTERNAL_ERROR"])


class QueryCancelled(QueryError):
    """The run was stopped: by StopQueryExecution, or by a limit."""

    code = "query.cancelled"
    outcome = Outcome.NEVER


class FilesMoved(QueryError):
    """A file that planning saw is gone: compaction or a replay took it. Plan again."""

    code = "query.files_moved"
    outcome = Outcome.RETRY
