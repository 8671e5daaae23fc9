"""The handler with the real Django: requests as API Gateway sends them, and commands."""

import json
import os
import re
import sys
from collections.abc import Iterable
from http.cookies import SimpleCookie
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished
from django.utils import timezone, translation
from pytest_django import Settings

from djambda import management_command
from djambda.awslambda import (
    UnknownEvent,
    add_source_folder,
    lambda_handler,
    load_application,
)
from djambda.management_command import (
    BadManageEvent,
    ManagementCommandFailed,
    omit_middle,
)
from tests.support.lambda_events import API_HOST, CONTEXT, Pairs, body_of, make_v1_event
from tests.unit.djambda.conftest import SECRETS, FakeAws

# Django closes connections at the end of a request, which ends a test's transaction.
in_database = pytest.mark.django_db(transaction=True)

RUN = "20261124t093000-3f9a2c41"
RUN_CONTEXT = SimpleNamespace(**vars(CONTEXT), get_remaining_time_in_millis=lambda: 900_000)

FORM = ("Content-Type", "application/x-www-form-urlencoded")


@pytest.fixture(autouse=True)
def site(settings: Settings, tmp_path: Path) -> None:
    settings.ALLOWED_HOSTS = [API_HOST, "www.example.com"]
    settings.MEDIA_ROOT = tmp_path
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # Fast.


class Browser:
    """Keeps cookies and sends forms, like a browser behind API Gateway."""

    def __init__(self, **address: Any) -> None:
        self.address = address
        self.cookies: SimpleCookie = SimpleCookie()

    def get(self, path: str, query: Pairs | None = None) -> dict[str, Any]:
        return self._request(
            make_v1_event("GET", path, query=query, headers=self._sent(), **self.address)
        )

    def post(self, path: str, body: bytes, content_type: tuple[str, str] = FORM) -> dict[str, Any]:
        host = self.address.get("host", API_HOST)
        headers = [*self._sent(), content_type, ("Origin", f"https://{host}")]
        return self._request(
            make_v1_event("POST", path, body=body, headers=headers, **self.address)
        )

    def token(self, path: str) -> str:
        """Return the CSRF token of the form on that page."""
        page = body_of(self.get(path)).decode()
        [token] = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[-1:]
        return str(token)

    def log_in(self) -> dict[str, Any]:
        User.objects.create_user("ada", password="a-password")
        fields = {"username": "ada", "password": "a-password"}
        token = self.token("/accounts/login/")
        body = urlencode({"csrfmiddlewaretoken": token, **fields}).encode()
        return self.post("/accounts/login/", body)

    def _sent(self) -> Pairs:
        pairs = "; ".join(f"{name}={cookie.value}" for name, cookie in self.cookies.items())
        return [("Cookie", pairs)] if pairs else []

    def _request(self, event: dict[str, Any]) -> dict[str, Any]:
        # Through JSON, like the events and responses of Lambda.
        response: dict[str, Any] = json.loads(
            json.dumps(lambda_handler(json.loads(json.dumps(event)), CONTEXT))
        )
        for cookie in response["multiValueHeaders"].get("set-cookie", []):
            self.cookies.load(cookie)
        return response


def location(response: dict[str, Any]) -> str:
    assert response["statusCode"] == 302, response
    [target] = response["multiValueHeaders"]["location"]
    return str(target)


# Requests


def test_page() -> None:
    response = Browser().get("/")

    assert response["statusCode"] == 200
    assert response["multiValueHeaders"]["content-type"] == ["text/html; charset=utf-8"]
    assert response["isBase64Encoded"] is False
    assert 'href="/prod/accounts/login/' in response["body"]


def test_page_on_a_custom_domain() -> None:
    response = Browser(host="www.example.com", stage="").get("/")

    assert response["statusCode"] == 200
    assert 'href="/accounts/login/' in response["body"]


