"""Is every state file a database? Asked before any room opens its own."""

import contextlib
import sqlite3
from pathlib import Path

from lakelet.model.errors import LakeletError, Outcome

# What a fresh start finds again, or forgets, without the file.
_WITHOUT_IT = {
    "catalog.sqlite": "tables are found again by a crawl, what was made by hand is not",
    "ingest.sqlite": "the records on disk are safe, the counts of what was accepted are not",
    "ledger.sqlite": "it is built again from the manifests",
    "queries.sqlite": "results stay, the history of queries is forgotten",
    "queue.sqlite": "what waits is found from the raw zone",
}


class StateDamaged(LakeletError):
    code = "node.state_damaged"
    outcome = Outcome.NEVER


def check_state(folder: Path) -> None:
    """Open each `*.sqlite` under `folder` and read its schema: under a millisecond each.

    A page that is damaged further inside shows when it is read.

    Raises:
        StateDamaged, naming the file and what starting without it costs.
    """
    for path in sorted(folder.rglob("*.sqlite")):
        try:
            with contextlib.closing(sqlite3.connect(path)) as database:
                database.execute("SELECT count(*) FROM sqlite_master").fetchone()
                database.execute("PRAGMA journal_mode").fetchone()
        except sqlite3.OperationalError:
            continue  # locked, or not ours to write: its room tells that better
        except sqlite3.DatabaseError as error:
            cost = _WITHOUT_IT.get(path.name, "what it holds is history, no event")
            raise StateDamaged(
                f"{path} is damaged: {error}.",
                hint="Put it back from a copy, or move it away together with its -wal and -shm, "
                f"and start again: {cost}.",
            ) from error
