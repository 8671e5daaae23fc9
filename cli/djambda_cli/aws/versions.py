"""The published versions of the Django function, and the commit of each.

A version's `release` is its build id, a hash of code and layer (`awscdk/awscdk/code.py`). The
commit is in neither the template nor the code, so that a commit without a relevant change deploys
nothing: `djambda deploy` records it afterwards as a tag of the function.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from djambda_cli.aws.errors import aws_errors
from djambda_common.names import ALIAS, BUILD_ID_VARIABLE, TASKS_ALIAS

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_lambda.type_defs import UpdateAliasRequestTypeDef as AliasRequest

TAG = "djambda:version:"
"""The start of a tag's name, before the version's number.

Its value is the build id and the commit, and "changed" if files differed from the commit.
"""
TAGS_KEPT = 20
"""A function can have 50: https://docs.aws.amazon.com/lambda/latest/dg/configuration-tags.html"""


@dataclass(frozen=True)
class Version:
    """One published version. `published` is in ISO 8601, `commit` "" if it was not recorded."""

    number: int
    published: str
    build_id: str
    commit: str
    is_live: bool
    runtime: str
    architecture: str
    memory: int
    timeout: int
    layers: tuple[str, ...]
    environment: dict[str, str]

    @property
    def when(self) -> datetime:
        """The time when it was published."""
        return datetime.fromisoformat(self.published)

    @property
    def short_commit(self) -> str:
        """The abbreviated commit, for people."""
        commit, _, changed = self.commit.partition(" ")
        return f"{commit[:10]}{' and changes' * bool(changed)}" if commit else "unknown"

    def as_json(self) -> dict[str, Any]:
        """Return the version for scripts, without the environment, which may hold secrets."""
        names = (
            *("number", "published", "build_id", "is_live"),
            *("runtime", "architecture", "memory", "timeout"),
        )
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
        """The live version."""
        return next(version for version in self.versions if version.is_live)

    @property
    def newer(self) -> list[Version]:
        """The versions published after the live one."""
        return [version for version in self.versions if version.number > self.live.number]


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
        versions = [
            _version(listed, tags, live=alias["FunctionVersion"])
            for page in pages
            for listed in page["Versions"]
            if listed["Version"] != "$LATEST"
        ]
    versions.sort(key=lambda version: version.number, reverse=True)
    return History(versions, alias["RevisionId"])


def live_version(client: "LambdaClient", function: str) -> str:
    """Return the number of the live version, or "" if there is none. Raises `CliError`."""
    with aws_errors():
        try:
            alias = client.get_alias(FunctionName=function, Name=ALIAS)
        except client.exceptions.ResourceNotFoundException:
            return ""
    return alias["FunctionVersion"]


def make_live(
    client: "LambdaClient", function: str, version: str, *, revision: str | None = None
) -> bool:
    """Point the aliases to a version.

    With the `revision` of `live`, only if it has not changed since. Returns whether it did. Raises
    `CliError`.
    """
    request: AliasRequest = {
        "FunctionName": function,
        "Name": ALIAS,
        "FunctionVersion": version,
    }
    if revision:
        request["RevisionId"] = revision
    with aws_errors():
        try:
            client.update_alias(**request)
        except client.exceptions.PreconditionFailedException:
            return False
        with suppress(client.exceptions.ResourceNotFoundException):  # A project without tasks.
            client.update_alias(FunctionName=function, Name=TASKS_ALIAS, FunctionVersion=version)
    return True


def record_commit(client: "LambdaClient", function: str, newest: Version, commit: str) -> None:
    """Tag the function with the commit of its newest version.

    A commit that is recorded already is kept: a deploy without changes publishes no version.
    Raises `CliError`.
    """
    if not commit or newest.commit:
        return
    with aws_errors():
        arn = client.get_function_configuration(FunctionName=function)["FunctionArn"]
        client.tag_resource(
            Resource=arn, Tags={f"{TAG}{newest.number}": f"{newest.build_id} {commit}"}
        )
        tags = client.list_tags(Resource=arn)["Tags"]
        numbers = sorted(int(name.removeprefix(TAG)) for name in tags if name.startswith(TAG))
        if old := numbers[:-TAGS_KEPT]:
            client.untag_resource(Resource=arn, TagKeys=[f"{TAG}{number}" for number in old])


def _version(listed: Any, tags: dict[str, str], *, live: str) -> Version:
    number = listed["Version"]
    environment = listed.get("Environment", {}).get("Variables", {})
    build_id = environment.get(BUILD_ID_VARIABLE, "")
    tagged_build_id, _, commit = tags.get(f"{TAG}{number}", "").partition(" ")
    return Version(
        number=int(number),
        published=listed["LastModified"],
        build_id=build_id,
        # Numbers begin again at 1 when a stack is created again; then a tag names another build.
        commit=commit if tagged_build_id == build_id else "",
        is_live=number == live,
        runtime=listed["Runtime"],
        architecture=listed["Architectures"][0],
        memory=listed["MemorySize"],
        timeout=listed["Timeout"],
        layers=tuple(layer["Arn"] for layer in listed.get("Layers", [])),
        environment=environment,
    )
