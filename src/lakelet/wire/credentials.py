"""The node's own keys: made at its first start, kept where only its user can read them."""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from lakelet.model.errors import DataFolderError

_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


@dataclass(frozen=True, slots=True)
class Credentials:
    """One key pair, in AWS's form. It is its own `CredentialStore`."""

    access_key_id: str
    _secret_access_key: str

    def secret_access_key(self, access_key_id: str) -> str | None:
        return self._secret_access_key if access_key_id == self.access_key_id else None

    @property
    def secret(self) -> str:
        return self._secret_access_key

    def __repr__(self) -> str:  # a secret in a log is a secret no more
        return f"Credentials({self.access_key_id!r}, …)"


def new_credentials() -> Credentials:
    """AKIA and 16 characters, and a secret of 40: the forms that every AWS tool checks."""
    access_key_id = "AKIA" + "".join(secrets.choice(_BASE32) for _ in range(16))
    return Credentials(access_key_id, "".join(secrets.choice(_BASE64) for _ in range(40)))


def load_or_create(path: Path) -> Credentials:
    """The keys in `path`; new ones are made where it is absent, with mode 0600.

    Raises:
        DataFolderError: the file cannot be read, or does not hold two keys.
    """
    try:
        return _load(path)
    except FileNotFoundError:
        return _create(path)


def _load(path: Path) -> Credentials:
    try:
        values = json.loads(path.read_text("utf-8"))
        return Credentials(values["access_key_id"], values["secret_access_key"])
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DataFolderError(
            f"The keys in {path} cannot be read: {error.strerror}.",
            hint="The folder must belong to the user that runs the node.",
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataFolderError(
            f"{path} does not hold a key pair: {error!r}.",
            hint="Put it back from a copy, or move it away: the next start makes new keys.",
        ) from error


def _create(path: Path) -> Credentials:
    """Whole or not at all; whoever comes second reads what the first one made."""
    made = new_credentials()
    values = {"access_key_id": made.access_key_id, "secret_access_key": made.secret}
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(json.dumps(values, indent=1) + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, path)
        finally:
            draft.unlink(missing_ok=True)
    except FileExistsError:
        return _load(path)
    except OSError as error:
        raise DataFolderError(
            f"The keys cannot be written to {path}: {error.strerror}.",
            hint="The folder must be writable by the user that runs the node.",
        ) from error
    return made
