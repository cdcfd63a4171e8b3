"""Trino functions as DuckDB macros, for those that need to know their arguments' types.

DuckDB picks an overload by type, which a rewrite of the text can't do. The sandbox
defines them before it locks itself; the leading `__` keeps them apart from any name
that a query may call.
"""

_SECONDS = (("week", 604_800), ("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def _counted(unit: str, size: int, above: int | None) -> str:
    count = f"CAST(total AS BIGINT) // {size}"
    if above:
        count = f"CAST(total AS BIGINT) % {above} // {size}"
    return (
        f"CASE {count} WHEN 0 THEN NULL WHEN 1 THEN '1 {unit}' ELSE concat({count}, ' {unit}s') END"
    )


_READABLE = ", ".join(
    _counted(unit, size, _SECONDS[index - 1][1] if index else None)
    for index, (unit, size) in enumerate(_SECONDS)
)

# Trino's own ceiling for lists made out of nothing. Without it one short statement takes
# the machine: a list that is being made counts towards no memory limit of DuckDB's.
_ENTRIES_MAX = 10_000


def _within(count: str, value: str, said: str) -> str:
    """`value`, or the error where `count` is over the ceiling."""
    return f"CASE WHEN {count} > {_ENTRIES_MAX} THEN error('{said}') ELSE {value} END"


def _series(count: str, step: str) -> str:
    """From `a` to `b`, by `step`; the end is asked for its count before a list is begun."""
    end = _within(
        count, "b", f"result of sequence function must not have more than {_ENTRIES_MAX} entries"
    )
    return f"generate_series(a, {end}, {step})"


_DAYS = "abs(date_diff('day', a, b)) + 1"
_ONE_DAY = "CASE WHEN a <= b THEN INTERVAL 1 DAY ELSE INTERVAL (-1) DAY END"
_STEPS = "(epoch_us(b) - epoch_us(a)) // CAST(epoch(step) * 1000000 AS BIGINT) + 1"
_LISTS = (
    (
        f"__sequence(a BIGINT, b BIGINT) AS"
        f" {_series('abs(CAST(b AS HUGEINT) - a) + 1', 'CASE WHEN a <= b THEN 1 ELSE -1 END')},"
        f" (a DATE, b DATE) AS CAST({_series(_DAYS, _ONE_DAY)} AS DATE[]),"
        f" (a TIMESTAMP, b TIMESTAMP) AS {_series(_DAYS, _ONE_DAY)},"
        f" (a BIGINT, b BIGINT, step BIGINT) AS"
        f" {_series('(CAST(b AS HUGEINT) - a) // step + 1', 'step')},"
        f" (a DATE, b DATE, step INTERVAL) AS CAST({_series(_STEPS, 'step')} AS DATE[]),"
        f" (a TIMESTAMP, b TIMESTAMP, step INTERVAL) AS {_series(_STEPS, 'step')}"
    ),
    (
        "__repeat_count(n BIGINT) AS "
        + _within(
            "n",
            "n",
            f"count argument of repeat function must be less than or equal to {_ENTRIES_MAX}",
        )
    ),
)


MACROS = (
    # A date stays a date.
    (
        "__date_trunc(unit VARCHAR, x DATE) AS CAST(date_trunc(unit, x) AS DATE),"
        " (unit VARCHAR, x TIMESTAMP) AS date_trunc(unit, x),"
        " (unit VARCHAR, x TIMESTAMPTZ) AS date_trunc(unit, x)"
    ),
    (
        "__plus(x DATE, i INTERVAL) AS CAST(x + i AS DATE), (x TIMESTAMP, i INTERVAL) AS x + i,"
        " (x TIMESTAMPTZ, i INTERVAL) AS x + i, (x TIME, i INTERVAL) AS x + i,"
        " (x INTERVAL, i INTERVAL) AS x + i"
    ),
    (
        "__to_iso8601(x DATE) AS CAST(x AS VARCHAR),"
        " (x TIMESTAMP) AS strftime(x, '%Y-%m-%dT%H:%M:%S.%g'),"
        " (x TIMESTAMPTZ) AS strftime(x, '%Y-%m-%dT%H:%M:%S.%gZ')"
    ),
    *_LISTS,
    ("__reverse(x VARCHAR) AS reverse(x), (x) AS list_reverse(x)"),
    ("__bitwise_length(x BIGINT, bits) AS bit_count(x)"),
    (
        "__url_parameter(query VARCHAR, name VARCHAR) AS url_decode(replace(list_extract("
        "list_transform(list_filter(string_split(query, '&'),"
        " LAMBDA pair: split_part(pair, '=', 1) = name),"
        " LAMBDA pair: substr(pair, length(name) + 2)), 1), '+', ' '))"
    ),
    # The pieces of a split, the last of which holds what is left.
    (
        "__split_limit(parts, separator VARCHAR, most BIGINT) AS CASE WHEN len(parts) <= most"
        " THEN parts ELSE list_append(list_slice(parts, 1, most - 1),"
        " array_to_string(list_slice(parts, most, len(parts)), separator)) END"
    ),
    (
        "__position(parts, part VARCHAR, instance BIGINT) AS CASE WHEN len(parts) > instance"
        " THEN length(array_to_string(list_slice(parts, 1, instance), part)) + 1 ELSE 0 END"
    ),
    (
        "__pairs(parts, sign VARCHAR) AS list_transform(parts, LAMBDA pair: struct_pack("
        "k := split_part(pair, sign, 1), v := substr(pair, strpos(pair, sign) + length(sign))))"
    ),
    # The first of equal keys wins; a MAP refuses them.
    (
        "__first_keys(entries) AS map_from_entries(list_filter(entries, LAMBDA e, i:"
        " list_position(list_transform(entries, LAMBDA other: other.k), e.k) = i))"
    ),
    (f"__readable(total DOUBLE) AS concat_ws(', ', {_READABLE})"),
    (
        "__from_base(digits VARCHAR, radix BIGINT) AS list_reduce(list_transform("
        "string_split(lower(digits), ''), LAMBDA digit:"
        " CAST(strpos('0123456789abcdefghijklmnopqrstuvwxyz', digit) - 1 AS BIGINT)),"
        " LAMBDA sum, digit: sum * radix + digit)"
    ),
    (
        "__json_size(x) AS CASE json_type(x) WHEN 'OBJECT' THEN len(json_keys(x))"
        " WHEN 'ARRAY' THEN json_array_length(x) ELSE 0 END"
    ),
    (
        "__typeof(name VARCHAR) AS CASE name WHEN 'FLOAT' THEN 'real' WHEN 'BLOB' THEN 'varbinary'"
        " WHEN 'TIMESTAMP' THEN 'timestamp(3)' WHEN 'HUGEINT' THEN 'bigint'"
        " WHEN 'TIMESTAMP WITH TIME ZONE' THEN 'timestamp(3) with time zone'"
        " ELSE regexp_replace(lower(name), '^(.*)\\[\\]$', 'array(\\1)') END"
    ),
)
