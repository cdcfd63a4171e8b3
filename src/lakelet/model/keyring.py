"""The pseudonyms' keys as text: `{"current": "k2", "k1": "…", "k2": "…"}`.

The same in a file of the data folder, in the environment and in AWS Secrets Manager.
Rotation adds a key and moves `current`; old pseudonyms stay what they were.
"""

import json

from lakelet.model.contract import Keyring
from lakelet.model.errors import DeclarationError


def parse_keyring(text: str, source: str) -> Keyring:
    """Raises DeclarationError, which names `source` and never quotes a key."""
    try:
        values = json.loads(text)
        current = values.pop("current")
        keys = {name: secret.encode() for name, secret in values.items()}
    except (ValueError, KeyError, AttributeError, TypeError):
        raise _refused(source, "is no keyring") from None
    if current not in keys:
        raise _refused(source, f"says that {current!r} is current, and has no such key")
    if not all(keys.values()):
        raise _refused(source, "has an empty key")
    return Keyring(current, keys)


def _refused(source: str, problem: str) -> DeclarationError:
    return DeclarationError(
        f"{source} {problem}",
        hint='A keyring is {"current": "<id>", "<id>": "<secret>", …}.',
    )
