"""The console blocks of the tutorial's day, typed again: the output is the documented one."""

import re
import subprocess
from collections.abc import Iterator

import pytest
from tests.cloud.checkout import ROOT, Checkout
from tests.cloud.local import Cloud

PAGE = ROOT / "docs" / "tutorial.md"
BEGIN, END = "<!-- tested: begin -->", "<!-- tested: end -->"
BLOCK = re.compile(r"^```(console|diff)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VARIES = {
    r" --local --folder \S+": "",
    r"https?://[^\s/]+": "https://host",
    r"\b\d{4}-\d\d-\d\d\b|\b\d\d:\d\d(:\d\d\.\d{3})?\b": "<when>",
    r"\bjust now\b|\b\d+ minutes? ago\b": "<ago>",
    r"\b(?=[a-f]*\d)[0-9a-f]{10,12}\b": "<hash>",
    r"\b\d+\.\d s\b": "<seconds>",
    r"\b[Vv]ersion +\d+|\bNot live +\d+|\bto \d+:|\brollback \d+|^  \d+(?=  )": "<version>",
    r"prod-shop in eu-west-1|local-djambda in the local cloud": "<stack>",
    r"layer \S+": "<layer>",
    r" +": " ",
}
"""Patterns of values that differ between clouds, machines and runs."""
OMITTED = "..."


@pytest.fixture
def checkout(cloud: Cloud, checkout: Checkout) -> Iterator[Checkout]:
    """A committed copy of the checkout. The original is deployed before and after the test."""
    deploy_original(cloud)
    folder = checkout.folder
    git = ["git", "-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-C", str(folder)]
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message=Start"]):
        subprocess.run([*git, *arguments], check=True)
    yield checkout
    cloud.shell(f"djambda manage {cloud.options} migrate core 0001", checkout=checkout)
    cloud.manage(["shell", "-c", "Note.objects.filter(title='Milk').delete()"])
    deploy_original(cloud)


def deploy_original(cloud: Cloud) -> None:
    """Deploy the checkout as it is."""
    done = cloud.djambda("deploy")
    assert done.returncode == 0, done.stderr


def test_tutorial(cloud: Cloud, checkout: Checkout) -> None:
    page = PAGE.read_text()
    blocks = BLOCK.findall(page[page.index(BEGIN) : page.index(END)])
    assert {kind for kind, _ in blocks} == {"console", "diff"}

    for kind, text in blocks:
        if kind == "diff":
            subprocess.run(
                ["git", "-C", checkout.folder, "apply", "-"],
                input=text,
                text=True,
                check=True,
            )
        else:
            for command, documented in commands(text):
                output = run(cloud, checkout, command)
                assert matches(output, documented), f"$ {command}\n{output}"


def commands(text: str) -> list[tuple[str, str]]:
    """Return each command of a block with its documented output."""
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def run(cloud: Cloud, checkout: Checkout, command: str) -> str:
    """Run a command on the local cloud and return what a terminal shows."""
    command = re.sub(r"^djambda manage", f"djambda manage {cloud.options}", command)
    command = re.sub(r"^djambda (?!manage)(.*)", rf"djambda \1 {cloud.options}", command)
    return cloud.shell(f"{command} 2>&1", checkout=checkout).stdout


def matches(output: str, documented: str) -> bool:
    """Compare outputs except for values that vary, and for lines that are "..." in the page."""
    wanted = [re.escape(line) for line in lines(documented)]
    pattern = "".join(r"(.*\n)*" if line == re.escape(OMITTED) else f"{line}\n" for line in wanted)
    return bool(re.fullmatch(pattern, "".join(f"{line}\n" for line in lines(output))))


def lines(text: str) -> list[str]:
    """Return the lines that are not blank, with the varying values replaced."""
    for pattern, replacement in VARIES.items():
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return [line.rstrip() for line in text.splitlines() if line.strip()]
