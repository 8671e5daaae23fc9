"""Requests that take too long, and requests that need a paused database."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import OperationalError, connection, connections, transaction
from django.db.backends.postgresql.base import DatabaseWrapper as Postgres
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import URLPattern, path, re_path
from django.views.decorators.csrf import csrf_exempt
from pytest_django import Settings

from djambda import deadline, web_request
from djambda.awslambda import lambda_handler
from djambda.db.base import DatabaseWrapper
from djambda_common.names import ERROR_HEADER
from tests.support.lambda_events import API_HOST, CONTEXT, Pairs, body_of, make_v1_event
from tests.unit.djambda.test_db import ResumingServer

BROWSER: Pairs = [("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate")]
SCRIPT: Pairs = [("Accept", "application/json")]

pytestmark = pytest.mark.django_db(transaction=True)

done: list[str] = []
"""What the views have done."""


def sleep(_request: HttpRequest) -> HttpResponse:
    done.append("first")
    time.sleep(30)
    done.append("second")
    return HttpResponse("late")


def catch_everything(_request: HttpRequest) -> HttpResponse:
    try:
        time.sleep(30)
    except BaseException:  # noqa: BLE001
        time.sleep(30)
    done.append("second")
    return HttpResponse("late")


async def sleep_async(_request: HttpRequest) -> HttpResponse:
    done.append("first")
    await asyncio.sleep(2)
    done.append("second")
    return HttpResponse("late")


def stream(_request: HttpRequest) -> StreamingHttpResponse:
    def chunks() -> Iterator[str]:
        yield "one"
        time.sleep(30)
        yield "two"

    return StreamingHttpResponse(chunks())


def stream_query(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(query(request) for _ in range(1))


def query_other(request: HttpRequest) -> HttpResponse:
    """Query another database of the project, with Django's own backend."""
    other = Postgres({**connection.settings_dict, "OPTIONS": {}}, "other")
    with contextlib.closing(other), other.cursor() as cursor:
        cursor.execute(request.GET["sql"])
    return HttpResponse("late")


pool = ThreadPoolExecutor(2)


def sleep_after_work(_request: HttpRequest) -> HttpResponse:
    pool.submit(ok, None).result()
    time.sleep(30)
    return HttpResponse("late")


kept: list[Postgres] = []
"""The connection that the thread of `single` keeps."""
single = ThreadPoolExecutor(1)


def query_in_thread(_request: HttpRequest) -> HttpResponse:
    def backend_pid() -> str:
        if not kept:
            kept.append(Postgres({**connection.settings_dict, "OPTIONS": {}}, "kept"))
        with kept[0].cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return str(cursor.fetchone()[0])

    return HttpResponse(single.submit(backend_pid).result())


def work(request: HttpRequest) -> HttpResponse:
    return pool.submit(ok, request).result()


def queue_work(_request: HttpRequest) -> HttpResponse:
    def write() -> None:
        for _ in range(200):
            time.sleep(0.01)
        done.append("second")

    with ThreadPoolExecutor(1) as own:
        for _ in range(4):
            own.submit(write)
    return HttpResponse("late")


