"""The bucket and the prefix in content security policies."""

from typing import Any

import pytest

from tests.unit.djambda.conftest import configured

pytest.importorskip("django.utils.csp", reason="Django has policies since 6.0")
from django.utils.csp import CSP, build_policy


def test_csp_allows_the_bucket_where_it_allows_the_site(deployed: dict[str, str]) -> None:
    bucket = f"{deployed['AWS_ENDPOINT_URL']}/bucket/"
    shared = [CSP.SELF]
    policy = {
        "default-src": shared,
        "font-src": [CSP.NONE],
        "form-action": shared,
        "script-src": (CSP.SELF, "https://cdn.example.com"),
        "style-src": {CSP.SELF},
        "upgrade-insecure-requests": True,
    }

    settings = configured(SECURE_CSP=policy, SECURE_CSP_REPORT_ONLY={"script-src": shared})

    assert settings["SECURE_CSP"] == {
        "default-src": [CSP.SELF, f"{bucket}static/"],
        "font-src": [CSP.NONE],
        "form-action": [CSP.SELF],
        "img-src": [CSP.SELF, bucket],
        "media-src": [CSP.SELF, bucket],
        "script-src": [CSP.SELF, "https://cdn.example.com", f"{bucket}static/"],
        "style-src": [CSP.SELF, f"{bucket}static/"],
        "upgrade-insecure-requests": True,
    }
    assert settings["SECURE_CSP_REPORT_ONLY"] == {"script-src": [CSP.SELF, f"{bucket}static/"]}
    assert shared == [CSP.SELF]


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ("'self'", ["'self'", "BUCKET/static/"]),
        ("'self' https://cdn.example.com", ["'self' https://cdn.example.com", "BUCKET/static/"]),
        ("'none'", "'none'"),
        (frozenset({"'self'"}), ["'self'", "BUCKET/static/"]),
        (True, True),
        (None, None),
    ],
)
@pytest.mark.parametrize("directive", ["script-src", "script-src-elem", "connect-src"])
def test_sources_can_have_any_form(
    deployed: dict[str, str], directive: str, sources: Any, expected: Any
) -> None:
    settings = configured(SECURE_CSP={directive: sources})

    bucket = f"{deployed['AWS_ENDPOINT_URL']}/bucket"
    if isinstance(expected, list):
        expected = [source.replace("BUCKET", bucket) for source in expected]
    assert settings["SECURE_CSP"] == {directive: expected}
    build_policy(settings["SECURE_CSP"])


def test_django_csps_policy_is_extended(deployed: dict[str, str]) -> None:
    settings = configured(
        CONTENT_SECURITY_POLICY={
            "EXCLUDE_URL_PREFIXES": ["/admin"],
            "DIRECTIVES": {"script-src": ["'self'"]},
        }
    )

    policy = settings["CONTENT_SECURITY_POLICY"]
    assert policy["EXCLUDE_URL_PREFIXES"] == ["/admin"]
    assert policy["DIRECTIVES"]["script-src"][1].endswith("/bucket/static/")


@pytest.mark.parametrize("prefix", ["/prod", ""])
def test_reports_are_sent_to_the_site(
    deployed: dict[str, str], monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    monkeypatch.setenv("SITE_PREFIX", prefix)

    policy = configured(SECURE_CSP={"report-uri": "/csp/"})["SECURE_CSP"]
    other = configured(SECURE_CSP={"report-uri": ["https://example.com/csp/"]})["SECURE_CSP"]

    assert build_policy(policy) == f"report-uri {prefix}/csp/"
    assert build_policy(other) == "report-uri https://example.com/csp/"
