"""Snapshots of the project's variables: taken once, deleted when no version reads them."""

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

import generated_secrets
import retry
from djambda_common.variables import encode, unpack
from tests.support.fake_aws import (
    FakeAws,
    FakeContext,
    Handler,
    custom_resource_event,
    fails,
    lambda_environment,
    responds,
)

PATH = "/djambda/dev/mysite"
FUNCTION = "dev-mysite-djambda-lambda"
SNAPSHOTS = f"{PATH}/versions"
COLOR, TOKEN = f"{PATH}/env/COLOR", f"{PATH}/secret/TOKEN"


class Aws:
    """SSM, Lambda and CloudFormation, as far as the function uses them."""

    def __init__(self, **snapshots: str) -> None:
        self.values = {COLOR: encode("red"), TOKEN: encode("hidden"), f"{PATH}/secret-key": "key"}
        self.values |= {f"{SNAPSHOTS}/{name}/1": value for name, value in snapshots.items()}
        self.versions: list[str] | None = []
        self.put: list[str] = []
        self.response: Any = None

    def __call__(self, handler: Handler) -> None:
        received = handler.fake.requests[-1]
        if received.method == "PUT":
            self.response = received.json
            responds()(handler)
        elif received.method == "GET":
            self.list_versions(handler, received.path)
        else:
            action = received.headers["x-amz-target"].removeprefix("AmazonSSM.")
            responds(getattr(self, action)(**received.json))(handler)

    def list_versions(self, handler: Handler, path: str) -> None:
        assert path.startswith(f"/2015-03-31/functions/{FUNCTION}/versions")
        if self.versions is None:
            responds({"Type": "User"}, 404, **{"x-amzn-errortype": "ResourceNotFoundException"})(
                handler
            )
            return
        listed: list[dict[str, Any]] = [{"Version": "1"}, {"Version": "2", "Environment": {}}]
        listed += [
            {"Environment": {"Variables": {"VARIABLES_SNAPSHOT": name}}} for name in self.versions
        ]
        start = int(path.partition("Marker=")[2] or 0)
        more = {"NextMarker": str(start + 1)} if start + 1 < len(listed) else {}
        responds({"Versions": listed[start : start + 1]} | more)(handler)

    def GetParametersByPath(self, **query: Any) -> Any:  # noqa: N802
        path = query["Path"]
        names = [
            name
            for name in self.values
            if name.startswith(f"{path}/")
            and (query.get("Recursive") or "/" not in name.removeprefix(f"{path}/"))
        ]
        start = int(query.get("NextToken", 0))
        page = [
            {
                "Name": name,
                "Value": self.values[name] if query.get("WithDecryption") else "encrypted",
            }
            for name in names[start : start + 1]
        ]
        more = {"NextToken": str(start + 1)} if start + 1 < len(names) else {}
        return {"Parameters": page} | more

    def PutParameter(self, Name: str, Value: str, **options: Any) -> Any:  # noqa: N802, N803
        assert options == {"Type": "SecureString", "Tier": "Standard", "Overwrite": True}
        assert len(Value) <= 4096
        self.put.append(Name)
        self.values[Name] = Value
        return {"Version": 1}

    def DeleteParameters(self, Names: list[str]) -> Any:  # noqa: N802, N803
        assert 1 <= len(Names) <= 10
        return {"DeletedParameters": [name for name in Names if self.values.pop(name, None)]}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    with lambda_environment() as fake:
        monkeypatch.setattr(retry, "PAUSES", (0.01, 0.01))
        monkeypatch.setattr(retry, "IAM_PAUSES", ())
        yield fake


def run(fake: FakeAws, aws: Aws, kind: str, snapshot: str = "abc") -> Any:
    """Run the function and return the response to CloudFormation."""
    fake.will(*[aws] * 60)
    event = custom_resource_event(fake, kind, Path=PATH, FunctionName=FUNCTION, Snapshot=snapshot)
    generated_secrets.lambda_handler(event, FakeContext(60))
    fake.replies.clear()
    return aws.response


def test_snapshot_has_all_variables_and_no_other_secret(fake: FakeAws) -> None:
    aws = Aws()

    response = run(fake, aws, "Create")

    assert response["Status"] == "SUCCESS"
    assert "hidden" not in json.dumps(response)
    assert aws.put == [f"{SNAPSHOTS}/abc/1"]
    assert unpack([aws.values[aws.put[0]]]) == {
        "env/COLOR": encode("red"),
        "secret/TOKEN": encode("hidden"),
    }


def test_first_parameter_is_written_last(fake: FakeAws) -> None:
    aws = Aws()
    aws.values |= {f"{PATH}/env/N{n}": secrets.token_hex(1000) for n in range(12)}

    run(fake, aws, "Update")

    assert len(aws.put) > 1
    assert aws.put[-1] == f"{SNAPSHOTS}/abc/1"
    assert len(unpack([aws.values[name] for name in reversed(aws.put)])) == 14


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_existing_snapshot_is_kept(fake: FakeAws, kind: str) -> None:
    """CloudFormation updates to the previous snapshot when it rolls back a deploy."""
    aws = Aws(abc="of its time")

    assert run(fake, aws, kind)["Status"] == "SUCCESS"

    assert aws.put == []


def test_snapshots_that_versions_read_are_kept(fake: FakeAws) -> None:
    aws = Aws(abc="1", old="1", live="1")
    aws.values[f"{SNAPSHOTS}/abc/2"] = "2"
    aws.versions = ["old", "live", "none"]

    assert run(fake, aws, "Delete")["Status"] == "SUCCESS"

    snapshots = {name for name in aws.values if name.startswith(SNAPSHOTS)}
    assert snapshots == {f"{SNAPSHOTS}/old/1", f"{SNAPSHOTS}/live/1"}
    assert {COLOR, TOKEN} < aws.values.keys()


def test_snapshots_are_deleted_with_the_function(fake: FakeAws) -> None:
    aws = Aws(**{f"s{number}": "1" for number in range(12)})
    aws.versions = None

    assert run(fake, aws, "Delete")["Status"] == "SUCCESS"

    assert aws.values.keys() == {COLOR, TOKEN, f"{PATH}/secret-key"}


def test_deletion_that_fails_does_not_fail_the_deploy(fake: FakeAws) -> None:
    aws = Aws(abc="1")
    fake.will(fails("AccessDeniedException", 403, "not allowed"))

    assert run(fake, aws, "Delete")["Status"] == "SUCCESS"

    assert f"{SNAPSHOTS}/abc/1" in aws.values


def test_no_value_is_logged(fake: FakeAws, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")

    run(fake, Aws(), "Create")

    assert "hidden" not in caplog.text
