"""Walking over a statement's tokens, for the grammar that Hive's DDL is."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sqlglot.dialects.hive import Hive
from sqlglot.dialects.trino import Trino
from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import Token, TokenType

from lakelet.query.errors import QueryFailed


class _HiveTokenizer(Hive.Tokenizer):
    # sqlglot takes what follows SHOW, EXECUTE … as one piece of text; here it is words.
    COMMANDS: ClassVar[set[TokenType]] = set()


class _TrinoTokenizer(Trino.Tokenizer):
    COMMANDS: ClassVar[set[TokenType]] = set()


_TOKENIZERS = {"hive": (Hive, _HiveTokenizer), "trino": (Trino, _TrinoTokenizer)}


@dataclass(frozen=True, slots=True)
class Word:
    text: str
    start: int  # of its first letter in the statement, quotes included
    end: int  # of its last
    line: int
    column: int


def _split(token: Token, sql: str) -> Iterator[Word]:
    """sqlglot joins some keywords (`PARTITIONED BY`); here each word stands alone."""
    column = max(1, token.col - (token.end - token.start))
    source = sql[token.start : token.end + 1]
    if token.token_type in _QUOTED or len(source.split()) < 2:
        yield Word(token.text, token.start, token.end, token.line, column)
        return
    for found in re.finditer(r"\S+", source):
        start = token.start + found.start()
        yield Word(found[0], start, token.start + found.end() - 1, token.line, column)


_QUOTED = frozenset((TokenType.STRING, TokenType.IDENTIFIER))


@dataclass
class Words:
    """A cursor over tokens; keywords are compared without case."""

    sql: str
    dialect: str = "hive"
    tokens: list[Word] = field(init=False)
    at: int = 0

    def __post_init__(self) -> None:
        try:
            dialect, tokenizer = _TOKENIZERS[self.dialect]
            found = [
                word
                for token in tokenizer(dialect=dialect).tokenize(self.sql)
                for word in _split(token, self.sql)
            ]
        except TokenError as error:
            raise QueryFailed("SYNTAX_ERROR", str(error).split("\n", 1)[0]) from error
        while found and found[-1].text == ";":
            found.pop()
        self.tokens = found

    @property
    def word(self) -> str:
        """The next token in upper case; "" at the end."""
        return self.tokens[self.at].text.upper() if self.at < len(self.tokens) else ""

    def peek(self, *words: str) -> bool:
        """Whether the next tokens are these."""
        following = self.tokens[self.at : self.at + len(words)]
        return [token.text.upper() for token in following] == list(words)

    def skip(self, *words: str) -> bool:
        """Pass over these words if they come next."""
        if not self.peek(*words):
            return False
        self.at += len(words)
        return True

    def want(self, *words: str) -> None:
        for word in words:
            if not self.skip(word):
                raise self.error(f"Expecting: {word}")

    def name(self) -> str:
        """An identifier, quoted or not, in lower case."""
        return self.take("a name").lower()

    def text(self) -> str:
        """A quoted string's content."""
        return self.take("a string")

    def take(self, what: str) -> str:
        if self.at >= len(self.tokens):
            raise self.error(f"Expecting: {what}")
        self.at += 1
        return self.tokens[self.at - 1].text

    def table(self) -> tuple[str | None, str]:
        """`[database.]name`; a catalog before them is passed over."""
        parts = [self.name()]
        while self.skip("."):
            parts.append(self.name())
        return (parts[-2] if len(parts) > 1 else None), parts[-1]

    def rest(self) -> str:
        """The statement's text from here to its end."""
        if self.at >= len(self.tokens):
            raise self.error("Expecting: a query")
        start = self.tokens[self.at].start
        self.at = len(self.tokens)
        return self.sql[start : self.tokens[-1].end + 1]

    def slice(self, first: int, end: int) -> str:
        """The text of tokens [first, end)."""
        if end <= first:
            return ""
        return self.sql[self.tokens[first].start : self.tokens[end - 1].end + 1]

    def parenthesised(self) -> str:
        """The text between the next parenthesis and its partner; both are passed over."""
        self.want("(")
        first, depth = self.at, 1
        while depth:
            word = self.take(")")
            depth += (word == "(") - (word == ")")
        return self.slice(first, self.at - 1)

    def properties(self) -> dict[str, str]:
        """`('key' = 'value', …)`."""
        found: dict[str, str] = {}
        self.want("(")
        while not self.skip(")"):
            if found:
                self.want(",")
            key = self.text()
            self.want("=")
            found[key] = self.text()
        return found

    def values(self) -> dict[str, Any]:
        """`(format = 'PARQUET', partitioned_by = ARRAY['a', 'b'])`, values as Python's."""
        found: dict[str, Any] = {}
        self.want("(")
        while not self.skip(")"):
            if found:
                self.want(",")
            key = self.name()
            self.want("=")
            found[key] = self._value()
        return found

    def _value(self) -> Any:
        if self.skip("ARRAY"):
            self.want("[")
            items: list[Any] = []
            while not self.skip("]"):
                if items:
                    self.want(",")
                items.append(self._value())
            return items
        if self.word in ("TRUE", "FALSE"):
            return self.take("a value").upper() == "TRUE"
        text = self.take("a value")
        return int(text) if text.isdigit() else text

    def end(self) -> None:
        if self.at < len(self.tokens):
            raise self.error("")

    def error(self, expecting: str) -> QueryFailed:
        if self.at >= len(self.tokens):
            lines = self.sql.rstrip().split("\n")
            line, column, found = len(lines), len(lines[-1]) + 1, "<EOF>"
        else:
            token = self.tokens[self.at]
            line, column, found = token.line, token.column, token.text
        message = f"mismatched input '{found}'." + (f" {expecting}" if expecting else "")
        return QueryFailed("SYNTAX_ERROR", message, line=line, column=column)
