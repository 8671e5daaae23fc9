"""The day that docs/operations.md walks through, typed again: what it shows is what comes."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cloud.checkout import Checkout
from tests.cloud.local import ROOT, Cloud

PAGE = (ROOT / "docs" / "operations.md").read_text()
BEGIN, END = "### A change", "### Restoring the database"
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
    r'"\S+/code/': '"/var/task/',
    r" +": " ",
}
"""What is of one cloud, one moment or one machine, and not of the page."""
ANYTHING = "..."


@pytest.fixture
def checkout(cloud: Cloud, tmp_path: Path) -> Iterator[Checkout]:
    """A committed copy of the checkout, which is deployed, before and afterwards, as it is now."""
    deploy_checkout(cloud)
    copy = Checkout.copy_to(tmp_path)
    git = ["git", "-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-C", str(tmp_path)]
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message=It"]):
        subprocess.run([*git, *arguments], check=True)
    yield copy
    copy.run(cloud, "manage migrate core 0001")
    cloud.manage(["shell", "-c", "Note.objects.filter(title='Milk').delete()"])
    deploy_checkout(cloud)


def deploy_checkout(cloud: Cloud) -> None:
    """Deploy what the tests are of."""
    done = cloud.shell(f"djambda deploy --local --folder {cloud.folder}")
    assert done.returncode == 0, done.stderr


def test_the_day(cloud: Cloud, checkout: Checkout) -> None:
    blocks = BLOCK.findall(PAGE[PAGE.index(BEGIN) : PAGE.index(END)])
    assert len(blocks) == 8

    for kind, text in blocks:
        if kind == "diff":
            subprocess.run(
                ["git", "-C", checkout.folder, "apply", "-"],
                input=text,
                text=True,
                check=True,
            )
        else:
            for command, shown in commands(text):
                said = typed(cloud, checkout, command)
                assert same(said, shown), f"$ {command}\n{said}"


def commands(text: str) -> list[tuple[str, str]]:
    """Each command of a block, with what the page shows of its output."""
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def typed(cloud: Cloud, checkout: Checkout, command: str) -> str:
    """What a terminal shows of it."""
    here = f"--local --folder {cloud.folder}"
    djambda = f"PYTHONPATH={checkout.folder / 'cli'} python -m djambda_cli.main"
    command = re.sub(r"^djambda manage", f"{djambda} manage {here}", command)
    command = re.sub(r"^djambda (.*)", rf"{djambda} \1 {here}", command)
    done = cloud.shell(f"{command} 2>&1", checkout.folder)
    return done.stdout


def same(said: str, shown: str) -> bool:
    """Whether that was said, but for what varies, and for lines where the page has "..."."""
    wanted = [re.escape(line) for line in lines(shown)]
    pattern = "".join(r"(.*\n)*" if line == re.escape(ANYTHING) else f"{line}\n" for line in wanted)
    return bool(re.fullmatch(pattern, "".join(f"{line}\n" for line in lines(said))))


def lines(text: str) -> list[str]:
    """The lines with something in them, without what varies."""
    for pattern, instead in VARIES.items():
        text = re.sub(pattern, instead, text, flags=re.MULTILINE)
    return [line.rstrip() for line in text.splitlines() if line.strip()]
