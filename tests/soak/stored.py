"""The products of a run that exist: rows of the database, and pictures in the bucket."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field

from tests.cloud.functions import client
from tests.cloud.local import Cloud
from tests.soak.faults import TABLE, Target
from tests.support.waiting import wait_until

SETTLED_SECONDS = 40
"""No request runs for longer than API Gateway's limit and a moment."""


@dataclass(frozen=True)
class Stored:
    """The keys of each product's row or rows, and each stored picture by its key."""

    rows: dict[str, list[str]] = field(default_factory=dict)
    pictures: dict[str, bytes] = field(default_factory=dict)


def load(cloud: Cloud, target: Target, prefix: str) -> Stored:
    """Return what exists of a run, once no request of it runs any longer."""
    running = (
        "SELECT 1 FROM pg_stat_activity WHERE state <> 'idle' AND usename IS NOT NULL "
        "AND pid <> pg_backend_pid()"
    )
    wait_until(lambda: not target.query(running), SETTLED_SECONDS)
    rows: dict[str, list[str]] = {}
    for name, picture in target.query(
        f"SELECT name, picture FROM {TABLE} WHERE name LIKE '{prefix}-%'"  # noqa: S608
    ):
        rows.setdefault(name, []).append(picture)
    return Stored(rows, dict(pictures(cloud, prefix)))


def pictures(cloud: Cloud, prefix: str) -> Iterable[tuple[str, bytes]]:
    """Return the keys, relative to the media folder, and contents of the run's pictures."""
    with closing(client(cloud, "s3")) as s3:
        names = [each["Name"] for each in s3.list_buckets()["Buckets"]]
        [bucket] = [name for name in names if name.startswith("local-djambda-")]
        listing = s3.get_paginator("list_objects_v2")
        pages = listing.paginate(Bucket=bucket, Prefix=f"media/pictures/{prefix}-")
        keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
        with ThreadPoolExecutor(4) as pool:
            contents = list(
                pool.map(lambda key: s3.get_object(Bucket=bucket, Key=key)["Body"].read(), keys)
            )
    return [
        (key.removeprefix("media/"), content) for key, content in zip(keys, contents, strict=True)
    ]
