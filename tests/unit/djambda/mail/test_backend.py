"""The email backend for SES: what it sends, when it repeats a request, and its errors."""

import base64
import email.policy
import logging
import smtplib
import socket
import time
from collections.abc import Iterator
from email.message import EmailMessage as Parsed
from typing import Any

import django
import pytest
from django.conf import settings as django_settings
from django.core import mail
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.http import HttpResponseNotFound
from django.middleware.common import BrokenLinkEmailsMiddleware
from django.test import RequestFactory
from django.utils.log import AdminEmailHandler
from pytest_django import Settings

from djambda import deadline
from djambda.mail import ses
from djambda.mail.admins import survive_failures
from djambda.mail.backend import EmailBackend, ascii_address
from djambda.mail.ses import NotSentError, OutcomeUnknownError, PartlySentError
from djambda_common import aws_api
from djambda_common.http_connection import Response
from tests.support.fake_aws import (
    FakeAws,
    fails,
    hangs_up,
    keeps_silent,
    lambda_environment,
    resets,
    responds,
)

BACKEND = "djambda.mail.backend.EmailBackend"
ACCEPTED = responds({"MessageId": "1"})
ADMINS = ["ann@example.org"] if django.VERSION >= (6, 0) else [("", "ann@example.org")]
THROTTLED = fails("TooManyRequestsException", 429, "Maximum sending rate exceeded.")


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    monkeypatch.setattr(ses, "PAUSES", (0.01, 0.01))
    with lambda_environment() as fake:
        yield fake


@pytest.fixture(autouse=True)
def backend(settings: Settings) -> None:
    """Let Django send with the backend, in the way of its version."""
    use_backend(settings)
    settings.DEFAULT_FROM_EMAIL = "Shop <shop@example.com>"


def use_backend(settings: Settings, **options: Any) -> None:
    if django.VERSION >= (6, 1):
        settings.MAILERS = {"default": {"BACKEND": BACKEND, "OPTIONS": options}}
    else:
        settings.EMAIL_BACKEND = BACKEND


def message(**fields: Any) -> EmailMessage:
    return EmailMessage(**{"subject": "Hello", "body": "Text", "to": ["ann@example.org"], **fields})


def sent(aws: FakeAws) -> tuple[Parsed, dict[str, Any]]:
    """Return the last message, and the request that sent it."""
    request = aws.requests[-1]
    assert (request.method, request.path) == ("POST", "/v2/email/outbound-emails")
    assert "/ses/aws4_request" in request.headers["authorization"]
    raw = base64.b64decode(request.json["Content"]["Raw"]["Data"])
    assert b"\n" not in raw.replace(b"\r\n", b"")
    return parse(raw), request.json


def parse(raw: bytes) -> Parsed:
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(parsed, Parsed)
    return parsed


def text_of(parsed: Parsed) -> str:
    body = parsed.get_body(("plain",))
    assert body is not None
    return str(body.get_content()).strip()


