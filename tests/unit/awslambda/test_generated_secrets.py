"""Generated secrets: created once, sent to CloudFormation only, deleted on request."""

import string
from collections.abc import Iterator
from typing import Any

import pytest

import generated_secrets
import retry
from tests.support.fake_aws import (
    FakeAws,
    FakeContext,
    Handler,
    Received,
    custom_resource_event,
    fails,
    hangs_up,
    lambda_environment,
    responds,
)

PATH = "/djambda/dev/mysite"
NAMES = {f"{PATH}/{name}" for name in ("database-password", "secret-key", "superuser-password")}


class ParameterStore:
    """The SSM actions that the function uses, and CloudFormation's response URL."""

    def __init__(self, **stored: str) -> None:
        self.values = {f"{PATH}/{name.replace('_', '-')}": value for name, value in stored.items()}
        self.types: dict[str, str] = {}
        self.response: Any = None

    def __call__(self, handler: Handler) -> None:
        received = handler.fake.requests[-1]
        if received.method == "PUT":
            self.response = received.json
            responds()(handler)
            return
        action = received.headers["x-amz-target"].removeprefix("AmazonSSM.")
        assert received.headers["content-type"] == "application/x-amz-json-1.1"
        getattr(self, action)(handler, received)

    def PutParameter(self, handler: Handler, received: Received) -> None:  # noqa: N802
        name = received.json["Name"]
        assert received.json["Overwrite"] is False
        if name in self.values:
            responds({"__type": "ParameterAlreadyExists", "message": "exists"}, 400)(handler)
            return
        self.values[name] = received.json["Value"]
        self.types[name] = received.json["Type"]
        responds({"Version": 1})(handler)

    def GetParameter(self, handler: Handler, received: Received) -> None:  # noqa: N802
        assert received.json["WithDecryption"] is True
        name = received.json["Name"]
        responds({"Parameter": {"Name": name, "Value": self.values[name]}})(handler)

    def GetParametersByPath(self, handler: Handler, received: Received) -> None:  # noqa: N802
        query = received.json
        start = int(query.pop("NextToken", 0))
        assert query == {"Path": PATH, "Recursive": True}
        names = list(self.values)
        page = [{"Name": name, "Value": "encrypted"} for name in names[start : start + 10]]
        more = {"NextToken": str(start + 10)} if start + 10 < len(names) else {}
        responds({"Parameters": page} | more)(handler)

    def DeleteParameters(self, handler: Handler, received: Received) -> None:  # noqa: N802
        for name in received.json["Names"]:
            self.values.pop(name, None)
        responds({"DeletedParameters": received.json["Names"]})(handler)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    with lambda_environment() as fake:
        monkeypatch.setattr(retry, "PAUSES", (0.01, 0.01))
        monkeypatch.setattr(retry, "IAM_PAUSES", ())
        yield fake


def run(aws: FakeAws, store: ParameterStore, kind: str, **properties: str) -> Any:
    """Run the function with this store and return the response to CloudFormation."""
    aws.will(*[store] * 20)
    event = custom_resource_event(aws, kind, Path=PATH, **properties)
    generated_secrets.lambda_handler(event, FakeContext(60))
    aws.replies.clear()
    return store.response


class TestCreate:
    def test_creates_secure_strings(self, aws: FakeAws) -> None:
        store = ParameterStore()
        run(aws, store, "Create")
        assert store.values.keys() == NAMES
        assert set(store.types.values()) == {"SecureString"}
        assert len(set(store.values.values())) == 3

    def test_returns_the_database_password_masked(self, aws: FakeAws) -> None:
        store = ParameterStore()
        response = run(aws, store, "Create")
        assert response["Status"] == "SUCCESS"
        assert response["NoEcho"] is True
        assert response["Data"] == {"DatabasePassword": store.values[f"{PATH}/database-password"]}

    def test_values_differ_each_time(self, aws: FakeAws) -> None:
        first, second = ParameterStore(), ParameterStore()
        run(aws, first, "Create")
        run(aws, second, "Create")
        assert not set(first.values.values()) & set(second.values.values())

    def test_values_are_valid_for_rds_and_django(self, aws: FakeAws) -> None:
        store = ParameterStore()
        run(aws, store, "Create")
        for value in store.values.values():
            assert set(value) <= set(string.ascii_letters + string.digits)
        assert 8 <= len(store.values[f"{PATH}/database-password"]) <= 128
        assert len(store.values[f"{PATH}/secret-key"]) >= 50

    @pytest.mark.parametrize("kind", ["Create", "Update"])
    def test_existing_values_are_kept(self, kind: str, aws: FakeAws) -> None:
        store = ParameterStore(database_password="kept", secret_key="kept too")
        response = run(aws, store, kind)
        assert response["Data"] == {"DatabasePassword": "kept"}
        assert store.values[f"{PATH}/secret-key"] == "kept too"
        assert store.values.keys() == NAMES

    def test_retries_when_ssm_does_not_respond(self, aws: FakeAws) -> None:
        """The first attempt may have created the parameter; the second one then reads it."""
        store = ParameterStore()

        def creates_it_and_hangs_up(handler: Handler) -> None:
            received = handler.fake.requests[-1]
            store.values[received.json["Name"]] = received.json["Value"]
            hangs_up(handler)

        throttled = responds({"__type": "ThrottlingException"}, 400)
        aws.will(throttled, creates_it_and_hangs_up)
        response = run(aws, store, "Create")
        assert response["Status"] == "SUCCESS"
        assert response["Data"]["DatabasePassword"] == store.values[f"{PATH}/database-password"]

    def test_new_policy_may_not_be_in_effect_yet(
        self, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retry, "IAM_PAUSES", (0.01, 0.01))
        store = ParameterStore()
        denied = responds({"__type": "AccessDeniedException", "message": "not yet"}, 400)
        aws.will(denied, denied)
        assert run(aws, store, "Create")["Status"] == "SUCCESS"

    def test_reason_has_the_error_of_ssm(self, aws: FakeAws) -> None:
        store = ParameterStore()
        aws.will(fails("AccessDeniedException", 400, "not authorized to perform ssm:PutParameter"))
        response = run(aws, store, "Create")
        assert response["Status"] == "FAILED"
        assert "not authorized to perform ssm:PutParameter" in response["Reason"]


class TestDelete:
    def delete(self, aws: FakeAws, store: ParameterStore, **properties: str) -> Any:
        return run(aws, store, "Delete", **properties)

    @pytest.mark.parametrize("properties", [{}, {"Keep": "false"}])
    def test_deletes_the_secrets_and_the_projects_variables(
        self, properties: dict[str, str], aws: FakeAws
    ) -> None:
        store = ParameterStore(database_password="1", secret_key="2", superuser_password="3")
        store.values |= {f"{PATH}/env/NAME_{number}": "x" for number in range(15)}
        assert self.delete(aws, store, **properties)["Status"] == "SUCCESS"
        assert store.values == {}

    def test_kept_secrets_outlive_the_stack(self, aws: FakeAws) -> None:
        store = ParameterStore(database_password="1")
        assert self.delete(aws, store, Keep="true")["Status"] == "SUCCESS"
        assert store.values == {f"{PATH}/database-password": "1"}

    def test_deleting_twice_succeeds(self, aws: FakeAws) -> None:
        assert self.delete(aws, ParameterStore())["Status"] == "SUCCESS"


def test_no_value_is_logged(aws: FakeAws, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    store = ParameterStore()
    run(aws, store, "Create")
    assert not [value for value in store.values.values() if value in caplog.text]
