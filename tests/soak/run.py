"""One run: visitors, faults one after the other, and the comparison at the end."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle
from uuid import uuid4

import httpx

from tests.cloud.local import Cloud
from tests.soak import faults, stored
from tests.soak.faults import LONGEST_WAIT, Durations, Target
from tests.soak.traffic import Visit, traffic
from tests.soak.verdict import Effect, Injection, decide
from tests.support.waiting import wait_until

HTTP_OK = 200
LONG = Durations(unreachable=20, frozen=70)


@dataclass(frozen=True)
class Plan:
    """The seconds of a run, its visitors, and the seconds from one fault to the next."""

    seconds: float
    clients: int = 20
    interval: float = 20
    durations: Durations = LONG
    seed: int = 1


def short(seconds: float) -> Plan:
    """Return a plan with each fault about once: fewer visitors, shorter faults."""
    interval = seconds / (len(faults.FAULTS) + 1)
    brief = min(interval, 5)
    return Plan(seconds, clients=6, interval=interval, durations=Durations(brief, brief))


def soak(cloud: Cloud, plan: Plan, log: Callable[[str], None]) -> tuple[list[Visit], list[Effect]]:
    """Return all requests, and the effects of the faults."""
    target, prefix = Target(cloud, plan.durations), f"soak{uuid4().hex[:6]}"
    injections = []
    with traffic(cloud, prefix=prefix, clients=plan.clients, seed=plan.seed) as visitors:
        begin = time.monotonic()
        for number, name in enumerate(cycle(faults.FAULTS), 1):
            pause = begin + number * plan.interval - time.monotonic()
            time.sleep(max(pause, plan.interval / 4))
            if number > len(faults.FAULTS) and time.monotonic() >= begin + plan.seconds:
                break
            log(name)
            injections.append(inject(cloud, target, name))
    visits = [visit for visitor in visitors for visit in visitor.visits]
    return visits, decide(visits, injections, stored.load(cloud, target, prefix))


def inject(cloud: Cloud, target: Target, name: str) -> Injection:
    """Inject a fault and wait until the site responds."""
    begin = time.monotonic()
    faults.FAULTS[name](target)
    with cloud.browser() as browser:

        def responds() -> bool:
            with suppress(httpx.HTTPError):
                return browser.get("healthz").status_code == HTTP_OK
            return False

        wait_until(responds, LONGEST_WAIT)
    return Injection(name, begin, time.monotonic())
