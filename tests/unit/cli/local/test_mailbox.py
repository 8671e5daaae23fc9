"""The local cloud captures what SES accepts, and `djambda mail --local` shows it."""

import asyncio
import base64
import json
from collections.abc import Mapping
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from djambda_cli.commands import mail as mail_command
from djambda_cli.commands.mail import Action, choose, load_sender, mail, reason
from djambda_cli.errors import CliError
from djambda_cli.local.cloud import LocalCloud
from djambda_cli.local.emulator_mail import OUTBOUND, Result, with_capture
from djambda_cli.local.mailbox import FOLDER, Attachment, Mail, load_mail
from djambda_cli.operations.mail_rendering import mail_as_json, render_mail
from tests.unit.cli.aws_fakes import FakeClient, deployment, refusal


def message(subject: str = "Hello", text: str = "Łódź\n") -> EmailMessage:
    built = EmailMessage()
    built["From"], built["To"], built["Subject"] = "shop@example.com", "Ann <ann@a.org>", subject
    built.set_content(text)
    return built


def raw(built: EmailMessage) -> dict[str, Any]:
    return {"Raw": {"Data": base64.b64encode(built.as_bytes()).decode()}}


def send(
    folder: Path,
    content: Mapping[str, Any] | None = None,
    *,
    status: int = 200,
    path: str = OUTBOUND,
    **addresses: list[str],
) -> Result:
    """Send a message to an emulated SES that responds with a status."""

    async def emulated(*_: object) -> Result:
        return status, {}, b"{}"

    request = {
        "FromEmailAddress": "shop@example.com",
        "Destination": addresses or {"ToAddresses": ["ann@a.org"]},
        "Content": content or raw(message()),
    }
    handle = with_capture(emulated, folder / FOLDER)

    async def call() -> Result:
        return await handle("POST", path, {}, json.dumps(request).encode(), {})

    return asyncio.run(call())


def only(folder: Path) -> Mail:
    [captured] = load_mail(folder)
    return captured


def test_accepted_message_is_captured(tmp_path: Path) -> None:
    assert send(tmp_path)[0] == 200

    captured = only(tmp_path)
    assert captured.number == 1
    assert captured.recipients == ["ann@a.org"]
    assert captured.headers == {
        "From": "shop@example.com",
        "To": "Ann <ann@a.org>",
        "Subject": "Hello",
    }
    assert captured.body("plain") == "Łódź\n"
    assert captured.sent_at.utcoffset() is not None


def test_messages_are_numbered(tmp_path: Path) -> None:
    for number in range(11):
        send(tmp_path, raw(message(f"{number}")))

    assert [each.header("Subject") for each in load_mail(tmp_path)] == list(map(str, range(11)))
    assert [each.number for each in load_mail(tmp_path)] == list(range(1, 12))


def test_refused_message_is_not_captured(tmp_path: Path) -> None:
    send(tmp_path, status=400)

    assert load_mail(tmp_path) == []


def test_other_requests_are_not_captured(tmp_path: Path) -> None:
    send(tmp_path, path="/v2/email/identities")
    send(tmp_path, {"Template": {}})
    send(tmp_path, {"Raw": {"Data": "ü"}})

    assert load_mail(tmp_path) == []


def test_simple_message_is_captured(tmp_path: Path) -> None:
    body = {"Text": {"Data": "Text"}, "Html": {"Data": "<b>Text</b>"}}
    send(tmp_path, {"Simple": {"Subject": {"Data": "Zażółć"}, "Body": body}})

    captured = only(tmp_path)
    assert captured.headers["To"] == "ann@a.org"
    assert captured.headers["Subject"] == "Zażółć"
    assert captured.body("html").strip() == "<b>Text</b>"


def test_limit_of_recipients_is_that_of_ses(tmp_path: Path) -> None:
    recipients = [f"a{number}@example.org" for number in range(50)]

    assert send(tmp_path, ToAddresses=recipients)[0] == 200
    status, headers, body = send(tmp_path, ToAddresses=recipients, BccAddresses=["b@a.org"])
    assert (status, headers["x-amzn-errortype"]) == (400, "BadRequestException")
    assert "50" in json.loads(body)["message"]
    assert only(tmp_path).recipients == recipients


def test_blind_copies_are_recipients_without_a_header(tmp_path: Path) -> None:
    send(tmp_path, ToAddresses=["ann@a.org"], BccAddresses=["eve@a.org"])

    assert only(tmp_path).blind_copies == ["eve@a.org"]
    assert "Bcc: eve@a.org" in render_mail(only(tmp_path)).plain


