"""The published versions of the Django function, and their commits."""

from datetime import UTC, datetime

from djambda_cli.aws import versions
from tests.unit.cli.aws_fakes import (
    ARN,
    THREE,
    history,
    lambda_client,
    live_history,
    published,
    refusal,
)

FUNCTION = "dev-shop-djambda-lambda"


def test_newest_version_comes_first() -> None:
    loaded = live_history(*THREE, published("10"))

    assert [(version.number, version.is_live) for version in loaded.versions] == [
        (10, False),
        (4, False),
        (3, True),
        (2, False),
    ]
    assert [version.number for version in loaded.newer] == [10, 4]
    assert loaded.live.when == datetime(2026, 11, 24, 9, tzinfo=UTC)


def test_commit_is_a_tag_of_the_function() -> None:
    tags = {
        "Project": "djambda",
        "djambda:version:3": f"release3 {'a' * 40} changed",
        "djambda:version:2": f"build-of-an-earlier-stack {'b' * 40}",
    }
    loaded = live_history(*THREE, list_tags={"Tags": tags})

    assert {version.number: version.short_commit for version in loaded.versions} == {
        4: "unknown",
        3: "aaaaaaaaaa and changes",
        2: "unknown",
    }
    assert loaded.live.as_json() == {
        "number": 3,
        "published": "2026-11-24T09:00:00.000+0000",
        "build_id": "release3",
        "commit": f"{'a' * 40} changed",
        "is_live": True,
        "runtime": "python3.12",
        "architecture": "arm64",
        "memory": 1024,
        "timeout": 900,
        "layers": ["arn:aws:lambda:eu-west-1:123456789012:layer:deps:4"],
    }


def test_function_without_a_live_version() -> None:
    assert history(get_alias=refusal("ResourceNotFoundException")) is None


def test_commit_is_recorded_for_the_newest_version() -> None:
    old = {f"djambda:version:{number}": "release x" for number in range(30)}
    client = lambda_client(
        list_tags={"Tags": old},
        get_function_configuration={"FunctionArn": ARN},
        tag_resource={},
        untag_resource={},
    )
    newest = live_history(*THREE).versions[0]

    versions.record_commit(client, FUNCTION, newest, "c" * 40)  # type: ignore[arg-type]
    calls = dict(client.calls)
    assert calls["tag_resource"] == {
        "Resource": ARN,
        "Tags": {"djambda:version:4": f"release4 {'c' * 40}"},
    }
    assert calls["untag_resource"]["TagKeys"] == [f"djambda:version:{n}" for n in range(10)]


def test_recorded_commit_is_kept() -> None:
    client = lambda_client()
    newest = live_history(
        *THREE, list_tags={"Tags": {"djambda:version:4": "release4 earlier"}}
    ).versions[0]

    versions.record_commit(client, FUNCTION, newest, "later")  # type: ignore[arg-type]
    assert client.calls == []