class TestMessage:
    def test_headers_and_text_arrive(self, aws: FakeAws) -> None:
        aws.will(ACCEPTED)

        assert mail.send_mail("Hello", "Text", None, ["ann@example.org"]) == 1

        parsed, request = sent(aws)
        assert "FromEmailAddress" not in request  # It would replace the header.
        assert request["Destination"] == {"ToAddresses": ["ann@example.org"]}
        assert parsed["From"] == "Shop <shop@example.com>"
        assert parsed["To"] == "ann@example.org"
        assert parsed["Subject"] == "Hello"
        assert text_of(parsed) == "Text"

    def test_blind_copies_are_in_no_header(self, aws: FakeAws) -> None:
        aws.will(ACCEPTED)

        message(cc=["bob@example.org"], bcc=["Eve <eve@example.org>"]).send()

        parsed, request = sent(aws)
        assert request["Destination"] == {
            "ToAddresses": ["ann@example.org"],
            "CcAddresses": ["bob@example.org"],
            "BccAddresses": ["eve@example.org"],
        }
        assert b"eve@" not in bytes(parsed)

    @pytest.mark.parametrize("name", ["Bcc", "bcc", "Resent-Bcc"])
    def test_header_with_blind_copies_is_not_sent(self, aws: FakeAws, name: str) -> None:
        aws.will(ACCEPTED)
        mail = message(headers={name: "eve@example.org"})

        if django.VERSION >= (6, 1) and name.lower() == "bcc":
            with pytest.raises(ValueError, match="not a valid email header"):
                mail.send()
            return
        mail.send()

        assert b"eve@" not in bytes(sent(aws)[0])

    def test_recipients_get_one_copy(self, aws: FakeAws) -> None:
        aws.will(ACCEPTED)

        bob = "bob@example.org"
        message(
            to=["ann@example.org", "Ann <ann@example.org>"], bcc=[bob, "ann@example.org", bob]
        ).send()

        assert sent(aws)[1]["Destination"] == {
            "ToAddresses": ["ann@example.org"],
            "BccAddresses": ["bob@example.org"],
        }

    def test_unicode_arrives(self, aws: FakeAws) -> None:
        aws.will(ACCEPTED)

        message(
            subject="Zażółć gęślą jaźń",
            body="Łódź",
            from_email='"Café, Bar" <shop@bücher.example>',
            to=["Zoë Ångström <zoe@müller.example>"],
        ).send()

        parsed, request = sent(aws)
        assert parsed["Subject"] == "Zażółć gęślą jaźń"
        assert text_of(parsed) == "Łódź"
        [sender], [recipient] = parsed["From"].addresses, parsed["To"].addresses
        assert (sender.display_name, sender.addr_spec) == (
            "Café, Bar",
            "shop@xn--bcher-kva.example",
        )
        assert (recipient.display_name, recipient.addr_spec) == (
            "Zoë Ångström",
            "zoe@xn--mller-kva.example",
        )
        assert request["Destination"]["ToAddresses"] == ["zoe@xn--mller-kva.example"]
        assert base64.b64decode(request["Content"]["Raw"]["Data"]).isascii()

    def test_attachments_and_html_arrive(self, aws: FakeAws) -> None:
        aws.will(ACCEPTED)
        content = bytes(range(256)) * 100
        mixed = EmailMultiAlternatives("Hello", "Text", to=["ann@example.org"])
        mixed.attach_alternative("<p>Text</p>", "text/html")
        mixed.attach("zażółć.bin", content, "application/octet-stream")
        mixed.attach("notes.txt", "Łódź", "text/plain")

        assert mixed.send() == 1

        parsed, request = sent(aws)
        html = parsed.get_body(("html",))
        assert html is not None
        assert html.get_content().strip() == "<p>Text</p>"
        binary, notes = parsed.iter_attachments()
        assert (binary.get_filename(), binary.get_content()) == ("zażółć.bin", content)
        assert notes.get_content().strip() == "Łódź"
        assert base64.b64decode(request["Content"]["Raw"]["Data"]).isascii()

    def test_headers_of_ses_are_kept(self, aws: FakeAws) -> None:
        aws.will(ACCEPTED)

        message(headers={"X-SES-CONFIGURATION-SET": "own", "Reply-To": "desk@example.com"}).send()

        parsed, _ = sent(aws)
        assert parsed["X-SES-CONFIGURATION-SET"] == "own"
        assert parsed["Reply-To"] == "desk@example.com"

    def test_id_needs_no_lookup_of_the_machines_name(
        self, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(socket, "getfqdn", lambda *_: pytest.fail("a lookup in the DNS"))
        monkeypatch.setattr(mail, "DNS_NAME", mail.CachedDnsName())
        monkeypatch.setattr("django.core.mail.message.DNS_NAME", mail.DNS_NAME)
        aws.will(ACCEPTED, ACCEPTED)
        plain = message()

        plain.send()

        assert sent(aws)[0]["Message-ID"].endswith("@example.com>")
        assert plain.extra_headers == {}

        message(headers={"message-id": "<own@example.com>"}).send()

        assert sent(aws)[0]["Message-ID"] == "<own@example.com>"

    def test_from_header_is_separate_from_the_sender(self, aws: FakeAws) -> None:
        aws.will(ACCEPTED)

        message(from_email="a@example.com", headers={"From": "Desk <b@example.com>"}).send()

        parsed, request = sent(aws)
        assert "FromEmailAddress" not in request
        assert parsed["From"] == "Desk <b@example.com>"

    def test_header_injection_is_refused(self, aws: FakeAws) -> None:
        with pytest.raises(ValueError, match=r"(?i)header|newline"):
            message(subject="Hello\nBcc: eve@example.org").send()
        assert aws.requests == []


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ann@example.org", "ann@example.org"),
        ('"Doe, Ann" <ann.doe+a@Example.org>', "ann.doe+a@example.org"),
        ("Ann <ann@bücher.example>", "ann@xn--bcher-kva.example"),
    ],
)
def test_address_is_converted_to_ascii(text: str, address: str) -> None:
    assert ascii_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        *("", "webmaster", "@example.org", "ann@", "a@example.org, b@example.org"),
        *("żółw@example.org", "a b@example.org", "a@example.org\nBcc: b@example.org"),
    ],
)
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Invalid address"):
        ascii_address(text)


