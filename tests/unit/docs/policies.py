"""The IAM policies of the documentation, by their headings."""

import json
import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "iam.md"
POLICY = re.compile(r"```json\n(.*?)```", re.DOTALL)


def documented_actions() -> dict[str, list[str]]:
    """Return the actions that each policy allows; they may contain wildcards."""
    return {
        section.partition("\n")[0]: [
            action
            for statement in json.loads(policy)["Statement"]
            for action in statement["Action"]
        ]
        for section in PAGE.read_text().split("\n## ")[1:]
        for policy in POLICY.findall(section)
    }
