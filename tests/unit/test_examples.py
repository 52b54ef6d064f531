"""Every folder of examples/ does what its README says."""

import json
from pathlib import Path

import pytest

from cli.main import main

EXAMPLES = sorted(path.parent for path in (Path(__file__).parents[2] / "examples").glob("*/rules.yaml"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_gives_what_it_promises(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its rules are in order, and `explain --json` prints its expected.json."""
    assert (example / "README.md").read_text("utf-8").startswith("# ")
    rules, event = str(example / "rules.yaml"), str(example / "event.json")
    assert main(["rules", "check", rules]) == 0
    assert "nothing wrong" in capsys.readouterr().out
    assert main(["rules", "explain", "--json", "--rules", rules, "--event", event]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((example / "expected.json").read_text("utf-8"))


def test_there_are_examples() -> None:
    """The folder is where it is looked for."""
    assert EXAMPLES
