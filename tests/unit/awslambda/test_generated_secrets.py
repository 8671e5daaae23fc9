"""Generated secrets: made once, kept, handed to CloudFormation only, and deleted on request."""

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
    answers,
    custom_resource_event,
    fails,
    hangs_up,
    lambda_environment,
)

PATH = "/djambda/dev/mysite"
NAMES = {f"{PATH}/{name}" for name in ("database-password", "secret-key", "superuser-password")}


class ParameterStore:
    """As much of SSM as the function needs, in front of which CloudFormation's URL stands."""

    def __init__(self, **stored: str) -> None:
        self.values = {f"{PATH}/{name.replace('_', '-')}": value for name, value in stored.items()}
        self.types: dict[str, str] = {}
        self.answer: Any = None

    def __call__(self, handler: Handler) -> None:
        received = handler.fake.requests[-1]
        if received.method == "PUT":
            self.answer = received.json
            answers()(handler)
            return
        action = received.headers["x-amz-target"].removeprefix("AmazonSSM.")
        assert received.headers["content-type"] == "application/x-amz-json-1.1"
        getattr(self, action)(handler, received)

    def PutParameter(self, handler: Handler, received: Received) -> None:  # noqa: N802
        name = received.json["Name"]
        assert received.json["Overwrite"] is False
        if name in self.values:
            answers({"__type": "ParameterAlreadyExists", "message": "exists"}, 400)(handler)
            return
        self.values[name] = received.json["Value"]
        self.types[name] = received.json["Type"]
        answers({"Version": 1})(handler)

    def GetParameter(self, handler: Handler, received: Received) -> None:  # noqa: N802
        assert received.json["WithDecryption"] is True
        name = received.json["Name"]
        answers({"Parameter": {"Name": name, "Value": self.values[name]}})(handler)

    def DeleteParameters(self, handler: Handler, received: Received) -> None:  # noqa: N802
        for name in received.json["Names"]:
            self.values.pop(name, None)
        answers({"DeletedParameters": received.json["Names"]})(handler)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    with lambda_environment() as fake:
        monkeypatch.setattr(retry, "PAUSES", (0.01, 0.01))
        yield fake


def run(aws: FakeAws, store: ParameterStore, kind: str, **properties: str) -> Any:
    """Let the function work on the store, and return CloudFormation's answer."""
    aws.will(*[store] * 20)
    event = custom_resource_event(aws, kind, Path=PATH, **properties)
    generated_secrets.lambda_handler(event, FakeContext(60))
    aws.replies.clear()
    return store.answer


class TestCreate:
    def test_makes_all_as_secure_strings(self, aws: FakeAws) -> None:
        store = ParameterStore()
        run(aws, store, "Create")
        assert store.values.keys() == NAMES
        assert set(store.types.values()) == {"SecureString"}
        assert len(set(store.values.values())) == 3

    def test_answers_with_the_database_password_that_nobody_is_shown(self, aws: FakeAws) -> None:
        store = ParameterStore()
        answer = run(aws, store, "Create")
        assert answer["Status"] == "SUCCESS"
        assert answer["NoEcho"] is True
        assert answer["Data"] == {"DatabasePassword": store.values[f"{PATH}/database-password"]}

    def test_makes_other_values_each_time(self, aws: FakeAws) -> None:
        first, second = ParameterStore(), ParameterStore()
        run(aws, first, "Create")
        run(aws, second, "Create")
        assert not set(first.values.values()) & set(second.values.values())

    def test_makes_what_rds_and_django_take(self, aws: FakeAws) -> None:
        store = ParameterStore()
        run(aws, store, "Create")
        for value in store.values.values():
            assert set(value) <= set(string.ascii_letters + string.digits)
        assert 8 <= len(store.values[f"{PATH}/database-password"]) <= 128
        assert len(store.values[f"{PATH}/secret-key"]) >= 50

    @pytest.mark.parametrize("kind", ["Create", "Update"])
    def test_never_changes_what_is_there(self, kind: str, aws: FakeAws) -> None:
        store = ParameterStore(database_password="kept", secret_key="kept too")
        answer = run(aws, store, kind)
        assert answer["Data"] == {"DatabasePassword": "kept"}
        assert store.values[f"{PATH}/secret-key"] == "kept too"
        assert store.values.keys() == NAMES

    def test_asks_again_when_ssm_does_not_answer(self, aws: FakeAws) -> None:
        """The first try may have made the parameter: then the second finds it."""
        store = ParameterStore()

        def makes_it_and_hangs_up(handler: Handler) -> None:
            received = handler.fake.requests[-1]
            store.values[received.json["Name"]] = received.json["Value"]
            hangs_up(handler)

        throttled = answers({"__type": "ThrottlingException"}, 400)
        aws.will(throttled, makes_it_and_hangs_up)
        answer = run(aws, store, "Create")
        assert answer["Status"] == "SUCCESS"
        assert answer["Data"]["DatabasePassword"] == store.values[f"{PATH}/database-password"]

    def test_says_what_ssm_refused(self, aws: FakeAws) -> None:
        store = ParameterStore()
        aws.will(fails("AccessDeniedException", 400, "not authorized to perform ssm:PutParameter"))
        answer = run(aws, store, "Create")
        assert answer["Status"] == "FAILED"
        assert "not authorized to perform ssm:PutParameter" in answer["Reason"]


class TestDelete:
    def delete(self, aws: FakeAws, store: ParameterStore, **properties: str) -> Any:
        return run(aws, store, "Delete", **properties)

    @pytest.mark.parametrize("properties", [{}, {"Keep": "false"}])
    def test_deletes_them(self, properties: dict[str, str], aws: FakeAws) -> None:
        store = ParameterStore(database_password="1", secret_key="2", superuser_password="3", x="4")
        assert self.delete(aws, store, **properties)["Status"] == "SUCCESS"
        assert store.values == {f"{PATH}/x": "4"}

    def test_keeps_them_where_they_outlive_the_stack(self, aws: FakeAws) -> None:
        store = ParameterStore(database_password="1")
        assert self.delete(aws, store, Keep="true")["Status"] == "SUCCESS"
        assert store.values == {f"{PATH}/database-password": "1"}

    def test_twice_is_no_error(self, aws: FakeAws) -> None:
        assert self.delete(aws, ParameterStore())["Status"] == "SUCCESS"


def test_no_value_is_logged(aws: FakeAws, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    store = ParameterStore()
    run(aws, store, "Create")
    assert not [value for value in store.values.values() if value in caplog.text]
