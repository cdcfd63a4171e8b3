"""Trino functions that DuckDB lacks, as macros under Trino's names."""

MACROS: tuple[str, ...] = ()
