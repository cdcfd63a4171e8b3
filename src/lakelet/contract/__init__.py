"""The contract as people write it: TOML with SQL in it, read, checked and compiled."""

from lakelet.contract.declare import Declaration, load_declaration, read_contract
from lakelet.contract.sql import SqlError, compile_sql

__all__ = ["Declaration", "SqlError", "compile_sql", "load_declaration", "read_contract"]
