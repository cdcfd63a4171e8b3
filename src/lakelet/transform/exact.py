"""The patient reader: any bytes, one record at a time, with the standard library's JSON.

It defines what an event is; `fast` only takes the common cases off its hands.
"""

from collections.abc import Callable, Iterable
from typing import Any

import pyarrow as pa

from lakelet.model.jsontext import dumps, loads
from lakelet.transform.frame import DEPTH_MAX, RECORD_SIZE_BYTES_MAX, Framer, regions
from lakelet.transform.rows import Flaw, Path, Reject, Rows, parts_of

Scrub = Callable[[Any], Any]


def read_exact(
    block: bytes, spans: Iterable[tuple[int, int]], paths: Iterable[Path], scrub: Scrub
) -> tuple[Rows, list[Reject]]:
    """Every record in the given spans of a block.

    Args:
        spans: stretches that hard boundaries part, in order.
        paths: the fields a contract declares.
        scrub: takes the personal names out of an undeclared value.
    """
    documents: list[dict[str, Any]] = []
    starts: list[int] = []
    ends: list[int] = []
    rejects: list[Reject] = []
    for span_start, span_end in spans:
        for start, end in regions_within(block, span_start, span_end):
            _read_region(block, start, end, documents, starts, ends, rejects)
    return to_rows(documents, starts, ends, paths, scrub), rejects


def regions_within(block: bytes, start: int, end: int) -> Iterable[tuple[int, int]]:
    for region_start, region_end in regions(block[start:end]):
        yield start + region_start, start + region_end


def _read_region(
    block: bytes,
    start: int,
    end: int,
    documents: list[dict[str, Any]],
    starts: list[int],
    ends: list[int],
    rejects: list[Reject],
) -> None:
    text = block[start:end].strip(b" \t\r\n")
    if (document := _whole(text)) is not None:
        start = block.index(b"{", start)
        documents.append(document)
        starts.append(start)
        ends.append(start + len(text))
        return
    framer = Framer(block, start, end)
    for extent in framer:
        problem: Flaw | None = None
        if extent.closed:
            document, problem = _parse(block[extent.start : extent.end])
            if document is not None:
                documents.append(document)
                starts.append(extent.start)
                ends.append(extent.end)
                continue
            if problem is not None and problem.reason == "json":
                extent = framer.retry(extent)
        rejects.append(Reject(extent.start, extent.end, problem or _torn(extent.problem)))


def _whole(text: bytes) -> dict[str, Any] | None:
    """The usual region: one object and nothing else. None: look closer."""
    if not (text.startswith(b"{") and text.endswith(b"}")):
        return None
    if text.count(b"{") + text.count(b"[") > DEPTH_MAX or len(text) > RECORD_SIZE_BYTES_MAX:
        return None
    return _parse(text)[0]


def _parse(text: bytes) -> tuple[dict[str, Any], None] | tuple[None, Flaw]:
    try:
        return loads(text.decode()), None
    except UnicodeDecodeError as error:
        return None, Flaw("encoding", f"not UTF-8 at byte {error.start}: {error.reason}")
    except ValueError as error:
        return None, Flaw("json", f"not JSON: {error}")


def _torn(problem: str) -> Flaw:
    if problem == "too deep":
        return Flaw("too_deep", f"more than {DEPTH_MAX} brackets deep")
    if problem == "too large":
        return Flaw("too_large", f"no end within {RECORD_SIZE_BYTES_MAX} bytes")
    if problem == "not an object":
        return Flaw("json", "not a JSON object")
    return Flaw("json", f"a JSON object that is {problem}")


def to_rows(
    documents: list[dict[str, Any]],
    starts: list[int],
    ends: list[int],
    paths: Iterable[Path],
    scrub: Scrub,
) -> Rows:
    """Documents, column by column; what no path names becomes `extras`."""
    paths = tuple(paths)
    fields = {path: parts_of([_look_up(d, path) for d in documents], scrub) for path in paths}
    plain = frozenset(path[0] for path in paths if len(path) == 1)
    nested = tuple(path for path in paths if len(path) > 1)
    extras = [_extras(document, plain, nested, scrub) for document in documents]
    nulls = [any(_is_null(document, path) for path in nested) for document in documents]
    return Rows(
        len(documents),
        fields,
        lambda: (pa.array(starts, pa.int64()), pa.array(ends, pa.int64())),
        pa.array(extras, pa.string()) if any(extras) else None,
        pa.array(nulls) if any(nulls) else None,
    )


def _look_up(document: Any, path: Path) -> Any:
    if len(path) == 1:
        return document.get(path[0])
    for key in path:
        if type(document) is not dict:
            return None
        document = document.get(key)
    return document


def _is_null(document: Any, path: Path) -> bool:
    """Whether the path leads to a null that somebody wrote."""
    *outer, last = path
    within = _look_up(document, tuple(outer))
    return type(within) is dict and last in within and within[last] is None


def _extras(
    document: dict[str, Any], plain: frozenset[str], nested: tuple[Path, ...], scrub: Scrub
) -> str | None:
    """Undeclared fields as JSON text; a null at the root is nothing."""
    rest = {k: v for k, v in document.items() if v is not None and k not in plain}
    for path in nested:
        rest = _without(rest, path)
    scrubbed = scrub(rest) if rest else rest
    return dumps(scrubbed) if scrubbed else None


def _without(value: dict[str, Any], path: Path) -> dict[str, Any]:
    """`value` less what `path` leads to; objects that this empties go too."""
    key, *deeper = path
    if key not in value:
        return value
    rest = dict(value)
    if not deeper:
        del rest[key]
    elif type(rest[key]) is dict:
        inner = _without(rest[key], tuple(deeper))
        if inner or inner is rest[key]:
            rest[key] = inner
        else:
            del rest[key]
    return rest