class TestSeveralMessages:
    def test_are_counted_and_share_a_connection(self, aws: FakeAws) -> None:
        aws.will(ACCEPTED, ACCEPTED)
        nobody = EmailMessage("Hello", "Text")

        with EmailBackend() as connection:
            count = connection.send_messages([message(), nobody, message()])

        assert count == 2
        assert aws.connections == 1

    def test_none_are_sent_without_messages(self, aws: FakeAws) -> None:
        assert EmailBackend().send_messages([]) == 0
        assert message(to=[]).send() == 0
        assert aws.requests == []

    def test_first_failure_ends_them(self, aws: FakeAws) -> None:
        aws.will(ACCEPTED, fails("MessageRejected", 400))

        with pytest.raises(NotSentError):
            EmailBackend().send_messages([message(), message(), message()])

        assert len(aws.requests) == 2


class TestLimits:
    def test_more_than_50_recipients_take_several_requests(self, aws: FakeAws) -> None:
        aws.will(ACCEPTED, ACCEPTED, ACCEPTED)
        to = [f"a{number}@example.org" for number in range(60)]
        bcc = [f"b{number}@example.org" for number in range(60)]

        assert message(to=to, bcc=bcc).send() == 1

        destinations = [request.json["Destination"] for request in aws.requests]
        counts = [sum(map(len, destination.values())) for destination in destinations]
        assert counts == [50, 50, 20]
        assert [address for each in destinations for address in each.get("ToAddresses", ())] == to
        contents = {request.json["Content"]["Raw"]["Data"] for request in aws.requests}
        assert len(contents) == 1

    def test_failure_after_some_recipients_says_so(self, aws: FakeAws) -> None:
        aws.will(ACCEPTED, fails("MessageRejected", 400))

        with pytest.raises(PartlySentError, match="first 50 of 60 recipients"):
            message(to=[f"a{number}@example.org" for number in range(60)]).send()

    def test_message_that_is_too_large_is_not_sent(
        self, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ses, "MAX_BYTES", 1024**2)
        large = message()
        large.attach("large.bin", bytes(1024**2), "application/octet-stream")

        with pytest.raises(NotSentError, match="SES accepts 1 MB"):
            large.send()
        assert aws.requests == []


class TestRefused:
    def test_error_has_the_code_and_message_of_ses(self, aws: FakeAws) -> None:
        aws.will(fails("MessageRejected", 400, "Transaction failed: Illegal content"))

        with pytest.raises(smtplib.SMTPException, match="Illegal content") as caught:
            message().send()

        assert isinstance(caught.value, NotSentError)
        assert caught.value.code == "MessageRejected"
        assert len(aws.requests) == 1

    @pytest.mark.parametrize(
        ("code", "text", "remedy"),
        [
            (
                "MessageRejected",
                "Email address is not verified: shop@example.com, ann@example.org",
                "djambda doctor",
            ),
            ("MailFromDomainNotVerifiedException", "The domain is not verified.", "djambda doctor"),
            ("AccessDeniedException", "not authorized to perform", "DEFAULT_FROM_EMAIL"),
            ("SendingPausedException", "Email sending is paused.", "djambda doctor"),
            ("TooManyRequestsException", "Daily message quota exceeded.", "higher quota"),
        ],
    )
    def test_error_says_what_to_do(self, code: str, text: str, remedy: str, aws: FakeAws) -> None:
        aws.will(fails(code, 400, text))

        with pytest.raises(NotSentError) as caught:
            message().send()

        assert text.rpartition(" ")[0].removesuffix(" shop@example.com,") in str(caught.value)
        assert remedy in str(caught.value)
        assert len(aws.requests) == 1

    def test_error_names_the_sender_but_no_recipient(self, aws: FakeAws) -> None:
        text = "is not verified: shop@example.com, ann@example.org, eve@example.org"
        aws.will(fails("MessageRejected", 400, text))

        with pytest.raises(NotSentError) as caught:
            message(bcc=["eve@example.org"], to=["ann@example.org", "shop@example.com"]).send()

        assert "shop@example.com, a recipient, a recipient" in str(caught.value)


