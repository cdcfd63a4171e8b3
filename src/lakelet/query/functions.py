"""Calls of Athena's functions rewritten for DuckDB: by the table, and by rules that need code."""

import re
from collections.abc import Callable, Sequence
from functools import cache

import sqlglot
from sqlglot import exp

from lakelet.query.datetime_patterns import joda_to_strftime
from lakelet.query.errors import QueryFailed
from lakelet.query.function_table import SAME, TEMPLATES
from lakelet.query.parse import position

Arguments = Sequence[exp.Expr]


def to_duckdb(tree: exp.Expr, maps: frozenset[str] = frozenset()) -> exp.Expr:
    """Rewrite a tree that was read as Athena's SQL; it is changed in place.

    Args:
        maps: names of columns that are maps: some functions take arrays too, and
            mean another thing in DuckDB.
    Raises:
        QueryFailed: FUNCTION_NOT_FOUND, NOT_SUPPORTED.
    """
    # Innermost first: then a call's arguments are DuckDB's already when it is rewritten.
    for node in reversed(list(tree.walk(bfs=True))):
        rewritten = _rewrite(node, maps)
        if rewritten is not node:
            if node is tree:
                tree = rewritten
            else:
                node.replace(rewritten)
    return tree


def _rewrite(node: exp.Expr, maps: frozenset[str]) -> exp.Expr:
    if isinstance(node, exp.Anonymous):
        return _call(node, maps)
    if isinstance(node, exp.Unnest):
        return _unnest(node, maps)
    special = _NODES.get(type(node))
    return special(node) if special else node


def _call(node: exp.Anonymous, maps: frozenset[str]) -> exp.Expr:
    name, arguments = node.name.lower(), node.expressions
    code = _CODE.get(name)
    if code is not None:
        return code(arguments, node, maps)
    template = TEMPLATES.get(f"{name}/{len(arguments)}") or TEMPLATES.get(name)
    if template is not None:
        return fill(template, arguments)
    if name in SAME:
        return node
    line, column = position(node)
    if any(key.startswith(f"{name}/") for key in TEMPLATES):
        raise QueryFailed(
            "TYPE_MISMATCH",
            f"Unexpected parameters ({len(arguments)} of them) for function {name}",
            line=line,
            column=column,
        )
    raise QueryFailed(
        "FUNCTION_NOT_FOUND", f"Function '{name}' not registered", line=line, column=column
    )


# --- templates ----------------------------------------------------------------------


@cache
def _template(text: str) -> exp.Expr:
    text = text.replace("$*", "__all")
    # `$1` is no word of a dialect's own in every place; a name is.
    return sqlglot.parse_one(re.sub(r"\$(\d)(?!['\"\w])", r"__argument_\1", text), read="duckdb")


def fill(text: str, arguments: Arguments) -> exp.Expr:
    """A template with its arguments in place, each in parentheses where it needs them."""
    tree = exp.Paren(this=_template(text).copy())
    for column in list(tree.find_all(exp.Column)):
        name = column.name
        if name == "__all":
            call = column.parent
            assert call is not None  # noqa: S101 - `$*` only stands inside a call
            copies = [argument.copy() for argument in arguments]
            if isinstance(call, exp.Anonymous) or "expressions" in call.arg_types:
                rest = [item for item in call.expressions if item is not column]
                call.set("expressions", [*rest, *copies])
        elif name.startswith("__argument_"):
            value = arguments[int(name.removeprefix("__argument_")) - 1].copy()
            column.replace(exp.Paren(this=value) if isinstance(value, _LOOSE) else value)
    inner = tree.this
    return tree if isinstance(inner, _LOOSE) else inner.pop()


_LOOSE = (exp.Binary, exp.Unary, exp.Not, exp.Between, exp.In, exp.Case)


# --- calls that need code -----------------------------------------------------------


Code = Callable[[Arguments, exp.Anonymous, frozenset[str]], exp.Expr]


def _cardinality(arguments: Arguments, node: exp.Anonymous, maps: frozenset[str]) -> exp.Expr:
    del node
    word = "cardinality" if _is_map(arguments[0], maps) else "len"
    return exp.Anonymous(this=word, expressions=[arguments[0].copy()])


