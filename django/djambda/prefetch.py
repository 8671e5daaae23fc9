"""Fetch values over the network while Django is still importing.

A cold start is mostly imports, which do not need the network. The secrets are fetched before the
first of them, the manifest of the static files when the settings are loaded.
"""

from collections.abc import Callable
from threading import Thread


class PrefetchedValue[T]:
    """The result of `fetch()`, which a thread calls at once; calling this object waits for it.

    If the thread's fetch fails, each call fetches again and raises its own error. So a function
    recovers from a short outage during its cold start.
    """

    def __init__(self, fetch: Callable[[], T]) -> None:
        self._fetch = fetch
        self._values: list[T] = []
        self._thread = Thread(target=self._prefetch, name="prefetch", daemon=True)
        self._thread.start()

    def __call__(self) -> T:
        self._thread.join()
        if not self._values:
            self._values.append(self._fetch())
        return self._values[0]

    def _prefetch(self) -> None:
        try:
            self._values.append(self._fetch())
        except Exception:  # noqa: BLE001 (raised again when the value is needed)
            return
