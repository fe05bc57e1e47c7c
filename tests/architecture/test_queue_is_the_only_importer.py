"""django-q2 is known to one package."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("config", "uploads", "processing", "dashboard")
OWNER = ROOT / "processing" / "queue"


def imports_of(tree: ast.AST) -> Iterator[str]:
    """Yield the top-level packages that a module imports, lazily or not, by name or by string."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = ast.unparse(node.func).rpartition(".")[2]
            if called in {"import_module", "import_string", "__import__"}:
                yield str(node.args[0].value)


def importers(folders: list[Path]) -> set[Path]:
    return {
        path
        for folder in folders
        for path in folder.rglob("*.py")
        if "node_modules" not in path.parts
        for name in imports_of(ast.parse(path.read_text()))
        if name.partition(".")[0] == "django_q"
    }


def test_only_the_queue_imports_django_q():
    found = importers([ROOT / room for room in ROOMS])
    assert found, "the guard looks in the wrong place"
    assert {path for path in found if OWNER not in path.parents} == set()


def test_only_the_tests_of_the_queue_import_django_q():
    found = importers([ROOT / "tests"])
    allowed = {"queue", "benchmarks"}
    assert {path for path in found if not allowed & {path.parent.name, path.stem}} == set()