class TestRepetition:
    def test_throttled_message_is_sent_again(self, aws: FakeAws) -> None:
        aws.will(THROTTLED, THROTTLED, ACCEPTED)

        assert message().send() == 1
        assert len(aws.requests) == 3

    def test_it_is_given_up_soon(self, aws: FakeAws) -> None:
        aws.will(*[THROTTLED] * 4)

        with pytest.raises(NotSentError, match="Maximum sending rate"):
            message().send()
        assert len(aws.requests) == 3

    @pytest.mark.parametrize("breaks", [hangs_up, resets])
    def test_incomplete_request_is_sent_again(self, breaks: Any, aws: FakeAws) -> None:
        aws.will_early(breaks)
        aws.will(ACCEPTED)
        large = message()
        large.attach("large.bin", bytes(20_000_000), "application/octet-stream")

        assert large.send() == 1
        assert len(aws.requests) == 1

    @pytest.mark.parametrize(
        "reply",
        [
            hangs_up,
            resets,
            fails("InternalFailure", 500),
            fails("ServiceUnavailable", 503),
        ],
    )
    def test_message_that_may_have_been_sent_is_not(self, reply: Any, aws: FakeAws) -> None:
        aws.will(reply, ACCEPTED)

        with pytest.raises(OutcomeUnknownError, match="may have been sent"):
            message().send()
        assert len(aws.requests) == 1


