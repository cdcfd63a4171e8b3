"""What a real Java 17 answers, and the table of it: `python -m tests.ingest.java_time` records."""

import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import pytest

TABLE = Path(__file__).with_name("java_time.tsv")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
COUNT_MAX = 21  # two more than any bound but `Y`, which has none

# All of a kind stand in one pattern, so that a row of the table is an instant seen one way.
WRITTEN = (
    "y yy yyy yyyy yyyyy|u uu uuuu uuuuu|YY Y YYY YYYY YYYYY|G GG GGG GGGG GGGGG",
    "M MM MMM MMMM MMMMM|L LL LLL LLLL LLLLL|Q QQ QQQ QQQQ QQQQQ|q qq qqq qqqq qqqqq",
    "YYYY/ww|w W F|D DD DDD|d dd|g gggggg|E EE EEE EEEE EEEEE|e ee eee eeee eeeee|c ccc cccc ccccc",
    "h hh K KK k kk H HH|m mm s ss|a|B BBBB BBBBB",
    "S SSS SSSSSS SSSSSSSSS|n nnnnnnnnnn|A AAAAAAAAA|N NNNNNNNNNNNNNNN",
    "VV|X XX XXX XXXX XXXXX|x xx xxx xxxx xxxxx|Z ZZ ZZZ ZZZZ ZZZZZ|O OOOO",
    "'it''s' ''yyyy''|[yyyy][-[MM]-]dd [|pppd ppppH pppppppppMMM|'year'_!\"<é",
)
INSTANTS = {
    "UTC": (
        "2022-01-01T00:00:00Z",  # a Saturday, alone in its week
        "2023-01-01T12:00:00Z",  # a Sunday
        "2024-02-29T12:00:59.999999Z",
        "2024-12-31T23:59:59.999999Z",
        "2026-03-09T14:05:07.123456Z",
        "2026-12-26T06:00:00.000001Z",
        "2026-12-27T00:30:00Z",  # the week of the next year's first day
        "2028-12-31T21:00:00Z",
    ),
    "America/New_York": (
        "2026-03-08T06:59:59Z", "2026-03-08T07:00:00Z",  # one hour is left out
        "2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z",  # and one comes twice
    ),
    "Europe/Vienna": ("2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-12-31T23:00:00Z"),
    "Asia/Kolkata": ("2026-06-30T18:30:00Z",),  # a month begins
    "Asia/Kathmandu": ("2025-12-31T18:15:00Z",),
    "America/St_Johns": ("2026-01-01T03:29:59Z",),
    "Australia/Lord_Howe": ("2026-01-15T00:00:00Z", "2026-07-15T00:00:00Z"),  # half an hour apart
    "Pacific/Chatham": ("2026-01-15T00:00:00Z",),
    "Pacific/Kiritimati": ("2026-12-26T10:00:00Z",),
    "Africa/Monrovia": ("1960-06-01T00:00:00Z",),  # seconds off
}  # fmt: skip
NAMED = {
    "UTC": ("z zz zzz zzzz", *INSTANTS["UTC"][:1]),
    "Etc/UTC": ("z zzzz", "2026-07-15T12:00:00Z"),
    "Africa/Accra": ("z zzzz", "2026-07-15T12:00:00Z"),
    "Europe/London": ("z", "2026-01-15T12:00:00Z", "2026-07-15T12:00:00Z"),
    "America/New_York": ("z", "2026-01-15T12:00:00Z", "2026-07-15T12:00:00Z"),
    "Asia/Kolkata": ("z", "2026-01-15T12:00:00Z"),
}
REFUSED = (
    "yyyy{", "}", "yyyy#MM", "yyyy]", "[yyyy]]", "p", "pp", "yyyy-pp", "pp'x'", "pp[yyyy]", "pp-d",
    "'open", "yyyy'", "'''", "year=yyyy",
)  # fmt: skip


class Asked(NamedTuple):
    zone: str
    instant: str
    pattern: str


class Answer(NamedTuple):
    outcome: str  # text; pattern: refused; thrown: Java fails otherwise
    text: str


def need_java() -> str:
    """The `java` of a JDK 17: Java's text changes with its version."""
    java, compiler = shutil.which("java"), shutil.which("javac")
    if not java or not compiler:
        pytest.skip("no JDK is here to compare with: apt-get install openjdk-17-jdk-headless")
    version = java_version(java)
    if not version.startswith("17."):
        pytest.skip(f"the patterns are Java 17's, and this is Java {version}")
    return java


def java_version(java: str) -> str:
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=True)
    return answer.stderr.split('"')[1]


def ask(java: str, asked: Iterable[Asked]) -> list[Answer]:
    """One JVM answers them all, from the source file."""
    source = Path(__file__).with_name("JavaTime.java")
    lines = "".join("\t".join(each) + "\n" for each in asked)
    ran = subprocess.run(
        [java, "-XX:TieredStopAtLevel=1", str(source)],
        input=lines.encode(),
        capture_output=True,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    return [Answer(*line.split("\t")) for line in ran.stdout.decode().split("\n")[:-1]]


def table_rows(java: str) -> list[Sequence[str]]:
    """`counts`: a letter, how often it may stand in a row. `refused`: a pattern.
    `text`: zone, instant, pattern, what is written."""
    anywhere = ("UTC", "2026-03-09T14:05:07Z")
    runs = [Asked(*anywhere, c * n) for c in LETTERS for n in range(1, COUNT_MAX + 1)]
    taken = [
        asked.pattern
        for asked, answer in zip(runs, ask(java, runs), strict=True)
        if answer.outcome == "text"
    ]
    rows: list[Sequence[str]] = [
        ("counts", letter, " ".join(str(len(run)) for run in each))
        for letter, each in groupby(taken, lambda run: run[0])
    ]
    written = [
        Asked(zone, instant, pattern)
        for zone, instants in INSTANTS.items()
        for instant in instants
        for pattern in WRITTEN
    ]
    written += [
        Asked(zone, instant, pattern)
        for zone, (pattern, *instants) in NAMED.items()
        for instant in instants
    ]
    refused = [Asked(*anywhere, pattern) for pattern in REFUSED]
    assert {answer.outcome for answer in ask(java, refused)} == {"pattern"}
    rows += [("refused", pattern) for pattern in REFUSED]
    for asked, answer in zip(written, ask(java, written), strict=True):
        assert answer.outcome == "text", asked
        rows.append(("text", *asked, answer.text))
    return rows


def recorded() -> list[list[str]]:
    lines = TABLE.read_text("utf-8").splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


def instant_of(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _record() -> None:
    java = need_java()
    today = datetime.now(UTC).date()
    lines = [f"# Written by Java {java_version(java)}, {today}, by {__spec__.name}; not by hand."]
    lines += ["\t".join(row) for row in table_rows(java)]
    TABLE.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(_record())
