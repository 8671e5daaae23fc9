"""Mail in the local cloud: from a page to `djambda mail --local`."""

import json
import re
from email.message import EmailMessage
from typing import Any

import httpx

from djambda_cli.local.mailbox import load_mail
from tests.cloud.local import Cloud, csrf_token

SEND = """
from django.core.mail import EmailMultiAlternatives

message = EmailMultiAlternatives("Zażółć", "Łódź", to=["Zoë <zoe@example.org>"])
message.bcc = [f"b{number}@example.org" for number in range(60)]
message.attach_alternative("<p>Łódź</p>", "text/html")
message.attach("data.bin", bytes(range(256)), "application/octet-stream")
print(message.send())
"""


def newest(cloud: Cloud) -> dict[str, Any]:
    shown = cloud.djambda("mail show --json")
    assert shown.returncode == 0, shown.stderr
    mail: dict[str, Any] = json.loads(shown.stdout)
    return mail


def test_page_sends_a_link_to_itself(cloud: Cloud, visitor: httpx.Client) -> None:
    email = cloud.manage(["shell", "-c", "print(User.objects.first().email)"])["output"]
    form = visitor.get("accounts/password_reset/")

    sent = visitor.post(
        "accounts/password_reset/",
        data={"csrfmiddlewaretoken": csrf_token(form), "email": email.split()[-1]},
        headers={"Origin": f"http://{visitor.headers['Host']}"},
    )

    assert sent.status_code == 302
    mail = newest(cloud)
    assert mail["from"] == "Shop <shop@example.com>"
    assert f"{cloud.site}accounts/reset/" in mail["text"]


def test_message_arrives_as_it_was_sent(cloud: Cloud) -> None:
    before = len(load_mail(cloud.folder))

    result = cloud.manage(["shell", "-c", SEND])

    assert re.search(r"^1$", result["output"], re.MULTILINE), result
    first, second = load_mail(cloud.folder)[before:]
    assert first.headers["Subject"] == second.headers["Subject"] == "Zażółć"
    assert len(first.recipients) == 50
    assert len({*first.recipients, *second.recipients}) == 61
    assert first.body("plain").strip() == "Łódź"
    [attachment] = first.message.iter_attachments()
    assert isinstance(attachment, EmailMessage)
    assert attachment.get_content() == bytes(range(256))
    listed = cloud.djambda("mail")
    assert "zoe@example.org and 49 more" in " ".join(listed.stdout.split())
