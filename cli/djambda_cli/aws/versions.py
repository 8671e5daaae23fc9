"""The published versions of the Django function: which serves, and what each was made from.

`status` and `rollback` show them. A version is named by its number; its release is the name of its
code and layer (`RELEASE`, see `awscdk/awscdk/code.py`). The commit is in neither template nor code,
so that a commit which changes nothing deploys nothing: `djambda deploy` records it afterwards, as a
tag of the function, which goes when the function does.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from djambda_cli.aws.errors import aws_errors
from djambda_common.names import ALIAS

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

TAG = "djambda:version:"
"""Before a version's number; the value is its release, its commit, and `changed` if the checkout
differed from that."""
TAGS_KEPT = 20
"""A function can have 50: https://docs.aws.amazon.com/lambda/latest/dg/configuration-tags.html"""


@dataclass(frozen=True)
class Version:
    """One published version. `published` in ISO 8601; `commit` is "" if nobody knows it."""

    number: int
    published: str
    release: str
    commit: str
    is_live: bool
    architecture: str
    memory: int
    timeout: int
    layers: tuple[str, ...]
    environment: dict[str, str]

    @property
    def when(self) -> datetime:
        """When it was published."""
        return datetime.fromisoformat(self.published)

    @property
    def short_commit(self) -> str:
        """The commit for people."""
        commit, _, changed = self.commit.partition(" ")
        return f"{commit[:10]}{' and changes' * bool(changed)}" if commit else "unknown"

    def as_json(self) -> dict[str, Any]:
        """For scripts: without the environment."""
        names = ("number", "published", "release", "is_live", "architecture", "memory", "timeout")
        return {
            **{name: getattr(self, name) for name in names},
            "commit": self.commit or None,
            "layers": list(self.layers),
        }


@dataclass(frozen=True)
class History:
    """All published versions, the newest first, and the alias's revision when they were listed."""

    versions: list[Version]
    revision: str

    @property
    def live(self) -> Version:
        """The version that serves."""
        return next(each for each in self.versions if each.is_live)

    @property
    def newer(self) -> list[Version]:
        """Those that came after it."""
        return [each for each in self.versions if each.number > self.live.number]


def load_history(client: "LambdaClient", function: str) -> History | None:
    """Return the function's versions, or None if none is live yet. Raises `CliError`."""
    with aws_errors():
        try:
            alias = client.get_alias(FunctionName=function, Name=ALIAS)
        except client.exceptions.ResourceNotFoundException:
            return None
        arn = alias["AliasArn"].removesuffix(f":{ALIAS}")
        tags = client.list_tags(Resource=arn)["Tags"]
        pages = client.get_paginator("list_versions_by_function").paginate(FunctionName=function)
        found = [
            _version(each, tags, live=alias["FunctionVersion"])
            for page in pages
            for each in page["Versions"]
            if each["Version"] != "$LATEST"
        ]
    return History(sorted(found, key=lambda each: each.number, reverse=True), alias["RevisionId"])


def live_version(client: "LambdaClient", function: str) -> str:
    """Return the number of the live version, or "" if there is none. Raises `CliError`."""
    with aws_errors():
        try:
            alias = client.get_alias(FunctionName=function, Name=ALIAS)
        except client.exceptions.ResourceNotFoundException:
            return ""
    return alias["FunctionVersion"]


def record_commit(client: "LambdaClient", function: str, newest: Version, commit: str) -> str:
    """Tag the function with the commit of its newest version, and return the recorded commit.

    A commit that is recorded already is kept: a deploy without changes publishes no version.
    Raises `CliError`.
    """
    if not commit or newest.commit:
        return newest.commit
    with aws_errors():
        arn = client.get_function_configuration(FunctionName=function)["FunctionArn"]
        value = f"{newest.release} {commit}"
        client.tag_resource(Resource=arn, Tags={f"{TAG}{newest.number}": value})
        tags = client.list_tags(Resource=arn)["Tags"]
        numbers = sorted(int(name.removeprefix(TAG)) for name in tags if name.startswith(TAG))
        if old := numbers[:-TAGS_KEPT]:
            client.untag_resource(Resource=arn, TagKeys=[f"{TAG}{number}" for number in old])
    return commit


def _version(listed: Any, tags: dict[str, str], *, live: str) -> Version:
    number = listed["Version"]
    environment = listed.get("Environment", {}).get("Variables", {})
    release = environment.get("RELEASE", "")
    recorded, _, commit = tags.get(f"{TAG}{number}", "").partition(" ")
    return Version(
        number=int(number),
        published=listed["LastModified"],
        release=release,
        # Numbers begin anew when a stack is made anew.
        commit=commit if recorded == release else "",
        is_live=number == live,
        architecture=listed["Architectures"][0],
        memory=listed["MemorySize"],
        timeout=listed["Timeout"],
        layers=tuple(each["Arn"] for each in listed.get("Layers", [])),
        environment=environment,
    )
