"""Trino's functions in DuckDB's words.

A template is DuckDB SQL in which `$1`, `$2` … are the call's arguments and `$*` all of
them. A function whose meaning is the same under the same name stands in `SAME`; one
that is in none of the lists is refused as Athena would: FUNCTION_NOT_FOUND.
"""

# RFC 3986, appendix B: scheme, authority, path, query, fragment are groups 2, 4, 5, 7, 9.
_URL = r"^(([^:/?#]+):)?(//([^/?#]*))?([^?#]*)(\?([^#]*))?(#(.*))?"


def _url_part(group: int) -> str:
    return f"nullif(regexp_extract($1, '{_URL}', {group}), '')"


# By name and number of arguments; without a number, for any.
TEMPLATES: dict[str, str] = {
    # dates and times
    "date_trunc/2": "__date_trunc($1, $2)",
    "date_diff/3": "date_sub($1, $2, $3)",
    "from_iso8601_timestamp/1": "CAST($1 AS TIMESTAMPTZ)",
    "from_iso8601_timestamp_nanos/1": "CAST($1 AS TIMESTAMPTZ)",
    "from_iso8601_date/1": "CAST($1 AS DATE)",
    "to_iso8601/1": "__to_iso8601($1)",
    "from_unixtime/1": "to_timestamp($1)",
    "from_unixtime/2": "timezone('UTC', timezone('UTC', to_timestamp($1)))",
    "from_unixtime_nanos/1": "to_timestamp(CAST($1 AS DOUBLE) / 1e9)",
    "to_unixtime/1": "epoch($1)",
    "to_milliseconds/1": "CAST(epoch($1) * 1000 AS BIGINT)",
    "at_timezone/2": "timezone($2, CAST($1 AS TIMESTAMPTZ))",
    "with_timezone/2": "timezone($2, CAST($1 AS TIMESTAMP))",
    "millisecond/1": "millisecond($1) % 1000",
    "day_of_month/1": "day($1)",
    "day_of_week/1": "isodow($1)",
    "dow/1": "isodow($1)",
    "day_of_year/1": "dayofyear($1)",
    "doy/1": "dayofyear($1)",
    "week/1": "week($1)",
    "week_of_year/1": "week($1)",
    "year_of_week/1": "isoyear($1)",
    "yow/1": "isoyear($1)",
    "last_day_of_month/1": "last_day($1)",
    "date/1": "CAST($1 AS DATE)",
    "now/0": "current_timestamp",
    "human_readable_seconds/1": "__readable(CAST($1 AS DOUBLE))",
    # numbers
    "ceiling/1": "ceil($1)",
    "truncate/1": "trunc($1)",
    "power/2": "pow(CAST($1 AS DOUBLE), $2)",
    "pow/2": "pow(CAST($1 AS DOUBLE), $2)",
    "e/0": "exp(CAST(1 AS DOUBLE))",
    "nan/0": "CAST('nan' AS DOUBLE)",
    "infinity/0": "CAST('inf' AS DOUBLE)",
    "is_nan/1": "isnan($1)",
    "is_infinite/1": "isinf($1)",
    "is_finite/1": "isfinite($1)",
    "log/2": "log($1, $2)",
    "mod/2": "$1 % $2",
    "rand/0": "random()",
    "rand/1": "CAST(floor(random() * $1) AS BIGINT)",
    "random/1": "CAST(floor(random() * $1) AS BIGINT)",
    "random/2": "CAST(floor($1 + random() * ($2 - $1)) AS BIGINT)",
    "to_base/2": "lower(to_base($1, $2))",
    "from_base/2": "__from_base($1, $2)",
    "width_bucket/4": "CASE WHEN $1 < $2 THEN 0 WHEN $1 >= $3 THEN $4 + 1 ELSE"
    " CAST(floor(CAST($1 - $2 AS DOUBLE) * $4 / ($3 - $2)) AS BIGINT) + 1 END",
    "bitwise_and/2": "$1 & $2",
    "bitwise_or/2": "$1 | $2",
    "bitwise_xor/2": "xor($1, $2)",
    "bitwise_not/1": "~ $1",
    "bitwise_left_shift/2": "$1 << $2",
    "bitwise_right_shift/2": "$1 >> $2",
    "bit_count/2": "bit_count(CAST($1 AS BIGINT))",
    # text
    "strpos/3": "__position(string_split($1, $2), $2, $3)",
    "split/2": "string_split($1, $2)",
    "split/3": "__split_limit(string_split($1, $2), $2, $3)",
    "split_to_map/3": "map_from_entries(__pairs(string_split($1, $2), $3))",
    "substr/2": "substring($1, $2)",
    "substr/3": "substring($1, $2, $3)",
    "replace/2": "replace($1, $2, '')",
    "codepoint/1": "unicode($1)",
    "concat_ws": "concat_ws($*)",
    "format": "printf($*)",
    "levenshtein_distance/2": "levenshtein($1, $2)",
    "hamming_distance/2": "hamming($1, $2)",
    "normalize/1": "nfc_normalize($1)",
    "reverse/1": "__reverse($1)",
    "to_utf8/1": "encode($1)",
    "from_utf8/1": "decode($1)",
    "to_hex/1": "hex($1)",
    "from_hex/1": "unhex($1)",
    "md5/1": "unhex(md5($1))",
    "sha1/1": "unhex(sha1($1))",
    "sha256/1": "unhex(sha256($1))",
    "url_encode/1": "replace(url_encode($1), '%20', '+')",
    "url_decode/1": "url_decode(replace($1, '+', ' '))",
    "url_extract_protocol/1": _url_part(2),
    "url_extract_host/1": f"nullif(regexp_extract({_url_part(4)},"
    r" '^(?:.*@)?(\[[^\]]*\]|[^:]*)', 1), '')",
    "url_extract_port/1": f"TRY_CAST(regexp_extract({_url_part(4)}, ':([0-9]+)$', 1) AS BIGINT)",
    "url_extract_path/1": f"coalesce({_url_part(5)}, '')",
    "url_extract_query/1": _url_part(7),
    "url_extract_fragment/1": _url_part(9),
    "url_extract_parameter/2": f"__url_parameter({_url_part(7)}, $2)",
    # regular expressions
    "regexp_like/2": "regexp_matches($1, $2)",
    "regexp_extract/2": "CASE WHEN regexp_matches($1, $2) THEN regexp_extract($1, $2) END",
    "regexp_extract/3": "CASE WHEN regexp_matches($1, $2) THEN regexp_extract($1, $2, $3) END",
    "regexp_replace/2": "regexp_replace($1, $2, '', 'g')",
    "regexp_split/2": "string_split_regex($1, $2)",
    "regexp_count/2": "len(regexp_extract_all($1, $2))",
    "regexp_position/2": "CASE WHEN regexp_matches($1, $2)"
    " THEN length(string_split_regex($1, $2)[1]) + 1 ELSE -1 END",
    # JSON. Text that is no JSON gives NULL, so each reading stands in TRY.
    "json_array_contains/2": "TRY(json_contains($1, CAST(to_json($2) AS VARCHAR)))",
    "json_array_get/2": "TRY(json_extract($1, concat('$[', $2, ']')))",
    "json_array_length/1": "TRY(json_array_length($1))",
    "json_size/2": "TRY(__json_size(json_extract($1, $2)))",
    "json_parse/1": "CAST($1 AS JSON)",
    "json_format/1": "CAST($1 AS VARCHAR)",
    "is_json_scalar/1": "json_type($1) NOT IN ('OBJECT', 'ARRAY')",
    # arrays and maps
    "cardinality/1": "len($1)",
    "array_distinct/1": "list_distinct($1)",
    "array_sort/1": "list_sort($1)",
    "array_max/1": "list_max($1)",
    "array_min/1": "list_min($1)",
    "array_sum/1": "list_sum($1)",
    "array_average/1": "list_avg($1)",
    "array_join/2": "array_to_string($1, $2)",
    "array_join/3": "array_to_string(list_transform($1,"
    " LAMBDA item: coalesce(CAST(item AS VARCHAR), $3)), $2)",
    "array_position/2": "coalesce(list_position($1, $2), 0)",
    "array_remove/2": "list_filter($1, LAMBDA item: item <> $2)",
    "array_union/2": "list_distinct(list_concat($1, $2))",
    "array_intersect/2": "list_intersect($1, $2)",
    "array_except/2": "list_filter(list_distinct($1), LAMBDA item: NOT list_contains($2, item))",
    "arrays_overlap/2": "list_has_any($1, $2)",
    "contains/2": "list_contains($1, $2)",
    "filter/2": "list_filter($1, $2)",
    "transform/2": "list_transform($1, $2)",
    "any_match/2": "len(list_filter($1, $2)) > 0",
    "all_match/2": "len(list_filter($1, $2)) = len($1)",
    "none_match/2": "len(list_filter($1, $2)) = 0",
    "flatten/1": "flatten($1)",
    "sequence": "__sequence($*)",
    "slice/3": "list_slice($1, $2, $2 + $3 - 1)",
    "trim_array/2": "list_slice($1, 1, len($1) - $2)",
    "repeat/2": "list_transform(range(__repeat_count($2)), LAMBDA i: $1)",
    "ngrams/2": "list_transform(range(1, len($1) - $2 + 2), LAMBDA i:"
    " list_slice($1, i, i + $2 - 1))",
    "zip": "list_zip($*)",
    "map_concat": "map_concat($*)",
    "map_agg/2": "__first_keys(list(struct_pack(k := $1, v := $2)))",
    "map_entries/1": "map_entries($1)",
    # aggregates
    "approx_distinct/1": "approx_count_distinct($1)",
    "approx_distinct/2": "approx_count_distinct($1)",
    "approx_percentile/2": "approx_quantile($1, $2)",
    "arbitrary/1": "any_value($1)",
    "any_value/1": "any_value($1)",
    "count_if/1": "count_if($1)",
    "every/1": "bool_and($1)",
    "geometric_mean/1": "exp(avg(ln($1)))",
    "max_by": "arg_max($*)",
    "min_by": "arg_min($*)",
    "bitwise_and_agg/1": "bit_and($1)",
    "bitwise_or_agg/1": "bit_or($1)",
    "typeof/1": "__typeof(typeof($1))",
}

# The same name and meaning in both; sqlglot needs no word about them either.
_SAME = """
    cbrt abs acos array_agg asin atan atan2 avg bool_and bool_or ceil chr coalesce concat corr
    cos cosh count covar_pop covar_samp cume_dist current_date current_time
    current_timestamp date_part day degrees dense_rank exp first_value floor from_base64
    greatest grouping histogram hour if kurtosis lag last_value lead least length listagg
    ln localtime localtimestamp log10 log2 lower lpad ltrim map map_from_entries map_keys
    map_values max min minute month nth_value ntile nullif percent_rank pi quarter radians
    random rank regr_intercept regr_slope replace round row row_number rpad rtrim second
    sign sin sinh skewness split_part sqrt starts_with stddev stddev_pop stddev_samp strpos
    substring sum tan tanh to_base64 translate trim try upper uuid var_pop var_samp
    variance year
"""
SAME = frozenset(_SAME.split())
