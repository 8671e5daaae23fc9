"""The short form of the soak test: each fault once, while visitors read and write."""

from tests.cloud.local import Cloud
from tests.soak.faults import FAULTS
from tests.soak.report import text
from tests.soak.run import short, soak

SECONDS = 45


def test_nothing_is_lost_under_faults(cloud: Cloud) -> None:
    visits, effects = soak(cloud, short(SECONDS), print)

    report = text(visits, effects)
    assert all(effect.is_clean for effect in effects), report
    assert {effect.injection.fault for effect in effects if effect.injection} == {*FAULTS}
    failed = [effect for effect in effects if effect.unknown]
    assert failed, f"the faults have hit nothing\n{report}"
