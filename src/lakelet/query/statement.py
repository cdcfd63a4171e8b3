"""A statement as a value: what kind it is, and what it says."""

from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

# Athena's StatementType.
DML, DDL, UTILITY = "DML", "DDL", "UTILITY"


@dataclass(frozen=True)
class Statement:
    """A statement, read as far as its kind asks."""

    type: str
    kind: str  # SubstatementType: SELECT, CREATE_TABLE_AS_SELECT, SHOW_TABLES …
    tree: exp.Expr | None = None  # of the query in it, if there is one
    details: dict[str, Any] = field(default_factory=dict)
