"""Athena's SQL for sqlglot: Trino's grammar, with our functions left as plain calls.

sqlglot knows many functions of many databases and turns their calls into nodes of its
own, some with a shade of another meaning. Here it keeps only those whose way to
DuckDB has been tested; every other call reaches `functions.py` by its name, and a
name that is in no list there is refused. So the list is one of what is allowed.
"""

from typing import ClassVar

from sqlglot.dialects.trino import Trino

_TYPED_NAMES = """
    COUNT SUM AVG MIN MAX STDDEV STDDEV_POP STDDEV_SAMP VARIANCE VAR_POP VAR_SAMP ARRAY_AGG
    LAG LEAD FIRST_VALUE LAST_VALUE NTH_VALUE ROW_NUMBER RANK DENSE_RANK NTILE COALESCE
    NULLIF IF GREATEST LEAST TRY CONCAT LENGTH LOWER UPPER LTRIM RTRIM STARTS_WITH
    SPLIT_PART CHR TRANSLATE LPAD RPAD ELEMENT_AT ROUND FLOOR CEIL ABS SQRT LN EXP SIGN LOG2
    LOG10 YEAR MONTH DAY QUARTER HOUR MINUTE SECOND MAP ROW MAP_FROM_ENTRIES MAP_KEYS
    TO_BASE64 FROM_BASE64 UUID BOOL_AND BOOL_OR CORR COVAR_POP COVAR_SAMP GROUPING
    CURRENT_DATE CURRENT_TIMESTAMP LOCALTIMESTAMP LOCALTIME PI
"""
_TYPED = frozenset(_TYPED_NAMES.split())


class AthenaQueries(Trino):
    """The dialect of SELECT; DDL has a grammar of its own in `ddl.py`."""

    class Parser(Trino.Parser):  # type: ignore[misc, valid-type]  # sqlglot makes it at run time
        FUNCTIONS: ClassVar = {
            name: build for name, build in Trino.Parser.FUNCTIONS.items() if name in _TYPED
        }
