"""The published versions of the Django function: which serves, and what each was made from.

`status` and `rollback` show them. A version is named by its number; its release is the name of its
code and layer (`RELEASE`, see `awscdk/awscdk/code.py`). The commit is in neither template nor code,
so that a commit which changes nothing deploys nothing: `djambda deploy` records it afterwards, as a
tag of the function, which goes when the function does.
"""

import os
import subprocess
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from djambda_cli.aws.errors import aws_errors
from djambda_cli.deployment import Deployment
from djambda_cli.errors import CliError
from djambda_cli.paths import ROOT
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


def history(deployment: Deployment, client: "LambdaClient") -> History:
    """The function's versions. Raises CliError, also if it has none that serves."""
    with aws_errors():
        try:
            alias = client.get_alias(FunctionName=deployment.function, Name=ALIAS)
        except client.exceptions.ResourceNotFoundException:
            raise CliError(
                f"{deployment.function} has no live version {deployment.location}. The first "
                f"deploy creates one: {deployment.command('deploy')}"
            ) from None
        arn = alias["AliasArn"].removesuffix(f":{ALIAS}")
        tags = client.list_tags(Resource=arn)["Tags"]
        pages = client.get_paginator("list_versions_by_function").paginate(
            FunctionName=deployment.function
        )
        found = [
            _version(each, tags, live=alias["FunctionVersion"])
            for page in pages
            for each in page["Versions"]
            if each["Version"] != "$LATEST"
        ]
    return History(sorted(found, key=lambda each: each.number, reverse=True), alias["RevisionId"])


def live_version(deployment: Deployment) -> str:
    """The number of the version that serves; "" if none does. Raises CliError."""
    client: LambdaClient = deployment.client("lambda")
    with aws_errors():
        try:
            alias = client.get_alias(FunctionName=deployment.function, Name=ALIAS)
        except client.exceptions.ResourceNotFoundException:
            return ""
    return alias["FunctionVersion"]


def record_commit(deployment: Deployment) -> str:
    """Note which commit of this checkout the newest version is made from; "" if git cannot say.

    To be called once a deploy is through. (A deploy without a change makes no version; then the
    newest is what the checkout has, and serves unless there was a rollback.) Raises CliError.
    """
    commit = commit_of_checkout()
    client: LambdaClient = deployment.client("lambda")
    newest = history(deployment, client).versions[0]
    if not commit or newest.commit:
        return newest.commit
    with aws_errors():
        arn = client.get_function_configuration(FunctionName=deployment.function)["FunctionArn"]
        value = f"{newest.release} {commit}"
        client.tag_resource(Resource=arn, Tags={f"{TAG}{newest.number}": value})
        tags = client.list_tags(Resource=arn)["Tags"]
        numbers = sorted(int(name.removeprefix(TAG)) for name in tags if name.startswith(TAG))
        if old := numbers[:-TAGS_KEPT]:
            client.untag_resource(Resource=arn, TagKeys=[f"{TAG}{number}" for number in old])
    return commit


def commit_of_checkout() -> str:
    """The commit that is checked out, with " changed" if files differ from it; "" if none is."""
    if not (ROOT / ".git").exists():
        return ""
    try:
        commit = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--", "awscdk", "awslambda", "django")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{commit} changed" if changed else commit


def _git(*arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name[:4] != "GIT_"}
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


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
