"""The secret behind pseudonyms (`personal = "hash"`), on this machine."""

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from lakelet.model.contract import Contract, Keyring
from lakelet.model.errors import DataFolderError
from lakelet.model.keyring import parse_keyring

VARIABLE = "LAKELET_KEYRING"
FILE_NAME = "keyring.json"
_SECRET_SIZE_BYTES = 32


def local_keyring(
    folder: Path, contract: Contract, variables: Mapping[str, str] = os.environ
) -> Keyring | None:
    """The environment's keyring, else the folder's; one is made where the contract needs it.

    Returns None where no field is hashed. Raises DeclarationError, DataFolderError.
    """
    if not contract.needs_key:
        return None
    if text := variables.get(VARIABLE):
        return parse_keyring(text, f"the variable {VARIABLE}")
    path = folder / FILE_NAME
    try:
        if not path.exists():
            _create(path)
        return parse_keyring(path.read_text("utf-8"), str(path))
    except OSError as error:
        raise DataFolderError(
            f"{path} cannot be used: {error.strerror}",
            hint=f"Make it readable to you, or give the keyring in {VARIABLE}.",
        ) from error


def _create(path: Path) -> None:
    """Whoever comes second finds the first one's: processes may start side by side."""
    keyring = {"current": "k1", "k1": secrets.token_hex(_SECRET_SIZE_BYTES)}
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(keyring, file)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