class TestTime:
    def test_page_waits_for_a_few_seconds_only(
        self, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert ses.REQUEST_SECONDS <= 5
        monkeypatch.setattr(ses, "REQUEST_SECONDS", 0.2)
        monkeypatch.setattr(deadline, "current", deadline.Deadline(connect_seconds=25, seconds=25))
        aws.will(keeps_silent, ACCEPTED)

        with pytest.raises(OutcomeUnknownError, match="no response within"):
            message().send()
        assert len(aws.requests) == 1

    def test_page_waits_no_longer_for_many_recipients(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = [1000.0]
        timeouts: list[float] = []

        def call(_service: str, *, timeout: float, **_: Any) -> Response:
            timeouts.append(timeout)
            clock[0] += 3
            return Response(200, {}, b"{}")

        monkeypatch.setattr(time, "monotonic", lambda: clock[0])
        monkeypatch.setattr(aws_api, "call", call)
        monkeypatch.setattr(deadline, "current", deadline.Deadline(connect_seconds=25, seconds=25))
        many = message(to=[f"a{number}@example.org" for number in range(120)])

        with pytest.raises(PartlySentError, match="first 100 of 120"):
            many.send()
        assert [round(timeout) for timeout in timeouts] == [5, 2]

        timeouts.clear()
        deadline.start_command()
        assert many.send() == 1
        assert [round(timeout) for timeout in timeouts] == [30, 30, 30]

    def test_page_without_time_sends_nothing(
        self, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        late = deadline.Deadline(connect_seconds=0, seconds=0.5)
        monkeypatch.setattr(deadline, "current", late)

        with pytest.raises(NotSentError, match="no time left"):
            message().send()
        assert aws.requests == []

    def test_command_waits_longer(self, aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ses, "COMMAND_SECONDS", 0.2)
        deadline.start_command()
        aws.will(keeps_silent)

        with pytest.raises(OutcomeUnknownError, match="no response within"):
            message().send()

    def test_request_that_sends_mail_may_be_processed(
        self, aws: FakeAws, unsafe_request: deadline.Deadline
    ) -> None:
        aws.will(ACCEPTED)
        message().send()
        assert unsafe_request.acted

    def test_page_that_has_been_stopped_does_not_wait_for_mail_to_admins(
        self, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stopped = deadline.Deadline(connect_seconds=25)
        stopped.is_late = True
        monkeypatch.setattr(deadline, "current", stopped)
        monkeypatch.setattr(ses, "COMMAND_SECONDS", 60)
        aws.will(keeps_silent)

        with pytest.raises(OutcomeUnknownError, match=r"no response within 0\.[0-5] s"):
            message().send()

    @pytest.mark.usefixtures("aws")
    def test_unreachable_service_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")

        with pytest.raises(NotSentError, match="cannot be reached"):
            message().send()


class TestSilentFailure:
    def test_is_logged_without_recipients(
        self, aws: FakeAws, caplog: pytest.LogCaptureFixture
    ) -> None:
        aws.will(fails("MessageRejected", 400, "not verified: ann@example.org"), ACCEPTED)

        sent = EmailBackend(fail_silently=True).send_messages([message(), message()])

        assert sent == 1
        assert "MessageRejected" in caplog.text
        assert "ann@example.org" not in caplog.text
        assert [record.levelno for record in caplog.records] == [logging.WARNING]

    def test_rest_is_not_tried_without_a_response(self, aws: FakeAws) -> None:
        aws.will(hangs_up, ACCEPTED)

        assert EmailBackend(fail_silently=True).send_messages([message(), message()]) == 0
        assert len(aws.requests) == 1

    def test_rest_is_tried_after_a_message_that_is_too_large(
        self, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ses, "MAX_BYTES", 10_000)
        large = message(body="long\n" * 10_000)
        aws.will(ACCEPTED)

        assert EmailBackend(fail_silently=True).send_messages([large, message()]) == 1

    @pytest.mark.skipif(django.VERSION < (6, 1), reason="an option of MAILERS")
    def test_is_an_option_of_mailers(self, aws: FakeAws, settings: Settings) -> None:
        use_backend(settings, fail_silently=True)
        aws.will(fails("MessageRejected", 400))

        assert message().send(using="default") == 0

    @pytest.mark.skipif(django.VERSION < (6, 1), reason="an option of MAILERS")
    def test_unknown_option_is_an_error(self, settings: Settings) -> None:
        use_backend(settings, region="eu-west-1")

        with pytest.raises(mail.InvalidMailer, match="region"):
            message().send()

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    @pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
    def test_is_an_argument_of_earlier_versions(self, aws: FakeAws) -> None:
        aws.will(fails("MessageRejected", 400), fails("MessageRejected", 400))

        assert mail.send_mail("Hello", "", None, ["a@example.org"], fail_silently=True) == 0
        assert mail.get_connection(fail_silently=True).send_messages([message()]) == 0


def test_admins_get_errors(aws: FakeAws, settings: Settings) -> None:
    settings.ADMINS = ADMINS
    settings.SERVER_EMAIL = django_settings.DEFAULT_FROM_EMAIL
    aws.will(ACCEPTED)

    mail.mail_admins("Down", "Text")

    assert sent(aws)[0]["Subject"].endswith("Down")


def test_connection_is_closed_after_a_while(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    aws.will(ACCEPTED, ACCEPTED)
    message().send()
    later = time.time() + aws_api.MAX_IDLE + 1
    monkeypatch.setattr(time, "time", lambda: later)

    message().send()

    assert aws.connections == 2


class TestAdmins:
    """AdminEmailHandler, which since Django 6.1 raises what a mailer's backend raises."""

    @pytest.fixture(autouse=True)
    def admins(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        settings.ADMINS = ADMINS
        monkeypatch.setattr(AdminEmailHandler, "emit", AdminEmailHandler.emit)  # Restored.
        if django.VERSION >= (6, 1):
            send_mail = BrokenLinkEmailsMiddleware.send_mail
            monkeypatch.setattr(BrokenLinkEmailsMiddleware, "send_mail", send_mail)
        settings.MANAGERS = ADMINS
        survive_failures()

    def test_refused_mail_does_not_end_what_logs_an_error(
        self, aws: FakeAws, capsys: pytest.CaptureFixture[str]
    ) -> None:
        aws.will(fails("MessageRejected", 400, "Email address is not verified."))
        handler = AdminEmailHandler()

        handler.handle(logging.makeLogRecord({"msg": "An error", "levelno": logging.ERROR}))

        assert len(aws.requests) == 1
        reported = "MessageRejected" in capsys.readouterr().err
        assert reported == (django.VERSION >= (6, 1))  # Earlier versions ignore failures.

    def test_refused_mail_about_a_broken_link_leaves_the_page(
        self, aws: FakeAws, caplog: pytest.LogCaptureFixture, settings: Settings
    ) -> None:
        settings.ALLOWED_HOSTS = ["*"]
        aws.will(fails("MessageRejected", 400, "Email address is not verified."))
        middleware = BrokenLinkEmailsMiddleware(lambda _: HttpResponseNotFound("the page"))
        request = RequestFactory().get("/missing/", HTTP_REFERER="http://example.org/links/")

        response: Any = middleware(request)

        assert response.content == b"the page"

        assert len(aws.requests) == 1
        assert "MessageRejected" in caplog.text

    def test_mail_is_sent(self, aws: FakeAws) -> None:
        aws.will(ACCEPTED)

        AdminEmailHandler().handle(
            logging.makeLogRecord(
                {"msg": "An error", "levelno": logging.ERROR, "levelname": "ERROR"}
            )
        )

        assert "An error" in sent(aws)[0]["Subject"]
