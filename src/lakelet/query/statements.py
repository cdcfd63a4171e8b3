"""What kind of statement a text is, and who carries it out."""

from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from lakelet.query.errors import QueryFailed
from lakelet.query.parse import parse_query, tokens

DML, DDL, UTILITY = "DML", "DDL", "UTILITY"


@dataclass(frozen=True)
class Statement:
    """A statement, read as far as its kind asks."""

    type: str  # StatementType: DML, DDL, UTILITY
    kind: str  # SubstatementType: SELECT, CREATE_TABLE_AS_SELECT, SHOW_TABLES …
    tree: exp.Expr | None = None  # of the query in it, if there is one
    details: dict[str, Any] = field(default_factory=dict)


def read_statement(sql: str) -> Statement:
    """Raises QueryFailed: SYNTAX_ERROR."""
    words = [token.text.upper() for token in tokens(sql)[:3]]
    if not words:
        raise QueryFailed("SYNTAX_ERROR", "the statement is empty", line=1, column=1)
    if words[0] in ("SELECT", "WITH", "VALUES", "TABLE", "("):
        return Statement(DML, "SELECT", parse_query(sql))
    raise QueryFailed("SYNTAX_ERROR", f"mismatched input '{words[0]}'", line=1, column=1)
