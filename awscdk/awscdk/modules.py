"""Facts about a Python module, from its syntax: the modules and files it names, and its tests."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TEST_LIBRARIES = ("django.test", "hypothesis", "pytest", "rest_framework.test", "unittest")
PATH_CALLS = {"Path", "join", "joinpath"}


@dataclass(frozen=True)
class Module:
    """The names in a module, and whether it is a test module.

    `imports` has the level of relative imports and the dotted name; `strings` all string constants
    without docstrings; `paths` those that are joined to paths, as in `BASE_DIR / "core" / "data"`.
    """

    imports: frozenset[tuple[int, str]] = frozenset()
    strings: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()
    is_test: bool = False
    is_conftest: bool = False


def parse(file: Path) -> Module:
    """Return the facts about a module; none if it cannot be read and parsed."""
    try:
        status = file.stat()
        return _parse(file, status.st_mtime_ns, status.st_size)
    except OSError:
        return Module()


@cache
def _parse(file: Path, _modified: int, _size: int) -> Module:
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, RecursionError):
        return Module()
    nodes = list(ast.walk(tree))
    imports = frozenset(_imports(nodes))
    docstrings = {
        id(node.value)
        for node in nodes
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return Module(
        imports=imports,
        strings=frozenset(
            node.value
            for node in nodes
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings
        ),
        paths=frozenset("/".join(parts) for node in nodes if (parts := _path(node))),
        is_test=_has_tests(tree) or _is_empty(tree),
        is_conftest=_imports_test_library(imports)
        or any(name.startswith("pytest_") for name in _names(tree)),
    )


def _imports(nodes: list[ast.AST]) -> Iterator[tuple[int, str]]:
    for node in nodes:
        match node:
            case ast.Import(names=aliases):
                yield from ((0, alias.name) for alias in aliases)
            case ast.ImportFrom(module=module, names=aliases, level=level):
                yield from (
                    (level, ".".join(filter(None, [module, alias.name]))) for alias in aliases
                )


def _path(node: ast.AST) -> list[str]:
    """Return the string constants that an expression joins to a path, without the beginning."""
    match node:
        case ast.BinOp(left=left, op=ast.Div(), right=ast.Constant(value=str(name))):
            return [*_path(left), name]
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name), args=arguments) if (
            name in PATH_CALLS
        ):
            base = node.func.value if isinstance(node.func, ast.Attribute) else None
            parts = [*(_path(base) if base else []), *(_path(arguments[0]) if arguments else [])]
            return parts + [
                argument.value
                for argument in arguments
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
            ]
    return []


def _has_tests(tree: ast.Module) -> bool:
    """Return whether the module defines a test function, or a class with one."""
    return any(
        any(method.startswith("test") for method in _names(statement))
        for statement in tree.body
        if isinstance(statement, ast.ClassDef) and (statement.bases or "Test" in statement.name)
    ) or any(
        isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef)
        and statement.name.startswith("test")
        for statement in tree.body
    )


def _names(body: ast.Module | ast.ClassDef) -> list[str]:
    """Return the names of the functions in a body."""
    return [
        statement.name
        for statement in body.body
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def _is_empty(tree: ast.Module) -> bool:
    """Return whether the module contains nothing but imports, as one that `startapp` creates."""
    return all(isinstance(node, ast.Import | ast.ImportFrom | ast.Expr) for node in tree.body)


def _imports_test_library(imports: frozenset[tuple[int, str]]) -> bool:
    return any(
        level == 0 and f"{name}.".startswith(tuple(f"{library}." for library in TEST_LIBRARIES))
        for level, name in imports
    )