_MAP_MAKING = """
    map map_agg map_concat map_filter map_from_entries transform_keys transform_values
    histogram split_to_map __first_keys
"""
_MAP_MAKERS = frozenset(_MAP_MAKING.split())


def _is_map(node: exp.Expr, maps: frozenset[str]) -> bool:
    node = node.unnest()
    if isinstance(node, exp.Column):
        return node.name.lower() in maps
    if isinstance(node, exp.Cast):
        return node.to.is_type(exp.DType.MAP)
    return isinstance(node, exp.Map | exp.VarMap | exp.MapFromEntries) or (
        isinstance(node, exp.Func) and node.name.lower() in _MAP_MAKERS
    )


def _date_add(arguments: Arguments, node: exp.Anonymous, maps: frozenset[str]) -> exp.Expr:
    del maps
    unit = arguments[0].name.lower()
    if unit not in _UNITS:
        line, column = position(node)
        raise QueryFailed(
            "INVALID_FUNCTION_ARGUMENT",
            f"'{unit}' is not a valid TIMESTAMP field",
            line=line,
            column=column,
        )
    number = "$2" if unit in ("millisecond", "second") else "CAST($2 AS INTEGER)"
    return fill(f"__plus($3, to_{unit}s({number}))", arguments)


_UNITS = frozenset(
    ("millisecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year")
)


def _by_pattern(template: str) -> Code:
    """Functions whose second argument is a date pattern: it must be a constant here."""

    def rewrite(arguments: Arguments, node: exp.Anonymous, maps: frozenset[str]) -> exp.Expr:
        del maps
        pattern = arguments[1]
        if not isinstance(pattern, exp.Literal):
            line, column = position(node)
            raise QueryFailed(
                "NOT_SUPPORTED",
                f"{node.name} needs a constant pattern here",
                line=line,
                column=column,
            )
        translate = joda_to_strftime if "datetime" in node.name.lower() else mysql_to_strftime
        return fill(template, [arguments[0], exp.Literal.string(translate(pattern.this))])

    return rewrite


def mysql_to_strftime(pattern: str) -> str:
    """date_format's letters (MySQL's) as strftime's."""
    return re.sub(r"%(.)", lambda found: _MYSQL.get(found[1], f"%{found[1]}"), pattern)


_MYSQL = {
    "i": "%M",
    "s": "%S",
    "S": "%S",
    "T": "%H:%M:%S",
    "r": "%I:%M:%S %p",
    "W": "%A",
    "M": "%B",
    "c": "%-m",
    "e": "%-d",
    "k": "%-H",
    "l": "%-I",
    "h": "%I",
    "v": "%V",
    "x": "%G",
}


def _regexp_replace(arguments: Arguments, node: exp.Anonymous, maps: frozenset[str]) -> exp.Expr:
    del maps
    if len(arguments) == 2:
        return fill(TEMPLATES["regexp_replace/2"], arguments)
    replacement = arguments[2]
    if isinstance(replacement, exp.Lambda):
        raise QueryFailed("NOT_SUPPORTED", f"{node.name} with a lambda is not supported here")
    if isinstance(replacement, exp.Literal):
        # Java's $1 is RE2's \1.
        text = re.sub(r"(?<!\\)\$(\d)", r"\\\1", replacement.this).replace(r"\$", "$")
        return fill("regexp_replace($1, $2, $3, 'g')", [*arguments[:2], exp.Literal.string(text)])
    return fill(
        "regexp_replace($1, $2, regexp_replace($3, '[$]([0-9])', '\\\\\\1', 'g'), 'g')", arguments
    )


def _by_json_path(template: str) -> Code:
    """`$["a b"]` is `$."a b"` in DuckDB's paths."""

    def rewrite(arguments: Arguments, node: exp.Anonymous, maps: frozenset[str]) -> exp.Expr:
        del node, maps
        path = arguments[1]
        if isinstance(path, exp.Literal):
            spelled = re.sub(r"""\[(["'])(.*?)\1\]""", r'."\2"', path.this)
            path = exp.Literal.string(spelled)
        return fill(template, [arguments[0], path])

    return rewrite