@in_database
def test_login_sets_both_cookies() -> None:
    browser = Browser()

    response = browser.log_in()

    assert location(response) == "/prod/products/"
    names = [cookie.partition("=")[0] for cookie in response["multiValueHeaders"]["set-cookie"]]
    assert sorted(names) == ["csrftoken", "sessionid"]
    assert browser.get("/products/new/")["statusCode"] == 200


@in_database
@pytest.mark.parametrize(
    ("address", "prefix"),
    [
        ({}, "/prod"),
        ({"host": "www.example.com", "stage": ""}, ""),
        ({"host": "www.example.com", "stage": "", "base_path": "/shop"}, "/shop"),
    ],
    ids=["stage", "custom domain", "base path"],
)
def test_redirects_include_the_prefix(address: dict[str, str], prefix: str) -> None:
    response = Browser(**address).get("/products/new/")

    assert location(response) == f"{prefix}/accounts/login/?next={prefix}/products/new/"


def test_form_without_its_token_is_rejected(caplog: pytest.LogCaptureFixture) -> None:
    response = Browser().post("/accounts/login/", b"username=ada&password=a-password")

    assert response["statusCode"] == 403
    assert "CSRF cookie not set" in caplog.text
    assert "a-password" not in caplog.text


@in_database
def test_form_of_another_site_is_rejected(caplog: pytest.LogCaptureFixture) -> None:
    browser = Browser()
    body = urlencode({"csrfmiddlewaretoken": browser.token("/accounts/login/")}).encode()
    event = make_v1_event(
        "POST",
        "/accounts/login/",
        body=body,
        headers=[*browser._sent(), FORM, ("Origin", "https://evil.example")],
    )

    assert lambda_handler(event, CONTEXT)["statusCode"] == 403
    assert "https://evil.example does not match any trusted origins" in caplog.text


@in_database
def test_upload_is_downloaded_unchanged() -> None:
    content = bytes(range(256)) * 16
    browser = Browser()
    browser.log_in()
    parts = {"csrfmiddlewaretoken": browser.token("/products/new/"), "name": "Übung"}
    multipart = b"".join(
        f'--line\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in parts.items()
    )
    multipart += (
        b'--line\r\nContent-Disposition: form-data; name="picture"; filename="a.bin"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n" + content + b"\r\n--line--\r\n"
    )

    saved = browser.post(
        "/products/new/", multipart, ("Content-Type", "multipart/form-data; boundary=line")
    )
    page = browser.get(location(saved).removeprefix("/prod"))
    [link] = re.findall(r'href="/prod(/products/\d+/picture/)"', page["body"])
    download = browser.get(link)

    assert "Übung" in page["body"]
    assert download["statusCode"] == 200
    assert download["isBase64Encoded"] is True
    assert body_of(download) == content


@pytest.mark.parametrize(
    "content_type",
    ["text/plain; x*=nope'en'b", "text/plain; charset*=utf-99''x", "x/y; a*=undefined''%ff"],
)
def test_malformed_content_type_is_a_bad_request(content_type: str) -> None:
    senders: list[object] = []

    def record(**signal: object) -> None:
        senders.append(signal["sender"])

    request_finished.connect(record)
    try:
        response = Browser().post("/", b"x", ("Content-Type", content_type))
    finally:
        request_finished.disconnect(record)

    assert response["statusCode"] == 400
    assert len(senders) == 1


def test_unknown_host_is_rejected() -> None:
    assert Browser(host="evil.example").get("/")["statusCode"] == 400


def test_request_finished_signal_is_sent() -> None:
    finished: list[object] = []

    def note(**signal: object) -> None:
        finished.append(signal["sender"])

    request_finished.connect(note)
    try:
        Browser().get("/")
    finally:
        request_finished.disconnect(note)
    assert len(finished) == 1


def test_query_reaches_django(caplog: pytest.LogCaptureFixture) -> None:
    response = Browser().get("/accounts/login/", query=[("next", "/prod/?q=a+b&q=%C3%A9")])

    assert 'value="/prod/?q=a+b&amp;q=%C3%A9"' in response["body"]


# Loading the application


