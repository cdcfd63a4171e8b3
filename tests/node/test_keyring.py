"""The keyring on this machine: made once, private, from the environment where given."""

import json
import stat
from dataclasses import replace

import pytest

from lakelet.contract import load_declaration
from lakelet.model.errors import DeclarationError
from lakelet.node.keyring import VARIABLE, local_keyring

PLAIN = load_declaration(None).contract
HASHED = replace(PLAIN, field_patterns=(("*phone*", "hash"),))


def test_no_secret_is_made_where_none_is_needed(tmp_path):
    assert local_keyring(tmp_path, PLAIN, {}) is None
    assert list(tmp_path.iterdir()) == []


def test_it_is_made_once_and_for_its_owner_alone(tmp_path):
    first = local_keyring(tmp_path, HASHED, {})
    [file] = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert local_keyring(tmp_path, HASHED, {}) == first
    assert len(first.secret) == 64


def test_the_environment_comes_first(tmp_path):
    text = json.dumps({"current": "b", "a": "old", "b": "new"})
    given = local_keyring(tmp_path, HASHED, {VARIABLE: text})
    assert (given.current, given.secret) == ("b", b"new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"current": "x", "a": "b"}', '{"current": "a", "a": ""}', '{"a": 1}']
)
def test_a_broken_keyring_is_refused_without_quoting_it(tmp_path, text):
    with pytest.raises(DeclarationError, match=VARIABLE) as caught:
        local_keyring(tmp_path, HASHED, {VARIABLE: text})
    assert '"b"' not in str(caught.value).replace('"<', "")