def _regexp_extract_all(
    arguments: Arguments, node: exp.Anonymous, maps: frozenset[str]
) -> exp.Expr:
    del node, maps
    return exp.Anonymous(this="regexp_extract_all", expressions=[a.copy() for a in arguments])


def _array_sort(arguments: Arguments, node: exp.Anonymous, maps: frozenset[str]) -> exp.Expr:
    del maps
    if len(arguments) > 1:
        line, column = position(node)
        raise QueryFailed(
            "NOT_SUPPORTED",
            "array_sort with a comparator is not supported here",
            line=line,
            column=column,
            hint="UNNEST the array, and array_agg it again with ORDER BY.",
        )
    return fill(TEMPLATES["array_sort/1"], arguments)


def _reduce(arguments: Arguments, node: exp.Anonymous, maps: frozenset[str]) -> exp.Expr:
    del node, maps
    reduced = fill("list_reduce($1, $2, $3)", [arguments[0], arguments[2], arguments[1]])
    final = arguments[3]
    if not isinstance(final, exp.Lambda):
        return reduced
    return _substituted(final, [reduced])


def _over_entries(make: str) -> Code:
    """map_filter and its kin: a lambda of key and value, over the map's entries."""

    def rewrite(arguments: Arguments, node: exp.Anonymous, maps: frozenset[str]) -> exp.Expr:
        del node, maps
        body = _substituted(arguments[1], [_entry("key"), _entry("value")])
        return fill(make, [arguments[0], body])

    return rewrite


def _entry(part: str) -> exp.Expr:
    return exp.Dot(this=exp.to_identifier("__entry"), expression=exp.to_identifier(part))


def _zip_with(arguments: Arguments, node: exp.Anonymous, maps: frozenset[str]) -> exp.Expr:
    del node, maps
    pair = [sqlglot.parse_one(f"__pair[{index}]", read="duckdb") for index in (1, 2)]
    body = _substituted(arguments[2], pair)
    zipped = "list_transform(list_zip($1, $2), LAMBDA __pair: $3)"
    return fill(zipped, [*arguments[:2], body])


def _substituted(function: exp.Expr, values: Sequence[exp.Expr]) -> exp.Expr:
    """A lambda's body with values for its parameters."""
    if not isinstance(function, exp.Lambda):
        raise QueryFailed("TYPE_MISMATCH", f"a lambda is wanted here, not {function.sql()[:60]}")
    names = [parameter.name for parameter in function.expressions]
    body = exp.Paren(this=function.this.copy())
    for node in list(body.find_all(exp.Identifier)):
        if node.name not in names or (isinstance(node.parent, exp.Dot) and node.arg_key != "this"):
            continue
        target = node.parent if isinstance(node.parent, exp.Column) else node
        target.replace(values[names.index(node.name)].copy())
    return body


_CODE: dict[str, Code] = {
    "cardinality": _cardinality,
    "date_add": _date_add,
    "date_format": _by_pattern("strftime($1, $2)"),
    "date_parse": _by_pattern("strptime($1, $2)"),
    "format_datetime": _by_pattern("strftime($1, $2)"),
    "parse_datetime": _by_pattern("timezone('UTC', strptime($1, $2))"),
    "regexp_replace": _regexp_replace,
    "regexp_extract_all": _regexp_extract_all,
    "array_sort": _array_sort,
    "reduce": _reduce,
    "json_extract": _by_json_path("TRY(json_extract($1, $2))"),
    # json_value gives NULL for an object or array, as Athena does here.
    "json_extract_scalar": _by_json_path("TRY(json_value($1, $2) ->> '$')"),
    "zip_with": _zip_with,
    "map_filter": _over_entries(
        "map_from_entries(list_filter(map_entries($1), LAMBDA __entry: $2))"
    ),
    "transform_values": _over_entries(
        "map_from_entries(list_transform(map_entries($1), LAMBDA __entry:"
        " struct_pack(key := __entry.key, value := $2)))"
    ),
    "transform_keys": _over_entries(
        "map_from_entries(list_transform(map_entries($1), LAMBDA __entry:"
        " struct_pack(key := $2, value := __entry.value)))"
    ),
}


