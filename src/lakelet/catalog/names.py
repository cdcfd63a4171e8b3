"""Names as Glue takes them: lower-cased, checked, and refused with its codes."""

import re
from collections.abc import Sequence
from typing import Any

from lakelet.catalog.errors import InvalidInput

# Glue's single-line string pattern allows nearly everything; a name that holds a
# slash or a control character couldn't be a folder or a line of a DDL answer.
_NAME = re.compile(r"[^\x00-\x1f\x7f/]{1,255}")

# Between the values of a partition's row name; no value may hold it.
SEPARATOR = "\x1f"


def fold(name: Any, what: str) -> str:
    """The lower-cased name of a database, table or column."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{what} name {name!r} is not valid.",
            hint="1 to 255 characters, without slashes or control characters.",
        )
    return name.lower()


def fold_columns(columns: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Columns with lower-cased names. Raises InvalidInput where one appears twice."""
    folded = [{**column, "Name": fold(column.get("Name"), "Column")} for column in columns]
    seen: set[str] = set()
    for column in folded:
        if column["Name"] in seen:
            raise InvalidInput(
                f"Column {column['Name']!r} is declared twice.",
                hint="Names are lower-cased before they are compared.",
            )
        seen.add(column["Name"])
    return folded


def partition_name(values: Sequence[str]) -> str:
    """The row name of a partition: its values, so that text order is value order
    and the values of the leading keys are a prefix."""
    if any(SEPARATOR in value for value in values):
        raise InvalidInput(f"Partition values {list(values)!r} hold a control character.")
    return SEPARATOR.join(values)


def partition_values(name: str) -> list[str]:
    return name.split(SEPARATOR)
