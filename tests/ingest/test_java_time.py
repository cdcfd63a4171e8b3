"""Java's date patterns: what a real Java wrote, recorded; and asked anew where one is here."""

import random
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from lakelet.ingest.java_time import PatternError, check_pattern, format_instant
from tests.ingest.java_time import (
    COUNT_MAX,
    INSTANTS,
    LETTERS,
    Asked,
    ask,
    instant_of,
    need_java,
    recorded,
    table_rows,
)

AT = datetime(2026, 3, 9, 14, 5, 7, 123456, UTC)
KATHMANDU = ZoneInfo("Asia/Kathmandu")


def rows(kind: str) -> list[list[str]]:
    found = [row[1:] for row in recorded() if row[0] == kind]
    assert found, f"the table has no {kind!r}"
    return found


def is_taken(pattern: str, zone=UTC) -> bool:
    try:
        check_pattern(pattern, zone)
    except PatternError:
        return False
    return True


def test_instants_are_written_as_java_wrote_them() -> None:
    for zone, instant, pattern, text in rows("text"):
        check_pattern(pattern, ZoneInfo(zone))
        at = instant_of(instant).astimezone(ZoneInfo(zone))
        assert (zone, instant, format_instant(at, pattern)) == (zone, instant, text)


def test_letters_stand_as_often_in_a_row_as_java_lets_them() -> None:
    java = {letter: {int(count) for count in counts.split()} for letter, counts in rows("counts")}
    del java["v"]  # a zone's name in general: not offered
    for letter in "yuY":  # from 11 letters on Java throws, and from 19 it writes again
        java[letter] = {count for count in java[letter] if count <= 10}
    ours = {
        letter: {count for count in range(1, COUNT_MAX + 1) if is_taken(letter * count)}
        for letter in LETTERS
    }
    assert {letter: counts for letter, counts in ours.items() if counts} == java


@pytest.mark.parametrize(("pattern",), rows("refused"))
def test_patterns_that_java_refused(pattern) -> None:
    assert not is_taken(pattern)


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("DDDD", "'D' stands 4 times in a row; allowed: 1 to 3"),
        ("yyyy/cc", "'c' stands 2 times in a row; allowed: 1 or 3 or 4 or 5"),
        ("WW", "'W' stands 2 times in a row; allowed: 1$"),
        ("year=yyyy", "'r' is not a letter"),
        ("yyyy#", "'#' is reserved"),
        ("yyyy]", "a ']' that no '\\[' opened"),
        ("yyyy'", "a quote that is never closed"),
        ("yyyy-pp", "'p' pads the letter after it"),
    ],
)
def test_a_refusal_names_the_letter_and_what_is_allowed(pattern, says) -> None:
    with pytest.raises(PatternError, match=says):
        check_pattern(pattern, UTC)


@pytest.mark.parametrize(
    ("pattern", "zone"),
    [
        ("z", "Asia/Kathmandu"),  # NPT; the time zone database has +0545
        ("z", "America/Adak"),  # HAST; it has HST
        ("zzzz", "Europe/Vienna"),
        ("zzzz", "Europe/London"),  # Greenwich Mean Time is half its year
    ],
)
def test_names_that_would_be_guessed_are_refused(pattern, zone) -> None:
    with pytest.raises(PatternError, match=f"'{pattern}' is Java's own name for {zone}'s time"):
        check_pattern(pattern, ZoneInfo(zone))


def test_what_only_delivery_could_find_is_written() -> None:
    """A record was acknowledged: no pattern may keep it from being delivered."""
    assert format_instant(AT, "pyyyy") == "2026"  # Java throws: wider than its pad
    assert format_instant(AT, "DDDD HHH [MMMMMM] #") == "0068 014 Mar #"  # once taken
    assert format_instant(AT.astimezone(KATHMANDU), "zzzz") == "+0545"


# --- with a Java ----------------------------------------------------------------------


def test_the_table_is_what_java_writes() -> None:
    assert [list(row) for row in table_rows(need_java())] == recorded()


def test_any_pattern_is_what_java_makes_of_it() -> None:
    java, seed = need_java(), random.randrange(1 << 32)
    chance = random.Random(seed)
    asked = [
        Asked(_any_zone(chance), _any_instant(chance), _any_pattern(chance)) for _ in range(20_000)
    ]
    outcomes = dict.fromkeys(("text", "pattern", "thrown"), 0)
    for each, (outcome, text) in zip(asked, ask(java, asked), strict=True):
        zone = ZoneInfo(each.zone)
        outcomes[outcome] += 1
        if outcome == "pattern":
            assert not is_taken(each.pattern, zone), (seed, each)
        if outcome == "text" and not re.search(r"([yuY])\1{18}", each.pattern):
            assert is_taken(each.pattern, zone), (seed, each)
            at = instant_of(each.instant).astimezone(zone)
            assert format_instant(at, each.pattern) == text, (seed, each)
    assert min(outcomes.values()) > 50, outcomes  # each is met, so each was compared


def _any_zone(chance: random.Random) -> str:
    return chance.choice(list(INSTANTS))


def _any_instant(chance: random.Random) -> str:
    """In years that no time zone database of today changes any more, or hardly."""
    second = chance.randrange(946_684_800, 1_767_225_600)  # 2000 to 2025
    if chance.random() < 0.3:
        second -= second % 43_200  # noon and midnight
    at = datetime.fromtimestamp(second, UTC) + timedelta(microseconds=chance.choice((0, 1, 999999)))
    return at.isoformat().replace("+00:00", "Z")


def _any_pattern(chance: random.Random) -> str:
    return "".join(_any_piece(chance) for _ in range(chance.randint(1, 5)))


def _any_piece(chance: random.Random) -> str:
    kind = chance.random()
    if kind < 0.1:
        return chance.choice(("''", "'a''b'", "'[p'", "'", "[", "]", "{", "}", "#"))
    if kind < 0.3:
        return chance.choice(("/", "-", " ", "[", "[[", "]", "]]", "é", "0"))
    # Names of zones are the table's: Java's are its own. Counts are mostly those that are taken.
    letter = chance.choice("GyuYDMLdgQqwWEecFaBhKkHmsSnANVOXxZ")
    pad = "p" * chance.choice((0, 0, 0, 0, 2, 12))
    return pad + letter * chance.choice((1, 1, 1, 2, 2, 3, 4, 5, 6, 10, 12))
