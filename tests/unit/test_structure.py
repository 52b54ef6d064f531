"""What the import contracts in pyproject.toml cannot say."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import function_app

REPOSITORY = Path(__file__).parents[2]
APP = sorted([*(REPOSITORY / "shared").rglob("*.py"), *(REPOSITORY / "cli").rglob("*.py")])
DOORS = REPOSITORY / "function_app.py"


def imports(path: Path) -> Iterator[str]:
    """List the modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_only_the_doors_know_the_functions_library() -> None:
    """`azure.functions` is imported by function_app.py and by nothing else of the app."""
    assert "azure.functions" in set(imports(DOORS))
    assert [str(path) for path in APP if any(name.startswith("azure.functions") for name in imports(path))] == []


def test_the_doors_know_nothing_but_the_wiring() -> None:
    """function_app.py imports the Functions library, `shared.wiring` and the standard library's json."""
    assert set(imports(DOORS)) == {"azure.functions", "json", "shared", "shared.wiring"}


def test_a_door_is_two_to_four_lines() -> None:
    """Each function in function_app.py only calls what is behind it."""
    functions = [node for node in ast.parse(DOORS.read_text("utf-8")).body if isinstance(node, ast.FunctionDef)]
    assert len(functions) == 11
    assert [function.name for function in functions if len(function.body) > 4] == []


def test_everything_but_health_asks_for_the_function_key() -> None:
    """The host asks for it before a function is called; `api/…` answers nobody without."""
    routes = {
        binding["route"]: (binding["authLevel"].value, [str(method.value) for method in binding["methods"]])
        for function in function_app.app.get_functions()
        for binding in function.get_dict_repr()["bindings"]
        if binding["type"] == "httpTrigger"
    }
    assert routes == {
        "health": ("anonymous", ["GET"]),
        "events/{key?}/{verb?}": ("function", ["GET", "POST"]),
        "actions/{key?}/{verb?}": ("function", ["GET", "POST"]),
    }


READERS = {
    "shared/wiring.py",  # the app's settings
    "cli/app.py",  # where the app is, and who asks
    "cli/app_storage.py",  # the same, for what is read from its storage
    "cli/rules/backtest.py",  # the settings that a rules file names
    "cli/rules/explaining.py",  # the same
    "cli/surroundings.py",  # what a command finds around it, and what its clients need
    "cli/tables.py",  # NO_COLOR
}


@pytest.mark.parametrize("name", ["environ", "getenv"])
def test_the_environment_is_read_in_one_place(name: str) -> None:
    """Only the wiring reads the environment, and the command for itself; everything else is given its settings."""
    readers = [
        path.relative_to(REPOSITORY).as_posix()
        for path in APP
        if any(
            isinstance(node, ast.Attribute) and node.attr == name
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
        )
    ]
    assert set(readers) <= READERS


def test_no_function_has_an_output_binding() -> None:
    """Messages are sent through the SDK, with no expiry and with a delay; an output binding knows neither."""
    assert "_output" not in DOORS.read_text("utf-8")
