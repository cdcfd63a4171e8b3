"""Personal data stops here: by field, by name at any depth, and by what a value looks like."""

import fnmatch
import hmac
import ipaddress
import re
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lakelet.model.contract import Contract, Keyring, Personal
from lakelet.model.errors import LakeletError
from lakelet.model.jsontext import dumps

MASK = "***"

# An address, plain or URL-encoded any number of times over. Escapes of JSON text
# are taken whole, so that masking inside `properties` leaves it valid JSON.
_LOCAL = r"""(?:[0-9A-Za-z_.%+'~!#$*-]|[^\x00-\x7f]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))+"""
_AT = r"(?:@|%(?:25)*40)"
_ENCODED_AT = re.compile(rb"%(?:25)*40")
_LABEL = r"(?:[0-9A-Za-z_-]|[^\x00-\x7f])+"
_DOT = r"(?:\.|%(?:25)*2[Ee])"
EMAIL = f"{_LOCAL}{_AT}{_LABEL}(?:{_DOT}{_LABEL})+"


class KeyMissing(LakeletError):
    """The contract pseudonymises, and nobody gave the key."""

    code = "transform.key_missing"


class Pseudonyms:
    """`hash`: the same value, the same pseudonym, while the key lives."""

    def __init__(self, contract: Contract, keyring: Keyring | None) -> None:
        if contract.needs_key and keyring is None:
            raise KeyMissing(
                'The contract pseudonymises fields (`personal = "hash"`), but no key was given.',
                hint="Give a keyring: LAKELET_HASH_KEYS, or the key file the node keeps.",
            )
        self._key_id = keyring.current if keyring else ""
        self._secret = keyring.secret if keyring else b""

    def hash(self, text: str) -> str:
        """`<key id>:<64 hex digits>`: HMAC-SHA-256, so that a rotation can be told."""
        message = text.encode("utf-8", "surrogatepass")
        return f"{self._key_id}:{hmac.digest(self._secret, message, 'sha256').hex()}"

    def apply(self, rule: Personal, text: str) -> str | None:
        if rule == "hash":
            return self.hash(text)
        return truncate(text) if rule == "truncate" else MASK

    def column(self, rule: Personal, values: pa.Array) -> pa.Array:
        """A column under a rule: each distinct value is worked out once."""
        encoded = pc.cast(values, pa.string()).dictionary_encode()
        told = [self.apply(rule, text) for text in encoded.dictionary.to_pylist()]
        return pc.take(pa.array(told, pa.string()), encoded.indices)


def truncate(text: str) -> str | None:
    """The network of an address: IPv4 /24, IPv6 /48. None where it is no address."""
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    prefix = 24 if address.version == 4 else 48
    host = text.strip().partition("%")[0]  # an IPv6 zone is the sender's own business
    return str(ipaddress.ip_network(f"{host}/{prefix}", strict=False).network_address)


def mask_emails(values: pa.Array) -> pa.Array:
    """Text with every email address in it replaced by `***`."""
    suspects = _with_at_signs(values)
    if suspects is None or not pc.any(suspects).as_py():
        return values
    masked = pc.replace_substring_regex(pc.filter(values, suspects), EMAIL, MASK)
    return pc.replace_with_mask(values, suspects, masked)


def _with_at_signs(values: pa.Array) -> pa.Array | None:
    """bool, n; None: none at all.

    The column's text is asked as a whole first, which takes a tenth of asking each value.
    Where two values meet, or under a null, there may be a false alarm: no more.
    """
    buffer = values.buffers()[2]
    text = b"" if buffer is None else buffer.to_pybytes()
    if b"%" in text and _ENCODED_AT.search(text):
        return pc.fill_null(pc.match_substring_regex(values, _AT), False)
    if b"@" in text:
        return pc.fill_null(pc.match_substring(values, "@"), False)
    return None


class NameRules:
    """What a name says about its value, wherever in an event it stands."""

    def __init__(self, contract: Contract, pseudonyms: Pseudonyms) -> None:
        self._pseudonyms = pseudonyms
        self._globs = [(glob.lower(), rule) for glob, rule in contract.field_patterns]
        self._rules: dict[str, Personal] = {
            f.path[-1].lower(): f.personal for t in contract.tables for f in t.fields if f.personal
        }
        self._known: dict[str, Personal] = {}

    def rule(self, name: str) -> Personal:
        if (rule := self._known.get(name)) is None:
            if len(self._known) > 10_000:  # strangers' names are endless
                self._known.clear()
            rule = self._known[name] = self._find(name.lower())
        return rule

    def _find(self, name: str) -> Personal:
        if name in self._rules:
            return self._rules[name]
        for glob, rule in self._globs:
            if fnmatch.fnmatchcase(name, glob):
                return rule
        return ""

    def scrub(self, value: Any) -> Any:
        """An undeclared value without what its names call personal."""
        if type(value) is dict:
            kept = {}
            for name, inner in value.items():
                rule = self.rule(name)
                if not rule:
                    kept[name] = self.scrub(inner)
                elif rule != "drop" and inner is not None:
                    kept[name] = self._replaced(rule, inner)
            return kept
        if type(value) is list:
            return [self.scrub(inner) for inner in value]
        return value

    def _replaced(self, rule: Personal, value: Any) -> str | None:
        text = value if isinstance(value, str) else dumps(value)
        return self._pseudonyms.apply(rule, str(text))