def test_wsgi_application_setting_is_loaded(settings: Settings) -> None:
    settings.WSGI_APPLICATION = f"{__name__}.own_application"

    assert load_application() is own_application


def own_application(_: WSGIEnvironment, _start: StartResponse) -> Iterable[bytes]:
    return []


def test_project_without_wsgi_application_gets_djangos(settings: Settings) -> None:
    settings.WSGI_APPLICATION = None

    assert isinstance(load_application(), WSGIHandler)


@pytest.mark.parametrize(
    ("name", "fact"),
    [
        ("missing_module.application", "missing_module"),
        (f"{__name__}.missing", 'does not define a "missing" attribute'),
        ("no_path", "no_path doesn't look like a module path"),
    ],
)
def test_broken_wsgi_application_is_named(name: str, fact: str, settings: Settings) -> None:
    settings.WSGI_APPLICATION = name

    with pytest.raises(ImportError, match=fact):
        load_application()


# Other events


@pytest.mark.parametrize(
    ("event", "keys"),
    [
        ({"Records": [], "version": "2.0"}, "Records, version"),
        ({}, "(none)"),
        ([1], "list"),
        (None, "NoneType"),
    ],
)
def test_unknown_event(event: Any, keys: str) -> None:
    with pytest.raises(UnknownEvent) as error:
        lambda_handler(event, CONTEXT)

    assert f": {keys}." in str(error.value)
    assert '{"manage": "migrate --no-input"}' in str(error.value)


# Management commands


def manage(command: Any) -> dict[str, Any]:
    return lambda_handler({"manage": command}, CONTEXT)


def shell(code: str) -> list[str]:
    return ["shell", "--no-imports", "-c", code]


def test_command_returns_its_output() -> None:
    assert manage(shell("print(1 + 1)")) == {"output": "2\n", "exit_code": 0}


def test_command_string_is_split_like_in_a_shell() -> None:
    assert manage("shell --no-imports -c 'print(\"a  b\")'")["output"] == "a  b\n"


def test_both_streams_are_captured_in_order_and_logged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = "import sys; print(1); print(2, file=sys.stderr); print(3)"

    assert manage(shell(code))["output"] == "1\n2\n3\n"
    assert capsys.readouterr() == ("1\n3\n", "2\n")


@pytest.mark.parametrize(
    ("code", "exit_code", "output"),
    [
        ("import sys; print('so far'); sys.exit(3)", 3, "so far\n"),
        ("import sys; sys.exit('the reason')", 1, "the reason\n"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero\n"),
        ("raise EOFError('the file is too short')", 1, "EOFError: the file is too short\n"),
    ],
)
def test_failing_command(code: str, exit_code: int, output: str) -> None:
    with pytest.raises(ManagementCommandFailed) as error:
        manage(shell(code))

    assert str(error.value).startswith("`shell --no-imports -c ")
    assert f"` failed with exit code {exit_code}:\n" in str(error.value)
    assert str(error.value).endswith(output)


@pytest.mark.parametrize(
    "code",
    [
        "input('Sure? ')",
        # `changepassword` does this without a terminal.
        "import getpass, sys; getpass._raw_input('Sure? ', sys.stdout, sys.stdin)",
    ],
)
def test_command_that_asks_for_input(code: str) -> None:
    with pytest.raises(ManagementCommandFailed) as error:
        manage(shell(code))

    _, output = str(error.value).split("exit code 1:\n")
    assert output == f"Sure? \n{management_command.NO_INPUT_ERROR}\n"


def test_bytes_can_be_output() -> None:
    code = "import sys; print('é'); sys.stdout.buffer.write('é'.encode()); print(1)"

    assert manage(shell(code))["output"] == "é\né1\n"


def test_command_that_exits_with_0() -> None:
    assert manage(shell("import sys; print(1); sys.exit(0)"))["output"] == "1\n"


@in_database
@pytest.mark.parametrize(
    ("command", "exit_code", "reason"),
    [
        ("nonsense", 1, "Unknown command: 'nonsense'"),
        ("migrate --nonsense", 2, "unrecognized arguments: --nonsense"),
        ("migrate nonsense", 1, "CommandError: No installed app with label 'nonsense'."),
    ],
)
def test_invalid_command(command: str, exit_code: int, reason: str) -> None:
    with pytest.raises(ManagementCommandFailed, match=rf"exit code {exit_code}:") as error:
        manage(command)

    assert reason in str(error.value)


@in_database
def test_consecutive_commands_use_the_database() -> None:
    for _ in range(2):
        assert manage("migrate --check")["exit_code"] == 0
    created = manage("createsuperuser --username root --email a@b.c")
    assert "not running in a TTY" in created["output"]
    assert not User.objects.exists()


@in_database
def test_createsuperuser_reads_the_password_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "a-password")

    manage("createsuperuser --no-input --username root --email root@example.com")

    assert User.objects.get().check_password("a-password")


