"""Fetching over the network while Django is still importing.

A cold start is mostly imports, and importing does not wait for the network. What the first request
will need from AWS is asked for by `djambda.aws` when the settings are read, and is there by then.
"""

from collections.abc import Callable
from threading import Thread


class Prefetched[T]:
    """What `fetch()` returns, fetched at once by a thread; calling this object waits for it.

    A fetch that failed in the thread is tried again by whoever needs the value, and that error is
    theirs: a function that met a short outage at its cold start recovers by itself.
    """

    def __init__(self, fetch: Callable[[], T]) -> None:
        self._fetch = fetch
        self._fetched: list[T] = []
        self._thread = Thread(target=self._prefetch, name="prefetch", daemon=True)
        self._thread.start()

    def __call__(self) -> T:
        self._thread.join()
        if not self._fetched:
            self._fetched.append(self._fetch())
        return self._fetched[0]

    def _prefetch(self) -> None:
        try:
            self._fetched.append(self._fetch())
        except Exception:  # noqa: BLE001 (it comes again where the value is needed)
            return
