"""The local cloud is closed to everyone but its owner: other users, and pages of other sites.

Open are, as on AWS, the site, public static files and presigned URLs.
"""

import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import httpx
import psycopg2
import pytest
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import ClientError

from djambda_cli.local.cloud import DATABASE_NAME, DATABASE_USER, LocalCloud
from tests.cloud.local import Cloud

NOBODY = 65534
INVOKE = "2015-03-31/functions/local-djambda-djambda-lambda:live/invocations"
COMMAND = b'{"manage": ["check"]}'


@pytest.fixture
def endpoint(cloud: Cloud) -> str:
    """The emulator's URL, with a slash at the end."""
    return cloud.variables["AWS_ENDPOINT_URL"] + "/"


@pytest.fixture
def bucket(cloud: Cloud) -> str:
    """The name of the assets bucket."""
    names = [bucket["Name"] for bucket in cloud.call("s3", "list_buckets")["Buckets"]]
    [name] = [name for name in names if name.startswith("local-djambda-")]
    return str(name)


def request(method: str, url: str, **options: object) -> httpx.Response:
    """Send a request without a signature."""
    with httpx.Client(trust_env=False) as client:
        return client.request(method, url, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("POST", INVOKE, COMMAND),
        ("GET", "2015-03-31/functions/", b""),
        ("POST", "", b"Action=DescribeStacks&Version=2010-05-15"),
        ("GET", "", b""),
        ("POST", "_ministack/reset", b""),
        ("GET", "_ministack/health", b""),
        ("GET", "_localstack/health", b""),
        ("POST", "_ministack/config", b"{}"),
        ("PUT", "stolen", b""),
        ("OPTIONS", INVOKE, b""),
    ],
)
def test_api_requires_a_signature(endpoint: str, method: str, path: str, content: bytes) -> None:
    response = request(method, endpoint + path, content=content)

    assert response.status_code in {400, 403}
    assert "variables file" in response.text
    assert "access-control-allow-origin" not in response.headers


def test_api_refuses_another_secret(cloud: Cloud, endpoint: str) -> None:
    client = boto3.client(
        "sts",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=cloud.variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key="test",
    )

    with pytest.raises(ClientError, match="signature does not match"):
        client.get_caller_identity()


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "attacker.example"},
        {"Host": "127.0.0.1.attacker.example"},
        {"Origin": "https://attacker.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_signed_request_from_another_site(
    cloud: Cloud, endpoint: str, headers: dict[str, str]
) -> None:
    client = boto3.client(
        "sts",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=cloud.variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=cloud.variables["AWS_SECRET_ACCESS_KEY"],
    )

    def add_headers(request: AWSRequest, **_: object) -> None:
        for name, value in headers.items():
            request.headers[name] = value

    client.meta.events.register("before-sign.sts.*", add_headers)

    with pytest.raises(ClientError, match="The local cloud refused this request"):
        client.get_caller_identity()


@pytest.mark.parametrize("path", ["_ministack/reset", INVOKE, "_ministack/health", ""])
def test_administrative_paths_on_the_sites_host(cloud: Cloud, endpoint: str, path: str) -> None:
    host = urlsplit(cloud.site).netloc

    response = request("POST", endpoint + path, headers={"Host": host}, content=COMMAND)

    assert response.status_code == 403


@pytest.mark.parametrize("path", ["_ministack/reset", INVOKE])
def test_administrative_paths_on_the_sites_domain(cloud: Cloud, endpoint: str, path: str) -> None:
    """They are pages of the site, which does not have them."""
    host = urlsplit(cloud.site).netloc.replace(".execute-api.", ".")

    response = request("POST", endpoint + path, headers={"Host": host}, content=COMMAND)

    assert response.status_code in {403, 404}
    assert cloud.manage(["check"])["output"]


def test_domain_of_no_site(endpoint: str) -> None:
    host = f"another.localhost:{urlsplit(endpoint).port}"

    assert request("GET", endpoint, headers={"Host": host}).status_code == 403


def test_static_files_are_public_and_nothing_else_is(
    cloud: Cloud, endpoint: str, bucket: str
) -> None:
    with cloud.browser() as visitor:
        page = visitor.get("").text
    [stylesheet] = [part for part in page.split('"') if part.endswith(".css")]

    assert request("GET", stylesheet).status_code == 200
    for path in (
        *("", "?list-type=2", "static/?list-type=2", "public/?list-type=2", "public?list-type=2"),
        *("media/x.txt", "runs/x", "public", "public/", "publicly/x", "static/../media/x"),
    ):
        assert request("GET", f"{endpoint}{bucket}/{path}").status_code in {403, 404}, path
    for path in ("static/x.css", "public/x.css"):
        assert request("PUT", f"{endpoint}{bucket}/{path}", content=b"x").status_code == 403
    assert request("DELETE", stylesheet).status_code == 403