@pytest.mark.parametrize("prefix", ["", "/prod"])
def test_commands_see_the_sites_urls(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_PREFIX", prefix)
    code = "from django.urls import reverse; print(reverse('catalog:product_list'))"

    assert manage(shell(code))["output"] == f"{prefix}/products/\n"
    assert 'href="/products/"' in Browser(host="www.example.com", stage="").get("/")["body"]


def test_commands_have_the_projects_language_and_time_zone() -> None:
    """A request with `LocaleMiddleware`, and a command, leave theirs in the thread."""
    code = (
        "from django.utils import timezone, translation\n"
        "print(translation.get_language(), timezone.get_current_timezone_name())\n"
        "translation.activate('de')"
    )
    translation.activate("pl")
    timezone.activate("Asia/Tokyo")

    assert manage(shell(code))["output"] == f"{settings.LANGUAGE_CODE} {settings.TIME_ZONE}\n"
    assert translation.get_language() == settings.LANGUAGE_CODE
    assert timezone.get_current_timezone_name() == settings.TIME_ZONE


@in_database
def test_only_commands_that_create_superusers_get_the_generated_password(
    deployed: dict[str, str],
) -> None:
    show = "import os; print(os.environ.get('DJANGO_SUPERUSER_PASSWORD'))"

    assert manage(shell(show))["output"] == "None\n"
    manage("createsuperuser --no-input --username root --email root@example.com")

    assert User.objects.get().check_password(SECRETS["superuser-password"])
    assert "DJANGO_SUPERUSER_PASSWORD" not in os.environ


@pytest.mark.parametrize("command", ["", "   ", [], [""]])
def test_empty_command(command: Any) -> None:
    with pytest.raises(BadManageEvent, match=r"manage: .*empty"):
        manage(command)


@pytest.mark.parametrize("command", [None, 1, {"a": 1}, ["migrate", 1], [["migrate"]]])
def test_value_that_is_not_a_command(command: Any) -> None:
    with pytest.raises(BadManageEvent, match="string or a list of strings"):
        manage(command)


def test_unclosed_quotation() -> None:
    with pytest.raises(BadManageEvent, match=r"No closing quotation.*Close the quotation"):
        manage("shell -c 'print(1)")


# Recorded runs


@pytest.mark.parametrize("exit_code", [0, 3])
def test_recorded_run_stores_output_and_exit_code(
    aws: FakeAws,
    deployed: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    exit_code: int,
) -> None:
    code = f"import sys; print('é'); print(2, file=sys.stderr); sys.exit({exit_code})"

    response = lambda_handler({"manage": shell(code), "run": RUN}, RUN_CONTEXT)

    assert response == {"run": RUN, "exit_code": exit_code}
    assert {key: json.loads(content) for key, (content, _) in aws.objects.items()} == {
        f"runs/{RUN}/started.json": {"request": CONTEXT.aws_request_id, "seconds": 900.0},
        f"runs/{RUN}/00001.json": [["out", "é\n"], ["err", "2\n"]],
        f"runs/{RUN}/result.json": {"exit_code": exit_code, "complete": True},
    }
    assert capsys.readouterr() == ("é\n", "2\n")
    assert aws.objects[f"runs/{RUN}/started.json"][1]["If-None-Match"] == "*"


def test_recorded_run_logs_only_the_beginning_of_its_output(
    aws: FakeAws,
    deployed: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(management_command, "LOGGED_CHARACTERS", 10)
    code = "print('a' * 8); print('b' * 8); print('c' * 8); 1 / 0"

    lambda_handler({"manage": shell(code), "run": RUN}, RUN_CONTEXT)

    [[_, output], *_] = json.loads(aws.objects[f"runs/{RUN}/00001.json"][0])
    assert output == "aaaaaaaa\nbbbbbbbb\ncccccccc\n"
    logged, errors = capsys.readouterr()
    assert re.fullmatch(r"aaaaaaaa\nbbbbbbbb\n\[\.\.\. .* \.\.\.\]\n", logged)
    assert errors.startswith("Traceback")


@pytest.mark.parametrize("run", ["", "short", "../../static/x", "A-RUN-IN-CAPITALS", 1, {}])
def test_invalid_run_id(run: Any) -> None:
    with pytest.raises(BadManageEvent, match=r"run: .*8 to 64"):
        lambda_handler({"manage": "check", "run": run}, CONTEXT)


# Output that is too large for a response


def test_middle_of_large_output_is_omitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(management_command, "OUTPUT_LIMIT", 1000)

    output = manage(shell("print('a' * 600 + 'b' * 600)"))["output"]

    assert output.startswith("a" * 400)
    assert output.endswith("b" * 400 + "\n")
    assert f"log group {CONTEXT.log_group_name}, request {CONTEXT.aws_request_id}" in output


def test_most_of_huge_output_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(management_command, "OUTPUT_LIMIT", 1000)
    code = "for number in range(10_000): print(f'{number:09}')"

    output = manage(shell(code))["output"]

    assert output.startswith("000000000\n")
    assert output.endswith("000009999\n")
    head, omitted, tail = re.split(r"\n\[\.\.\. (\d+) characters omitted.*\]\n", output)
    assert len(head) + int(omitted) + len(tail) == 100_000


def test_forked_child_does_not_return_to_the_handler() -> None:
    code = "import os, sys; child = os.fork(); child or sys.exit(3); print(os.waitpid(child, 0)[1])"

    assert manage(shell(code))["output"] == f"{3 << 8}\n"


def test_large_failure_keeps_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(management_command, "ERROR_LIMIT", 1000)

    with pytest.raises(ManagementCommandFailed) as error:
        manage(shell("print('a' * 6000); 1 / 0"))

    assert len(str(error.value)) < 1500
    assert str(error.value).endswith("ZeroDivisionError: division by zero\n")


@pytest.mark.parametrize(
    "text", ["a" * 10_000, "é" * 10_000, "a" * 9000 + "\0" * 1000, "😀" * 9000]
)
def test_any_shortened_text_fits(text: str) -> None:
    shortened = omit_middle(text, 5000, "the log")

    assert 4000 < len(json.dumps(shortened)) < 5100
    parts = re.search(
        r"^(.*)\n\[\.\.\. (\d+) characters omitted.*the log \.\.\.\]\n(.*)$", shortened, re.DOTALL
    )
    assert parts is not None
    omitted = text[len(parts[1]) : len(parts[1]) + int(parts[2])]
    assert text == parts[1] + omitted + parts[3]


def test_text_that_fits_is_unchanged() -> None:
    assert omit_middle("a" * 4998, 5000, "the log") == "a" * 4998


@pytest.mark.parametrize(
    ("files", "added"),
    [(["src/bakery/__init__.py"], True), (["bakery/__init__.py", "src/x.py"], False), ([], False)],
)
def test_packages_in_a_src_folder_are_found(
    files: list[str], added: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setenv("LAMBDA_TASK_ROOT", str(tmp_path))
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "bakery.settings")
    monkeypatch.setattr(sys, "path", ["/var/task", "/opt/python"])

    add_source_folder()

    assert (str(tmp_path / "src") in sys.path) is added
