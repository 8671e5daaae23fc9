"""The IAM policies of the documentation, by their headings."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "iam.md"
POLICY = re.compile(r"```json\n(.*?)```", re.DOTALL)


def documented_policies(replacements: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any]:
    """Return the policies, with the replacements made in this order."""
    page = PAGE.read_text()
    for placeholder, value in replacements.items():
        page = page.replace(placeholder, value)
    return {
        section.partition("\n")[0]: json.loads(policy)
        for section in page.split("\n## ")[1:]
        for policy in POLICY.findall(section)
    }


def documented_actions() -> dict[str, list[str]]:
    """Return the actions that each policy allows; they may contain wildcards."""
    return {
        name: [action for statement in policy["Statement"] for action in statement["Action"]]
        for name, policy in documented_policies().items()
    }
