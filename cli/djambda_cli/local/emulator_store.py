"""Keep on disk what the emulator's saved state lacks if it is killed: what still has to be done.

The emulator saves its state only when it stops. An event, a message or a task for later that it has
accepted must not depend on that, as on AWS. SQLite writes each change completely or not at all.

It runs with the emulator's interpreter and imports nothing of djambda.
"""

import json
import sqlite3
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

FILE = "waiting.sqlite3"
"""In the cloud's folder."""


class Store:
    """Values by kind and key, in the order in which they were added. `is_new`: none was ever kept.

    Values are JSON; `default` and `object_hook` are those of the module `json`.
    """

    def __init__(
        self,
        file: Path,
        *,
        default: Callable[[Any], Any] | None = None,
        object_hook: Callable[[dict[str, Any]], Any] | None = None,
    ) -> None:
        self.is_new = not file.exists()
        self._default = default
        self._object_hook = object_hook
        self._lock = threading.RLock()
        self._database = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS waiting "
            "(number INTEGER PRIMARY KEY, kind TEXT, key TEXT, value TEXT, UNIQUE (kind, key))"
        )
        self._keys: dict[str, set[str]] = {}

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def load(self, kind: str) -> dict[str, Any]:
        """Return all values of a kind."""
        with self._lock:
            rows = self._database.execute(
                "SELECT key, value FROM waiting WHERE kind = ? ORDER BY number", [kind]
            ).fetchall()
        return {key: json.loads(value, object_hook=self._object_hook) for key, value in rows}

    def put(self, kind: str, key: str, value: Any) -> None:
        """Add or replace a value. Raises `sqlite3.Error`, for example if the disk is full."""
        text = json.dumps(value, default=self._default)
        with self._lock:
            self._database.execute(
                "INSERT INTO waiting (kind, key, value) VALUES (?, ?, ?) "
                "ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value",
                [kind, key, text],
            )

    def delete(self, kind: str, key: str) -> None:
        """Delete a value, if there is one. Raises `sqlite3.Error`."""
        with self._lock:
            self._database.execute("DELETE FROM waiting WHERE kind = ? AND key = ?", [kind, key])

    def synchronize(self, kind: str, present: Callable[[], Mapping[str, Any]]) -> None:
        """Add what is present and new, and delete what is no longer present.

        Values with a known key are not replaced. Raises `sqlite3.Error`.
        """
        with self._lock:  # Not before the lock: another thread could write a newer state first.
            values = present()
            if kind not in self._keys:
                self._keys[kind] = set(self.load(kind))
            known = self._keys[kind]
            for key in [key for key in values if key not in known]:
                self.put(kind, key, values[key])
                known.add(key)
            for key in known - values.keys():
                self.delete(kind, key)
                known.discard(key)
