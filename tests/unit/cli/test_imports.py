"""The import direction of the CLI: a module imports only its own package and the layers below it.

Imports inside functions and under `TYPE_CHECKING` count.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CLI = Path(__file__).resolve().parents[3] / "cli" / "djambda_cli"
PACKAGE = CLI.name

LAYERS = (
    {"main"},
    {"commands"},
    {"operations"},
    {"deployment"},
    {"project", "aws", "local"},
    {"options", "terminal", "steps", "errors", "paths", "tools"},
)
"""The packages and modules of the CLI, from the top down."""

FUNCTION_PROCESS = f"{PACKAGE}.local.function_process"
"""It gives emulated functions their search path, in their own process."""
INSPECTION_PROCESS = f"{PACKAGE}.project.inspection_process"
"""It starts the project in a process of its own, with the runtime and the layer's packages."""

FORBIDDEN = {"awslambda", "bench", "bootstrap", "djambda", "django", "tests"}
"""They are not in the installed package, or run elsewhere."""


def modules() -> dict[str, Path]:
    """Return each module's dotted name with its file, without the packages' docstrings."""
    return {
        ".".join(file.relative_to(CLI.parent).with_suffix("").parts): file
        for file in sorted(CLI.rglob("*.py"))
        if file.name != "__init__.py"
    }


def imports(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the dotted name of each import, and of each use of `sys.path`."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=aliases):
                yield from ((node.lineno, alias.name) for alias in aliases)
            case ast.ImportFrom(module=module, names=aliases, level=level):
                base = "." * level + (module or "")
                yield from ((node.lineno, f"{base}.{alias.name}") for alias in aliases)
            case ast.Attribute(value=ast.Name(id="sys"), attr="path"):
                yield node.lineno, "sys.path"
            case ast.Call(
                func=ast.Attribute(attr="import_module") | ast.Name(id="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield node.lineno, name


def layer_of(name: str) -> int:
    """Return a layer's number, counted from the top. Raises `StopIteration` for a new module."""
    return next(number for number, layer in enumerate(LAYERS) if name in layer)


def is_allowed(importer: str, imported: str) -> bool:
    """Return whether a module of the CLI may import a name."""
    top, *rest = imported.split(".")
    if importer == INSPECTION_PROCESS:
        return top != PACKAGE
    if top != PACKAGE:
        is_search_path = imported == "sys.path" and importer != FUNCTION_PROCESS
        return top not in FORBIDDEN | {""} and not is_search_path
    _, own, *own_rest = importer.split(".")
    other, *other_rest = rest
    if own == other:
        return own != "commands" or own_rest[:1] == other_rest[:1]
    is_shared = layer_of(own) == layer_of(other) == len(LAYERS) - 1
    return is_shared or layer_of(own) < layer_of(other)


def forbidden_imports(importer: str, source: str) -> list[str]:
    """Return a module's imports that point up or sideways, each as "module:line imports name"."""
    return [
        f"{importer}:{line} imports {imported}"
        for line, imported in imports(source)
        if not is_allowed(importer, imported)
    ]


def test_every_module_belongs_to_a_layer() -> None:
    names = {name.split(".")[1] for name in modules()}

    assert names == set().union(*LAYERS)


def test_imports_point_down() -> None:
    assert {"djambda_cli.main", "djambda_cli.commands.deploy"} <= modules().keys()
    assert [
        violation
        for name, file in modules().items()
        for violation in forbidden_imports(name, file.read_text())
    ] == []


@pytest.mark.parametrize(
    ("importer", "source"),
    [
        ("aws.versions", "from djambda_cli.deployment import Deployment"),
        ("aws.versions", "from djambda_cli import deployment"),
        ("aws.versions", "if TYPE_CHECKING:\n    import djambda_cli.deployment"),
        ("commands.up", "def up():\n    from djambda_cli.commands.deploy import roll_out"),
        ("operations.site", "from djambda_cli.commands import maintenance"),
        ("local.cloud", "from djambda_cli.project import layer"),
        ("local.cloud", "from . import postgres"),
        ("paths", "from djambda_cli.local import cloud"),
        ("commands.doctor", "import bootstrap"),
        ("commands.doctor", "importlib.import_module('tests.cloud')"),
        ("main", "sys.path.append('cli')"),
    ],
)
def test_import_that_points_up_is_named(importer: str, source: str) -> None:
    [violation] = forbidden_imports(f"djambda_cli.{importer}", source)

    assert violation.startswith(f"djambda_cli.{importer}:{source.count('\n') + 1} imports ")


@pytest.mark.parametrize(
    ("importer", "source"),
    [
        ("main", "from djambda_cli.commands.up import down, up"),
        ("commands.up", "from djambda_cli.operations import site"),
        ("local.cloud", "from djambda_cli.local import postgres"),
        ("options", "from djambda_cli.paths import ROOT"),
        ("project.layer", "from awscdk.layer import problems"),
    ],
)
def test_import_that_points_down_is_allowed(importer: str, source: str) -> None:
    assert forbidden_imports(f"djambda_cli.{importer}", source) == []
