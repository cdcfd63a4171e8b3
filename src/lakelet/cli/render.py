"""What people see in a terminal: tables, and sizes they can read."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.console import Console
    from rich.table import Table

ROWS_SHOWN_MAX = 500


def arrow_table(table: "pa.Table", *, title: str | None = None) -> "Table":
    """At most ROWS_SHOWN_MAX rows; numbers to the right, NULL dimmed."""
    import pyarrow as pa

    numeric = [
        pa.types.is_integer(f.type) or pa.types.is_floating(f.type) or pa.types.is_decimal(f.type)
        for f in table.schema
    ]
    shown = table.slice(0, ROWS_SHOWN_MAX)
    columns = [column.to_pylist() for column in shown.columns]
    return rows_table(
        table.column_names,
        zip(*columns, strict=True) if columns else (),
        right=[index for index, is_number in enumerate(numeric) if is_number],
        title=title,
    )


def rows_table(
    names: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    right: Sequence[int] = (),
    title: str | None = None,
) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        header_style="bold cyan",
    )
    for index, name in enumerate(names):
        table.add_column(name, justify="right" if index in right else "left", overflow="fold")
    for row in rows:
        table.add_row(
            *(Text("NULL", "dim") if value is None else Text(cell(value)) for value in row)
        )
    return table


def cell(value: Any) -> str:
    """As SQL would say it: digits ungrouped, floats without their binary tail."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.12g}"
    return str(value)


def size(size_bytes: float) -> str:
    """`12.3 MB`, in powers of ten as AWS bills."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"


def stdout() -> "Console":
    from rich.console import Console

    return Console(highlight=False)


def stderr() -> "Console":
    from rich.console import Console

    return Console(stderr=True, highlight=False)
