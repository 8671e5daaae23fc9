"""The GitLab pipeline of a project's own repository, from the one of djambda's repository.

Its stages, templates and jobs are the same. It installs djambda instead of a checkout's tools, runs
the project's tests instead of those of djambda, and keeps its files in the project's state folder.
"""

import json
import re
from importlib import metadata

from awscdk.discovery import STATE
from awscdk.product import PRODUCT

FILE = ".gitlab-ci.yml"

PLACEHOLDER = "djambda @ git+https://ADDRESS-OF-DJAMBDA"

HEADER = """\
# Check, build, deploy, and management commands as manual jobs, written by `djambda init --gitlab`.
# docs/how-to/gitlab.md of djambda describes the setup: the variables that GitLab needs, and the AWS
# role that the jobs assume with their OIDC tokens.
"""

TOOLS = """\
.tools:
  cache:
    key: djambda-protected-$CI_COMMIT_REF_PROTECTED  # Others must not write to this cache.
    paths: [.djambda/cache/]
    policy: pull
  before_script:
    - mkdir -p .djambda && echo '*' > .djambda/.gitignore
    - $(command -v python3.13 || echo python3) -m venv .djambda/venv
    - .djambda/venv/bin/pip install --quiet uv=={uv}
    - .djambda/venv/bin/uv pip install --quiet --python .djambda/venv/bin/python "$DJAMBDA"
    - export PATH="$PWD/.djambda/venv/bin:$PATH"
"""

TEST = """\
# Replace the script with the tests of your project.
test:
  extends: .tools
  stage: check
  interruptible: true
  script:
    - djambda synth --files
"""


def render(requirement: str) -> str:
    """Return the file for a project's repository; `requirement` is what pip installs djambda by."""
    text = (PRODUCT / FILE).read_text(encoding="utf-8")
    [uv] = re.findall(r"^uv==(\S+)", (PRODUCT / "cli" / "uv.txt").read_text(), re.MULTILINE)
    text = _with_block(text, ".tools", TOOLS.format(uv=uv))
    text = _with_block(text, "test", TEST)
    text = text[text.index("\nstages:") :]
    for old, new in {
        ".local/": f"{STATE}/",
        "[layers/django/]": f"[{STATE}/layer/, {STATE}/requirements.lock]",
        "deploy.json": f"{STATE}/deploy.json",
        "deploy.env": f"{STATE}/deploy.env",
        "\nvariables:\n": f"\nvariables:\n  DJAMBDA: {json.dumps(requirement)}\n",
    }.items():
        text = text.replace(old, new)
    return HEADER + text


def installed_requirement() -> str:
    """Return a requirement for this version of djambda.

    It has the address that djambda was installed from, or `PLACEHOLDER` if that is a file.
    """
    distribution = metadata.distribution("djambda")
    # https://packaging.python.org/en/latest/specifications/direct-url/
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    url, vcs = origin.get("url", ""), origin.get("vcs_info")
    if vcs and not url.startswith("file:"):
        return f"djambda @ {vcs['vcs']}+{url}@{vcs['commit_id']}"
    if url.startswith("https:"):
        return f"djambda @ {url}"
    # A name alone would install whatever an index has under it.
    return f"djambda=={distribution.version}" if not url else PLACEHOLDER


def _with_block(text: str, key: str, block: str) -> str:
    """Return the text of a YAML file with another block for a top-level key."""
    pattern = rf"^{re.escape(key)}:\n(?:(?:[ ].*)?\n)+"
    new, count = re.subn(pattern, lambda _: f"{block}\n", text, flags=re.MULTILINE)
    if count != 1:
        raise AssertionError(f"{FILE} has {count} blocks {key}")
    return new
