"""The SQL functions an expression may use: Trino's names, and what they take and give."""

from dataclasses import dataclass

# What a parameter takes: any of these letters' types; upper case is a literal.
#   s string   i integer   d number, as double   n number, as it is   t timestamp (or date)
#   S string literal   I integer literal   F strftime-ready date format   U unit literal
#   P regular expression literal   R its replacement literal
PARAMETER_NAMES = {
    "s": "a string",
    "i": "a whole number",
    "d": "a number",
    "n": "a number",
    "t": "a timestamp or date",
    "S": "a string literal",
    "I": "a whole-number literal",
    "F": "a date_format pattern literal",
    "U": "a unit literal",
    "P": "a regular expression literal",
    "R": "a string literal",
}


@dataclass(frozen=True, slots=True)
class Function:
    operation: str  # its name in `transform.express`
    takes: str  # one letter a parameter
    gives: str  # a type; "first" is the first argument's
    optional: int = 0  # how many trailing parameters may be absent


def _same(names: str, takes: str, gives: str) -> dict[str, Function]:
    return {name: Function(name, takes, gives) for name in names.split()}


FUNCTIONS: dict[str, Function] = {
    **_same("lower upper trim ltrim rtrim reverse", "s", "string"),
    **_same("year quarter month week day hour minute second", "t", "bigint"),
    **_same("day_of_week day_of_year", "t", "bigint"),
    **_same("sqrt ln log10", "d", "double"),
    **_same("abs floor ceil", "n", "first"),
    "ceiling": Function("ceil", "n", "first"),
    "round": Function("round", "nI", "first", optional=1),
    "power": Function("power", "dd", "double"),
    "pow": Function("power", "dd", "double"),
    "mod": Function("modulo", "nn", "first"),
    "length": Function("length", "s", "bigint"),
    "substr": Function("substring", "sII", "string", optional=1),
    "substring": Function("substring", "sII", "string", optional=1),
    "replace": Function("replace", "sSS", "string"),
    "starts_with": Function("starts_with", "sS", "boolean"),
    "strpos": Function("strpos", "sS", "bigint"),
    "split_part": Function("split_part", "sSI", "string"),
    "regexp_like": Function("regexp_like", "sP", "boolean"),
    "regexp_replace": Function("regexp_replace", "sPR", "string"),
    "regexp_extract": Function("regexp_extract", "sPI", "string", optional=1),
    "dow": Function("day_of_week", "t", "bigint"),
    "doy": Function("day_of_year", "t", "bigint"),
    "day_of_month": Function("day", "t", "bigint"),
    "week_of_year": Function("week", "t", "bigint"),
    "date_trunc": Function("date_trunc", "Ut", "timestamp"),
    "date_format": Function("date_format", "tF", "string"),
    "date": Function("cast_date", "t", "date"),
    "to_unixtime": Function("to_unixtime", "t", "double"),
    "from_unixtime": Function("from_unixtime", "d", "timestamp"),
}
# Shapes of their own: see `sql`.
SPECIAL = ("coalesce", "nullif", "greatest", "least", "concat", "if", "cast", "try_cast")

TRUNC_UNITS = ("second", "minute", "hour", "day", "week", "month", "quarter", "year")

# Trino's (MySQL's) date_format letters, as strftime has them. Those that differ
# by platform or locale are left out rather than guessed.
DATE_FORMAT = {
    "a": "%a",
    "b": "%b",
    "d": "%d",
    "H": "%H",
    "h": "%I",
    "I": "%I",
    "i": "%M",
    "j": "%j",
    "M": "%B",
    "m": "%m",
    "p": "%p",
    "S": "%S",
    "s": "%S",
    "T": "%H:%M:%S",
    "W": "%A",
    "Y": "%Y",
    "y": "%y",
    "%": "%%",
}