def test_public_file_ignores_parameters_that_s3_does_not_know(
    cloud: Cloud, endpoint: str, bucket: str
) -> None:
    with cloud.browser() as visitor:
        page = visitor.get("").text
    [stylesheet] = [part for part in page.split('"') if part.endswith(".css")]

    assert request("GET", f"{stylesheet}?v=1").text == request("GET", stylesheet).text
    for query in ("acl", "tagging", "versionId=x", "response-content-type=text/html"):
        assert request("GET", f"{stylesheet}?{query}").status_code == 403, query


OTHER_SERVICES = [
    {"X-Amz-Target": "AmazonSSM.DescribeParameters"},
    {"Authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/sts/aws4_request"},
    {"Content-Type": "application/x-www-form-urlencoded"},
]


@pytest.mark.parametrize("headers", OTHER_SERVICES, ids=str)
def test_open_file_does_not_lead_to_another_service(
    cloud: Cloud, endpoint: str, bucket: str, headers: dict[str, str]
) -> None:
    s3 = s3_client(cloud, endpoint)
    s3.put_object(Bucket=bucket, Key="public/x.txt", Body=b"public")
    signed = s3.generate_presigned_url(
        "get_object", Params={"Bucket": bucket, "Key": "public/x.txt"}
    )

    for url in (f"{endpoint}{bucket}/public/x.txt", signed):
        for parameters in ("{}", "Action=ListUsers&Version=2010-05-08"):
            response = request("GET", url, headers=headers, content=parameters.encode())
            assert response.text == "public"
    response = request("GET", f"{endpoint}{bucket}/public/x.txt?Action=ListUsers", headers=headers)
    assert response.text == "public"
    s3.delete_object(Bucket=bucket, Key="public/x.txt")


def s3_client(cloud: Cloud, endpoint: str) -> Any:
    """Return the owner's client of S3."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=cloud.variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=cloud.variables["AWS_SECRET_ACCESS_KEY"],
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )


def test_presigned_url_works_until_it_is_changed(cloud: Cloud, endpoint: str, bucket: str) -> None:
    s3 = s3_client(cloud, endpoint)
    key = "media/grün (1) +%.txt"
    s3.put_object(Bucket=bucket, Key=key, Body=b"private")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})

    assert request("GET", url).content == b"private"
    assert (
        request("GET", url.replace("(1)", "(2)").replace("%281%29", "%282%29")).status_code == 403
    )
    for expires in ("X-Amz-Expires=9999", "X-Amz-Expires=soon", ""):
        changed = url.replace("X-Amz-Expires=3600", expires)
        assert request("GET", changed).status_code == 403
    assert request("DELETE", url).status_code == 403
    s3.delete_object(Bucket=bucket, Key=key)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_of_the_machine(cloud: Cloud, endpoint: str) -> None:
    curl = shutil.which("curl")
    assert curl
    invoked = subprocess.run(
        [curl, "--silent", "--data", COMMAND.decode(), endpoint + INVOKE],
        user=NOBODY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "The local cloud refused this request" in invoked.stdout
    for file in (cloud.folder / "credentials.json", cloud.folder.with_name("variables")):
        read = subprocess.run(["cat", file], user=NOBODY, capture_output=True, check=False)
        assert read.returncode != 0


def test_database_requires_its_password(cloud: Cloud) -> None:
    port = LocalCloud(cloud.folder).require_running().postgres_port

    for password in ("", "test", DATABASE_USER):
        with pytest.raises(psycopg2.OperationalError):
            psycopg2.connect(
                host="127.0.0.1",
                port=port,
                user=DATABASE_USER,
                dbname=DATABASE_NAME,
                password=password,
            )


def test_files_of_the_cloud_are_for_its_owner_only(cloud: Cloud) -> None:
    open_files = [
        path
        for path in cloud.folder.rglob("*")
        if is_open(path) and not any(is_closed(parent) for parent in parents_in(cloud, path))
    ]

    assert open_files == []


def is_open(path: Path) -> bool:
    """Return whether other users may read the file."""
    mode = path.lstat().st_mode
    return stat.S_ISREG(mode) and bool(mode & 0o077)


def is_closed(folder: Path) -> bool:
    """Return whether other users may not enter the folder."""
    return not folder.stat().st_mode & 0o011


def parents_in(cloud: Cloud, path: Path) -> list[Path]:
    """Return the folders from the cloud's down to the file's."""
    return [parent for parent in path.parents if parent.is_relative_to(cloud.folder)]