# --- syntax that means another thing ------------------------------------------------


def _interval_sum(node: exp.Expr) -> exp.Expr:
    """`date + interval`: a date in Athena, a timestamp in DuckDB."""
    left, right = node.args["this"], node.args["expression"]
    if isinstance(left, exp.Interval) and not isinstance(right, exp.Interval):
        left, right = right, left
    if not isinstance(right, exp.Interval):
        return _days_between(node) if isinstance(node, exp.Sub) else node
    if isinstance(node, exp.Sub):
        right = exp.Neg(this=exp.Paren(this=right.copy()))
    return exp.Anonymous(this="__plus", expressions=[left.copy(), right.copy()])


def _days_between(node: exp.Sub) -> exp.Expr:
    """`date - date`: an interval in Athena, a number of days in DuckDB.

    Only where the text itself shows two dates: a tree knows no type of a column.
    """
    if not all(_is_date(side) for side in (node.this, node.expression)):
        return node
    return fill("to_days(CAST($1 - $2 AS INTEGER))", [node.this, node.expression])


def _is_date(node: exp.Expr) -> bool:
    node = node.unnest()
    return isinstance(node, exp.CurrentDate) or (
        isinstance(node, exp.Cast) and node.to.is_type(exp.DType.DATE)
    )


def _at_time_zone(node: exp.Expr) -> exp.Expr:
    """Athena takes a timestamp without zone as the session's, UTC; DuckDB as the named one's."""
    return fill("timezone($2, CAST($1 AS TIMESTAMPTZ))", [node.this, node.args["zone"]])


def _extract(node: exp.Expr) -> exp.Expr:
    part = node.name.lower()
    if part in ("dow", "day_of_week"):
        return fill("isodow($1)", [node.args["expression"]])
    if part in ("yow", "year_of_week"):
        return fill("isoyear($1)", [node.args["expression"]])
    return node


def _unnest(node: exp.Unnest, maps: frozenset[str]) -> exp.Expr:
    """UNNEST of a map, of several arrays, or of rows, which gives several columns."""
    alias = node.args.get("alias")
    given = node.expressions
    columns = alias.args.get("columns") or [] if isinstance(alias, exp.TableAlias) else []
    if len(given) == 1 and _is_map(given[0], maps):
        both = (f"map_{part}($1)" for part in ("keys", "values"))
        body = fill(f"list_zip({', '.join(both)})", given)
    elif len(given) > 1:
        body = fill("list_zip($*)", given)
    elif len(columns) > 1 and not node.args.get("offset"):
        body = given[0].copy()
    else:
        return node
    if node.args.get("offset"):
        raise QueryFailed(
            "NOT_SUPPORTED", "UNNEST of several columns WITH ORDINALITY is not supported here"
        )
    # The rows first, then their fields as columns.
    rows = exp.select(exp.alias_(exp.Anonymous(this="unnest", expressions=[body]), "__row"))
    fields = exp.select(exp.Anonymous(this="unnest", expressions=[exp.column("__row")]))
    query = exp.Subquery(this=fields.from_(rows.subquery("__rows")))
    if isinstance(node.parent, exp.From):
        query.set("alias", alias)
        return query
    return exp.Lateral(this=query, alias=alias)


def _data_type(node: exp.Expr) -> exp.Expr:
    """TIMESTAMP(3) is another type than TIMESTAMP in DuckDB, and a literal's is TIMESTAMP(0)."""
    if node.this in _TIMESTAMPS and node.expressions:
        node.set("expressions", [])
    return node


_TIMESTAMPS = (exp.DType.TIMESTAMP, exp.DType.TIMESTAMPTZ, exp.DType.TIME)

_NODES: dict[type[exp.Expr], Callable[[exp.Expr], exp.Expr]] = {
    exp.Add: _interval_sum,
    exp.Sub: _interval_sum,
    exp.AtTimeZone: _at_time_zone,
    exp.Extract: _extract,
    exp.DataType: _data_type,
    exp.Normalize: lambda node: fill("nfc_normalize($1)", [node.this]),
}
