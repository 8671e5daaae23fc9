"""Change a module when it is imported, and not before."""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Finder(MetaPathFinder):
    """Finds some modules as the other finders do, and calls an adapter after they have loaded."""

    def __init__(self) -> None:
        self.adapters: dict[str, str] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module with an adapter."""
        adapter = self.adapters.get(fullname)
        if adapter is None:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        found = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next((each for each in found if each), None)
        if spec and spec.loader:
            load = spec.loader.exec_module

            def load_and_adapt(module: ModuleType) -> None:
                load(module)
                import_module(adapter).install(module)

            spec.loader.exec_module = load_and_adapt  # type: ignore[method-assign]
        return spec


_finder = _Finder()


def after_import(name: str, adapter: str) -> None:
    """Call `install(module)` of the module `adapter` when the module `name` has been imported."""
    if name in sys.modules:
        import_module(adapter).install(sys.modules[name])
        return
    _finder.adapters[name] = adapter
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
