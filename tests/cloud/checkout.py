"""A copy of what a deploy reads, to be changed and deployed; the checkout stays as it is."""

import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from tests.cloud.local import ROOT, Cloud


@dataclass(frozen=True)
class Checkout:
    """The copy in `folder`, with its own `djambda`."""

    folder: Path

    @classmethod
    def copy_to(cls, folder: Path) -> "Checkout":
        """A fresh copy, without the tests; the layer is that of the checkout."""
        for name in ("awscdk", "awslambda", "cli", "common", "django"):
            shutil.copytree(ROOT / name, folder / name)
        shutil.copy(ROOT / "cdk.json", folder)
        (folder / "layers").symlink_to(ROOT / "layers")
        return cls(folder)

    def command(self, cloud: Cloud, arguments: str) -> str:
        """`djambda ARGUMENTS --local` of this copy, as a line for `cloud.shell`."""
        return f"{self.djambda(arguments)} --local --folder {shlex.quote(str(cloud.folder))}"

    def djambda(self, arguments: str) -> str:
        """The same for a deployment that the variables name."""
        cli = shlex.quote(str(self.folder / "cli"))
        return f"PYTHONPATH={cli} python -m djambda_cli.main {arguments}"

    def run(self, cloud: Cloud, arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `djambda ARGUMENTS --local` of this copy."""
        return cloud.shell(self.command(cloud, arguments))

    def write(self, name: str, content: str) -> None:
        """Write a file of the copy."""
        (self.folder / name).write_text(content)


@contextmanager
def constant_visits(cloud: Cloud) -> Iterator[list[int]]:
    """Somebody who asks for a page all the time, and the statuses of the answers.

    Some answers come before, and some afterwards, however short the time between is.
    """
    answers: list[int] = []
    done = Event()

    def ask() -> None:
        with cloud.browser() as client:
            while not done.wait(0.1):
                answers.append(client.get("healthz").status_code)

    asking = Thread(target=ask)
    asking.start()

    def wait_for_some() -> None:
        wanted = len(answers) + 3
        while len(answers) < wanted and asking.is_alive():
            time.sleep(0.05)

    try:
        wait_for_some()
        yield answers
        wait_for_some()
    finally:
        done.set()
        asking.join()


def live_version(cloud: Cloud) -> str:
    """The version that serves."""
    alias = cloud.call("lambda", "get_alias", FunctionName=cloud.function, Name="live")
    version: str = alias["FunctionVersion"]
    return version


def stack_status(cloud: Cloud, stack: str = "local-djambda") -> str:
    """What CloudFormation says of a stack."""
    described = cloud.call("cloudformation", "describe_stacks", StackName=stack)
    status: str = described["Stacks"][0]["StackStatus"]
    return status