def test_shown_message_has_headers_text_and_attachments(tmp_path: Path) -> None:
    built = message("Ihre Bestellung, Zoë")
    built.add_alternative("<p>Text</p>", subtype="html")
    built.add_attachment(bytes(1500), maintype="image", subtype="png", filename="zażółć.png")
    send(tmp_path, raw(built))

    page = render_mail(only(tmp_path)).plain
    shown = mail_as_json(only(tmp_path))

    for part in ("Subject: Ihre Bestellung, Zoë", "Łódź", "zażółć.png (image/png, 1.5 kB)", ".eml"):
        assert part in page
    assert only(tmp_path).attachments == [Attachment("zażółć.png", "image/png", 1500)]
    assert shown["html"].strip() == "<p>Text</p>"
    assert shown["attachments"] == [{"name": "zażółć.png", "type": "image/png", "size": 1500}]


def test_message_cannot_control_the_terminal(tmp_path: Path) -> None:
    send(tmp_path, raw(message(text="\x1b[2J[red]text[/red]\n")))

    page = render_mail(only(tmp_path)).plain
    assert "\x1b" not in page
    assert "[red]text[/red]" in page


def test_newest_is_the_default(tmp_path: Path) -> None:
    send(tmp_path)
    send(tmp_path)
    mails = load_mail(tmp_path)

    assert choose(mails, None).number == 2
    assert choose(mails, 1).number == 1
    for number in (3, 0):
        with pytest.raises(CliError, match=f"no message {number}"):
            choose(mails, number)


def test_reason_for_no_mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = LocalCloud(tmp_path)

    assert "The local cloud is not running" in reason(cloud, None)
    assert "MAIL_FROM=" in reason(cloud, "")
    assert "MAIL_FROM" not in reason(cloud, "Shop <shop@example.com>")
    assert "Shop <shop@example.com>" in reason(cloud, "Shop <shop@example.com>")
    with pytest.raises(CliError, match="not running"):
        mail(Action.SHOW, local=True, folder=tmp_path)


def test_sender_is_that_of_the_live_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sender(configuration: object) -> str | None:
        client = FakeClient(get_function_configuration=configuration)
        monkeypatch.setattr(
            mail_command, "use_deployment", lambda **_: deployment(**{"lambda": client})
        )
        return load_sender(LocalCloud(tmp_path))

    monkeypatch.setattr(LocalCloud, "running", lambda _: object())

    assert sender({"Environment": {"Variables": {"DJAMBDA_MAIL_FROM": "a@b.org"}}}) == "a@b.org"
    assert sender({}) == ""
    assert sender(refusal("ResourceNotFoundException")) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        bytes(range(256)),
        b'X-Captured-At: yesterday\nTo: <<<@>, "\n\ntext',
        b"Content-Type: text/plain; charset=unknown\n\ntext",
        b"Content-Type: multipart/mixed\n\ntext",
    ],
)
def test_damaged_message_is_shown_as_far_as_possible(tmp_path: Path, content: bytes) -> None:
    send(tmp_path)
    (tmp_path / FOLDER / "7.eml").write_bytes(content)

    mail(local=True, folder=tmp_path)
    mail(Action.SHOW, 7, local=True, folder=tmp_path)
    mail(Action.SHOW, 7, local=True, as_json=True, folder=tmp_path)
    send(tmp_path)

    assert [each.number for each in load_mail(tmp_path)] == [1, 7, 8]


def test_copies_of_messages_are_ignored(tmp_path: Path) -> None:
    send(tmp_path)
    (tmp_path / FOLDER / "1 (copy).eml").write_bytes(b"")

    send(tmp_path)

    assert [each.number for each in load_mail(tmp_path)] == [1, 2]


def test_lists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mail(local=True, folder=tmp_path)
    assert "MAIL_FROM" in capsys.readouterr().err
    send(tmp_path, ToAddresses=["ann@a.org", "bob@a.org"])

    mail(local=True, folder=tmp_path)
    mail(local=True, as_json=True, folder=tmp_path)

    table, _, printed = capsys.readouterr().out.partition("[\n")
    assert "ann@a.org and 1 more" in table
    [listed] = json.loads(f"[{printed}")
    assert listed["to"] == ["ann@a.org", "bob@a.org"]
    assert listed["subject"] == "Hello"


def test_mail_on_aws_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="--local"):
        mail(folder=tmp_path)
    with pytest.raises(CliError, match="show 3 --local"):
        mail(Action.LIST, 3, local=True, folder=tmp_path)