def query(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute(request.GET["sql"])
        return HttpResponse(str(cursor.fetchall()))


def query_stopped_server(_request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        done.append(str(connection.connection.info.backend_pid))
        os.kill(int(done[0]), signal.SIGSTOP)
        cursor.execute("SELECT 1")
    return HttpResponse("late")


def query_twice(request: HttpRequest) -> HttpResponse:
    with contextlib.suppress(OperationalError):
        return query(request)
    return query(request)


def write_and_sleep(_request: HttpRequest) -> HttpResponse:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("CREATE TABLE of_a_stopped_request ()")
        time.sleep(30)
    return HttpResponse("late")


def act_and_query(request: HttpRequest) -> HttpResponse:
    deadline.current.act()
    return query(request)


def query_and_act(request: HttpRequest) -> HttpResponse:
    try:
        return query(request)
    finally:
        deadline.current.act()


def lose_connection(request: HttpRequest) -> HttpResponse:
    query(request)
    connection.close()
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    connection.settings_dict |= {"HOST": "127.0.0.1", "PORT": port}
    return query(request)


def write_with_own_alarm(_request: HttpRequest) -> HttpResponse:
    """Write after the end of the time, with the timer used for something else."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    time.sleep(1.2)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE of_a_stopped_request ()")
    return HttpResponse("late")


def handle_absence(_request: HttpRequest) -> HttpResponse:
    try:
        connection.ensure_connection()
    except OperationalError:
        return HttpResponse("from the cache")
    return HttpResponse("from the database")


def fail(_request: HttpRequest) -> HttpResponse:
    raise ZeroDivisionError


def ok(_request: HttpRequest | None) -> HttpResponse:
    return HttpResponse("ok")


def patience(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(round(deadline.current.connect_seconds)))


urlpatterns = [
    path(f"{view.__name__}/", csrf_exempt(view))
    for view in (
        *(sleep, catch_everything, sleep_async, stream, query, query_twice, write_and_sleep),
        *(query_stopped_server, handle_absence, fail, ok, stream_query, query_other, patience),
        *(sleep_after_work, query_in_thread, work, queue_work),
        *(act_and_query, query_and_act, lose_connection, write_with_own_alarm),
    )
]


@pytest.fixture(autouse=True)
def site(settings: Settings) -> None:
    settings.ROOT_URLCONF = __name__
    settings.ALLOWED_HOSTS = [API_HOST]
    done.clear()


@pytest.fixture
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let requests end after a second."""
    monkeypatch.setattr(deadline, "GATEWAY_SECONDS", 1 + deadline.RESPONSE_SECONDS)


def get(path: str, *, headers: Pairs = BROWSER, **query: str) -> dict[str, Any]:
    event = make_v1_event("GET", path, headers=headers, query=list(query.items()))
    event["requestContext"]["requestTimeEpoch"] = int(time.time() * 1000)
    return lambda_handler(event, CONTEXT)


def urlconf(*patterns: URLPattern) -> ModuleType:
    """Return a URLconf."""
    module = ModuleType("urls")
    module.urlpatterns = patterns  # type: ignore[attr-defined]
    return module


def error_of(response: dict[str, Any]) -> str:
    return str(response["multiValueHeaders"].get(ERROR_HEADER, [""])[0].partition(" ")[0])


@pytest.mark.usefixtures("in_a_hurry")
class TestRequestTakesTooLong:
    @pytest.mark.parametrize("view", ["sleep", "sleep_async", "catch_everything", "stream"])
    def test_is_stopped(self, view: str) -> None:
        started = time.monotonic()
        response = get(f"/{view}/")
        assert time.monotonic() - started < 10
        assert response["statusCode"] == 503
        assert error_of(response) == "timed_out"
        assert "took too long" in body_of(response).decode()
        time.sleep(2 if view == "sleep_async" else 0)
        assert "second" not in done

    def test_log_shows_where_it_hung(self, caplog: pytest.LogCaptureFixture) -> None:
        get("/sleep/")
        [record] = [record for record in caplog.records if record.name == "django.request"]
        assert record.levelno == logging.ERROR
        assert "GET /prod/sleep/" in record.getMessage()
        assert "in sleep" in caplog.text
        assert "time.sleep(30)" in caplog.text

    def test_log_shows_the_threads_of_the_request_alone(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        own = threading.Thread(target=time.sleep, args=(3,), name="of the runtime", daemon=True)
        monkeypatch.setattr(deadline, "own_threads", {*deadline.own_threads, own})
        threading.Timer(0.2, own.start).start()
        get("/sleep_async/")
        assert "Thread ThreadPoolExecutor" in caplog.text
        assert "of the runtime" not in caplog.text

    def test_api_client_gets_json(self) -> None:
        response = get("/sleep/", headers=SCRIPT)
        assert json.loads(body_of(response))["error"] == "timed_out"

    def test_threads_without_work_are_kept(self) -> None:
        assert error_of(get("/sleep_after_work/")) == "timed_out"
        assert body_of(get("/work/")) == b"ok"

    def test_threads_are_stopped_with_the_work_that_waits(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(deadline, "THREADS_SECONDS", 2.0)
        assert error_of(get("/queue_work/")) == "timed_out"
        time.sleep(2.5)
        assert "second" not in done

    def test_next_request_has_its_own_time(self) -> None:
        get("/sleep/")
        assert deadline.current.is_late
        time.sleep(1.1)
        assert get("/ok/")["statusCode"] == 200
        assert not deadline.current.is_late

    def test_time_before_the_handler_counts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(deadline, "GATEWAY_SECONDS", 25.0)
        event = make_v1_event("GET", "/sleep/")
        event["requestContext"]["requestTimeEpoch"] = int((time.time() - 23.9) * 1000)
        started = time.monotonic()
        assert lambda_handler(event, CONTEXT)["statusCode"] == 503
        assert time.monotonic() - started < 10

    @pytest.mark.usefixtures("database")
    @pytest.mark.parametrize("view", ["write_and_sleep", "write_with_own_alarm"])
    def test_nothing_is_written(self, view: str) -> None:
        assert error_of(get(f"/{view}/")) == "timed_out"
        sql = "SELECT to_regclass('of_a_stopped_request')"
        assert body_of(get("/query/", sql=sql)) == b"[(None,)]"

    @pytest.mark.usefixtures("database")
    def test_query_is_stopped_by_the_server(self) -> None:
        assert error_of(get("/query/", sql="SELECT pg_sleep(30)")) == "timed_out"
        running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%%sleep(30)'"
        assert body_of(get("/query/", sql=running)) == b"[(0,)]"

    @pytest.mark.usefixtures("database")
    def test_query_to_another_database_is_left(self) -> None:
        started = time.monotonic()
        assert error_of(get("/query_other/", sql="SELECT pg_sleep(8)")) == "timed_out"
        assert time.monotonic() - started < 5

    @pytest.mark.usefixtures("database")
    def test_idle_connection_of_another_thread_is_kept(self) -> None:
        session = body_of(get("/query_in_thread/"))
        assert error_of(get("/query_other/", sql="SELECT pg_sleep(8)")) == "timed_out"
        assert body_of(get("/query_in_thread/")) == session
        single.submit(kept.pop().close).result()

    @pytest.mark.usefixtures("database")
    def test_server_that_does_not_respond_is_left(self) -> None:
        started = time.monotonic()
        try:
            assert error_of(get("/query_stopped_server/")) == "timed_out"
        finally:
            os.kill(int(done[0]), signal.SIGCONT)
        assert time.monotonic() - started < 5
        assert body_of(get("/query/", sql="SELECT 1")) == b"[(1,)]"

    def test_wait_for_a_lock_is_stopped(self, database: dict[str, Any]) -> None:
        with contextlib.closing(DatabaseWrapper(database, "other")) as other:
            other.ensure_connection()
            with other.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_lock(7)")
            assert error_of(get("/query/", sql="SELECT pg_advisory_lock(7)")) == "timed_out"


class TestServersLimits:
    SHOW = "SELECT current_setting('statement_timeout'), current_setting('lock_timeout')"

    def timeouts(self) -> list[str]:
        text = body_of(get("/query/", sql=self.SHOW)).decode()
        return [part.strip("'") for part in text.strip("[()]").split(", ")]

    @pytest.mark.usefixtures("database")
    def test_follow_the_requests_time(self) -> None:
        for _ in range(2):  # With a new connection, and with a reused one.
            for timeout in self.timeouts():
                assert timeout.endswith("ms")
                assert 25_000 < int(timeout.removesuffix("ms")) <= 27_000

    def test_of_the_project_are_kept(self, database: dict[str, Any]) -> None:
        database["OPTIONS"]["options"] = "-c statement_timeout=5000"
        for _ in range(2):
            statement, lock = self.timeouts()
            assert statement == "5s"
            assert lock.endswith("ms")

    @pytest.mark.usefixtures("database")
    def test_shrink_during_a_request(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("djambda.db.base.REFRESH_SECONDS", 0.0)
        sql = "SELECT current_setting('statement_timeout')"
        with deadline.limited_request({}, CONTEXT), connection.cursor() as cursor:
            seen = []
            for _ in range(2):
                cursor.execute(sql)
                seen += cursor.fetchone()
                time.sleep(0.05)
        assert seen[0] > seen[1]

    @pytest.mark.usefixtures("database")
    def test_do_not_apply_to_commands(self) -> None:
        self.timeouts()
        code = f"from django.db import connection as c; u = c.cursor(); u.execute({self.SHOW!r})"
        code += "; print(u.fetchone()); u.execute('SHOW idle_session_timeout'); print(u.fetchone())"
        result = lambda_handler({"manage": ["shell", "--no-imports", "-c", code]}, CONTEXT)
        assert result["output"] == "('0', '0')\n('15min',)\n"
        for timeout in self.timeouts():
            assert timeout.endswith("ms")


class TestSessions:
    def test_replaced_after_a_pause_in_a_command(
        self, database: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("djambda.db.base.IDLE_SECONDS", 0.2)
        deadline.start_command()
        connections["default"].ensure_connection()
        pid = connections["default"].connection.info.backend_pid
        other = DatabaseWrapper(database, "other")
        with contextlib.closing(other), other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 2000)", [pid])
        time.sleep(0.3)
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            assert cursor.fetchone() == (1,)


@pytest.fixture
def asleep(database: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Let connections hang."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        database |= {"HOST": "127.0.0.1", "PORT": server.getsockname()[1]}
        yield database


@pytest.fixture
def refused(database: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let connections fail at once, as those of a paused database, too."""
    monkeypatch.setattr(deadline, "NAVIGATION_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as unused:
        database |= {"HOST": "127.0.0.1", "PORT": unused.getsockname()[1]}


class TestDatabaseIsPaused:
    SQL = "SELECT 1"

    @pytest.mark.usefixtures("asleep")
    def test_visitor_gets_a_page_soon(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        started = time.monotonic()
        response = get("/query/", sql=self.SQL)
        assert time.monotonic() - started < 4
        assert response["statusCode"] == 503
        assert error_of(response) == "waking_up"
        assert "Waking up" in body_of(response).decode()
        assert not [record for record in caplog.records if record.levelno > logging.INFO]

    def test_project_cannot_let_the_visitor_wait_longer(self, asleep: dict[str, Any]) -> None:
        asleep["OPTIONS"]["resume_seconds"] = 20
        started = time.monotonic()
        assert error_of(get("/query/", sql=self.SQL)) == "waking_up"
        assert time.monotonic() - started < 10

    @pytest.mark.usefixtures("refused")
    def test_visitor_gets_a_page_if_the_view_streams(self) -> None:
        response = get("/stream_query/", sql=self.SQL)
        assert error_of(response) == "waking_up"
        assert b'content="2; url=./?sql=SELECT+1"' in body_of(response)

    @pytest.mark.usefixtures("refused")
    def test_visitor_gets_a_page_if_the_project_propagates_exceptions(
        self, settings: Settings
    ) -> None:
        settings.DEBUG_PROPAGATE_EXCEPTIONS = True
        assert error_of(get("/query/", sql=self.SQL)) == "waking_up"

    @pytest.mark.usefixtures("refused")
    def test_is_an_error_in_the_log_after_two_minutes(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def levels(seconds: float) -> list[int]:
            caplog.clear()
            monkeypatch.setattr(web_request, "time", SimpleNamespace(time=lambda: 1000 + seconds))
            assert error_of(get("/query/", sql=self.SQL)) == "waking_up"
            return [record.levelno for record in caplog.records if record.levelno > logging.INFO]

        assert [levels(seconds) for seconds in (0, 100, 119)] == [[], [], []]
        assert levels(130) == [logging.ERROR]
        assert "refused" in caplog.text
        assert deadline.current.is_late  # Log handlers must not let the visitor wait.
        assert levels(5000) == []

    @pytest.mark.parametrize(
        ("destination", "seconds"), [("document", "3"), ("iframe", "25"), ("embed", "25")]
    )
    def test_frame_waits_longer_than_a_page(self, destination: str, seconds: str) -> None:
        headers = [*BROWSER, ("Sec-Fetch-Dest", destination)]
        assert body_of(get("/patience/", headers=headers)).decode() == seconds

    @pytest.mark.usefixtures("refused")
    @pytest.mark.parametrize(
        ("method", "view", "error"),
        [
            ("POST", "act_and_query", "unfinished"),
            ("GET", "act_and_query", "waking_up"),
            ("POST", "query_and_act", "waking_up"),
        ],
    )
    def test_form_that_has_sent_something_may_be_processed(
        self, method: str, view: str, error: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(deadline, "CONNECT_RESERVE", 27.0)
        event = make_v1_event(method, f"/{view}/", query=[("sql", self.SQL)], headers=BROWSER)
        assert error_of(lambda_handler(event, CONTEXT)) == error

    def test_connection_of_an_earlier_request_counts(
        self, database: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(deadline, "NAVIGATION_SECONDS", 0.1)
        database["CONN_MAX_AGE"] = 50
        assert get("/query/", sql=self.SQL)["statusCode"] == 200
        response = get("/lose_connection/", sql=self.SQL)
        assert response["statusCode"] == 500
        assert error_of(response) == ""

    @pytest.mark.usefixtures("asleep")
    def test_second_attempt_in_a_request_does_not_wait(self) -> None:
        started = time.monotonic()
        assert error_of(get("/query_twice/", sql=self.SQL)) == "waking_up"
        assert time.monotonic() - started < 5

    @pytest.mark.usefixtures("asleep")
    def test_page_without_a_query_does_not_wait(self) -> None:
        assert get("/ok/")["statusCode"] == 200

    @pytest.mark.usefixtures("asleep")
    def test_response_of_a_view_that_handles_it_is_kept(self) -> None:
        assert body_of(get("/handle_absence/")) == b"from the cache"

    @pytest.mark.usefixtures("asleep")
    def test_other_errors_are_reported(self, caplog: pytest.LogCaptureFixture) -> None:
        response = get("/fail/")
        assert response["statusCode"] == 500
        assert error_of(response) == ""
        assert "ZeroDivisionError" in caplog.text

    def test_wrong_password_is_an_error(self, database: dict[str, Any]) -> None:
        database["NAME"] = "nonsense"
        response = get("/query/", sql=self.SQL)
        assert response["statusCode"] == 500
        assert error_of(response) == ""

    @pytest.mark.parametrize("headers", [BROWSER, SCRIPT])
    def test_request_succeeds_if_it_wakes_in_time(
        self, headers: Pairs, database: dict[str, Any]
    ) -> None:
        server = ResumingServer(rejected=3, server=str(database["HOST"]))
        database |= {"HOST": "127.0.0.1", "PORT": server.port}
        try:
            assert body_of(get("/query/", sql=self.SQL, headers=headers)) == b"[(1,)]"
        finally:
            connections["default"].close()
            server.close()
        assert server.clients == 4


class TestQuietPaths:
    @pytest.mark.usefixtures("asleep")
    @pytest.mark.parametrize(
        ("path", "status", "content"),
        [
            ("/livez", 200, b'{"status": "ok"}'),
            ("/robots.txt", 200, b"User-agent: *\nDisallow:\n"),
            ("/favicon.ico", 404, b"Not found.\n"),
        ],
    )
    def test_need_no_database(
        self, path: str, status: int, content: bytes, settings: Settings
    ) -> None:
        settings.ROOT_URLCONF = urlconf(re_path("^(.*)$", query))
        settings.MIDDLEWARE = ["a.middleware.that.does.not.exist"]
        response = get(path)
        assert response["statusCode"] == status
        assert body_of(response) == content

    def test_may_be_kept_unless_the_urls_are_not_known_yet(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def caching(path: str) -> str:
            return str(get(path)["multiValueHeaders"]["cache-control"][0])

        get("/ok/")
        assert caching("/robots.txt") == "max-age=86400"
        assert caching("/livez") == "no-store"
        monkeypatch.setattr(web_request, "_urls_are_loaded", False)
        assert caching("/robots.txt") == "no-store"

    def test_of_the_project_have_precedence(self, settings: Settings) -> None:
        paths = ("livez", "robots.txt", "favicon.ico")
        settings.ROOT_URLCONF = urlconf(*(path(name, ok) for name in paths))
        for name in paths:
            assert body_of(get(f"/{name}")) == b"ok"

    @pytest.mark.parametrize("name", ["robots.txt", "favicon.ico"])
    def test_static_file_has_precedence(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        hashed = f"{name}.0123.x"
        storage = SimpleNamespace(
            stored_name=lambda _: hashed,
            hashed_files={name: hashed},
            url=lambda name: f"https://bucket.example/static/{name}",
        )
        monkeypatch.setattr("djambda.quiet_paths.staticfiles_storage", storage)
        response = get(f"/{name}")
        assert response["statusCode"] == 302
        location = response["multiValueHeaders"]["location"]
        assert location == [f"https://bucket.example/static/{name}"]

    def test_forms_reach_the_project(self) -> None:
        event = make_v1_event("POST", "/robots.txt")
        assert lambda_handler(event, CONTEXT)["statusCode"] == 404


class TestUrls:
    @pytest.mark.usefixtures("asleep")
    def test_are_loaded_without_waiting(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(web_request, "_urls_are_loaded", False)

        class Resolver:
            loaded = False

            @property
            def reverse_dict(self) -> dict[str, str]:
                with contextlib.suppress(Exception):  # As django CMS does.
                    connection.ensure_connection()
                self.loaded = True
                return {}

        resolver = Resolver()
        monkeypatch.setattr(web_request, "get_resolver", lambda: resolver)
        deadline.current = deadline.Deadline(connect_seconds=2)
        started = time.monotonic()
        with pytest.raises(deadline.DatabaseNeeded):
            web_request.load_urls(wait=False)
        assert time.monotonic() - started < 1
        assert not deadline.current.asleep
        assert error_of(get("/ok/")) == "waking_up"
        assert not resolver.loaded


def test_signal_at_the_end_of_a_request_does_not_leave_the_timer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Interrupted(deadline._Stop):
        is_new = True

        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, value)
            if value is False and self.is_new:
                super().__setattr__("is_new", False)
                super().__setattr__("enabled", True)
                raise deadline.RequestTimedOut

    monkeypatch.setattr(deadline, "_Stop", Interrupted)
    with pytest.raises(deadline.RequestTimedOut), deadline.limited_request({}, CONTEXT):
        pass
    assert not any(signal.getitimer(signal.ITIMER_REAL))
    assert deadline.current.ends is None


def test_no_signal_outside_the_main_thread() -> None:
    responses = []
    application = WSGIHandler()
    event = make_v1_event("GET", "/ok/")
    thread = threading.Thread(
        target=lambda: responses.append(web_request.respond(application, event, CONTEXT))
    )
    thread.start()
    thread.join()
    assert responses[0]["statusCode"] == 200
