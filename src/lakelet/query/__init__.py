"""Athena's SQL over the lake: planned from the catalog, answered by a sandboxed DuckDB."""

from lakelet.query.engine import QueryEngine
from lakelet.query.errors import InvalidRequest, QueryFailed

__all__ = ["InvalidRequest", "QueryEngine", "QueryFailed"]
