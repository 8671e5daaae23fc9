"""A simulation of a site under load, by discrete events with a fixed seed.

A request passes the API's token bucket and takes one execution of the proxy and one of Django from
the account. It waits for a cold start if no instance of Django is idle, computes, and shares the
database's processor with all others. Arrivals and times are exponentially distributed.
"""

import heapq
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

from awscdk.config import Config

SECONDS = 60
"""The simulated time. No connection ends in it, because sessions may be idle for 60 s."""

COLD_START = 1.0
COMPUTE = 0.1
"""The mean time of a request in Django without the database."""

QUERIES = 0.005
"""The mean processor time of a request's queries."""

CPUS_PER_ACU = 0.25
"""AWS documents 2 GiB of memory for each ACU; its instances have 8 GiB for each vCPU."""

CONNECTIONS = {1: 189, 4: 823, 8: 1669, 16: 2000, 256: 2000}
"""The database's `max_connections` by its maximum ACU, with a minimum of 0.

https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2.setting-capacity.html#aurora-serverless-v2.max-connections
"""

DEFAULTS = Config("app", "environment", "region")
SERVED, THROTTLED, NO_FUNCTION, NO_CONNECTION = "served", "429", "no function", "no connection"


def connections(acu: float) -> int:
    """Return the database's limit of connections, interpolated between the documented ones."""
    for (low, fewer), (high, more) in pairwise(CONNECTIONS.items()):
        if acu <= high:
            return int(fewer + (more - fewer) * (acu - low) / (high - low))
    raise ValueError(f"{acu} ACU are more than Aurora has")


@dataclass(frozen=True)
class Site:
    """A load in requests per second, the account's concurrent executions, and the settings."""

    load: int
    account: int
    settings: dict[str, int] = field(default_factory=dict)

    def setting(self, name: str) -> int:
        """Return a setting, by default djambda's."""
        return int(self.settings.get(name, getattr(DEFAULTS, name.lower())))

    @property
    def requests(self) -> int:
        """The limit of simultaneous requests: each is an execution of the proxy and of Django."""
        reserved = self.settings.get("LAMBDA_CONCURRENCY", self.account)
        return min(reserved, self.account // 2)

    @property
    def connections(self) -> int:
        """The database's limit of connections."""
        return connections(self.setting("DB_MAX_ACU"))


class Bucket:
    """The token bucket with which API Gateway throttles."""

    def __init__(self, rate: int, burst: int) -> None:
        self.rate, self.burst = rate, burst
        self.tokens, self.time = float(burst), 0.0

    def take(self, now: float) -> bool:
        """Take a token, if there is one."""
        self.tokens = min(self.burst, self.tokens + (now - self.time) * self.rate)
        self.time = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Database:
    """A processor that all requests share equally, one CPU for each at most.

    `service` is the processor time that a request has got if it has been there from the beginning.
    """

    def __init__(self, cpus: float) -> None:
        self.cpus = cpus
        self.service = self.time = self.busy = 0.0
        self.queue: list[tuple[float, int]] = []

    @property
    def share(self) -> float:
        """The part of a CPU that each request gets."""
        return min(1.0, self.cpus / len(self.queue)) if self.queue else 0.0

    def advance(self, now: float) -> None:
        """Let the queries run until now."""
        self.service += (now - self.time) * self.share
        self.busy += (now - self.time) * self.share * len(self.queue)
        self.time = now

    def add(self, request: int, seconds: float) -> None:
        """Start a request's queries."""
        heapq.heappush(self.queue, (self.service + seconds, request))

    def next_end(self) -> float:
        """Return the time at which the next request has all results."""
        if not self.queue:
            return float("inf")
        return self.time + max(0.0, self.queue[0][0] - self.service) / self.share


class Simulation:
    """A minute of a site: `outcomes` of the requests, their `times`, and the use of resources.

    `busy` is the sum of all requests' seconds, `cpu` the used share of the database's processor.
    """

    def __init__(self, site: Site, seed: int = 1) -> None:
        self.site = site
        self.random = Random(seed)  # noqa: S311
        self.bucket = Bucket(site.setting("API_RATE"), site.setting("API_BURST"))
        self.database = Database(site.setting("DB_MAX_ACU") * CPUS_PER_ACU)
        self.events: list[tuple[float, int]] = []
        """The time at which each computing request sends its queries."""
        self.arrivals: dict[int, float] = {}
        self.instances: dict[int, int] = {}
        """The running requests' instances."""
        self.idle: list[int] = []
        self.started = self.executions = 0
        self.connected: set[int] = set()
        self.outcomes: Counter[str] = Counter()
        self.times: list[float] = []
        self.busy = 0.0

    def run(self) -> "Simulation":
        """Run the minute."""
        request, arrival = 1, self.random.expovariate(self.site.load)
        while True:
            query = self.events[0][0] if self.events else float("inf")
            now = min(arrival, query, self.database.next_end())
            if now > SECONDS:
                return self
            self.database.advance(now)
            if now == arrival:
                self._arrive(request, now)
                request, arrival = request + 1, now + self.random.expovariate(self.site.load)
            elif now == query:
                self._query(heapq.heappop(self.events)[1], now)
            else:
                self._finish(heapq.heappop(self.database.queue)[1], SERVED, now)

    @property
    def cpu(self) -> float:
        """The used share of the database's processor."""
        return self.database.busy / (SECONDS * self.database.cpus)

    def _arrive(self, request: int, now: float) -> None:
        if not self.bucket.take(now):
            self.outcomes[THROTTLED] += 1
            return
        if len(self.instances) == self.site.requests:
            self.outcomes[NO_FUNCTION] += 1
            return
        self.arrivals[request] = start = now
        if self.idle:
            self.instances[request] = self.idle.pop()
        else:
            self.started += 1
            self.instances[request] = self.started
            start += COLD_START
        self.executions = max(self.executions, 2 * len(self.instances))
        heapq.heappush(self.events, (start + self.random.expovariate(1 / COMPUTE), request))

    def _query(self, request: int, now: float) -> None:
        instance = self.instances[request]
        if instance not in self.connected and len(self.connected) >= self.site.connections:
            self._finish(request, NO_CONNECTION, now)
            return
        self.connected.add(instance)
        self.database.add(request, self.random.expovariate(1 / QUERIES))

    def _finish(self, request: int, outcome: str, now: float) -> None:
        self.idle.append(self.instances.pop(request))
        self.outcomes[outcome] += 1
        self.busy += now - self.arrivals[request]
        if outcome == SERVED:
            self.times.append(now - self.arrivals[request])
