"""The pages say what the code does: links lead somewhere, tables are complete, pasted output is what is printed."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.main import main
from dev.reference.step_parameters import of_step
from shared import rules
from shared.handlers import ACTIONS
from shared.rules import sandbox
from shared.rules.declared import Declared, LanguageProject, VisionProject
from shared.rules.filters import OPERATORS
from shared.rules.kinds import KINDS
from shared.rules.parameters import parameters
from shared.settings import NAMES
from shared.storage import PAYLOADS_CONTAINER, POISON_QUEUES, QUEUES, TABLES
from tests import guarantees

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", "dev/**/*.md")
    for path in ROOT.glob(pattern)
    if "node_modules" not in path.parts
)
FENCED = re.compile(r"^```(?P<language>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]\n]+\]\((?P<target>[^)\s]+)\)")
ELSEWHERE = re.compile(
    r"(?<![\w.])/(?:work|root|home)/|DESIGN\.md|\.\./shared|reference[/ ]\w+\.md"
    r"|(?:aml_adf|customvision_clu|anchors|peers)\.md"
)
"""What only the machine knows that something was written on."""

ANYTHING = """version: 1
workspaces: {fraud: "${FRAUD}"}
factories: {etl: "${ETL}"}
vision:
  fruit:
    project: "${FRUIT}"
    training: {endpoint: "https://fruit.example"}
    prediction: "${PREDICTION}"
    replica: {training: {endpoint: "https://spare.example"}}
language:
  mail-bot:
    project: EmailApp
    primary: {endpoint: "https://mail-we.example"}
    secondary: {endpoint: "https://mail-ne.example"}
    deployments: [production]
channels: {oncall: {kind: teams, url: "${ONCALL}"}, mirror: {kind: webhook, url: "https://mirror.example/hook"}}
rules:
"""
"""What a fragment of a rule may refer to."""


def page(name: str) -> str:
    """Read a page."""
    return (ROOT / name).read_text("utf-8")


def section(text: str, heading: str) -> str:
    """Take what stands under a heading, up to the next one of its level or above."""
    level = heading.partition(" ")[0]
    after = text.partition(f"\n{heading}\n")[2]
    assert after, heading
    return re.split(rf"^#{{1,{len(level)}}} ", after, maxsplit=1, flags=re.MULTILINE)[0]


def anchors(text: str) -> set[str]:
    """Give the headings of a page as GitHub links to them."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """Find the blocks of one language: the page they are on, and their text."""
    for path in PAGES:
        for block in FENCED.finditer(path.read_text("utf-8")):
            if block["language"] == language:
                yield str(path.relative_to(ROOT)), block["text"]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    """Each link to a page or to a heading of one finds it."""
    text = FENCED.sub("", path.read_text("utf-8"))
    for link in LINK.finditer(text):
        file, _, anchor = link["target"].partition("#")
        if "://" in file:
            continue
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), link["target"]
        if anchor:
            assert anchor in anchors(target.read_text("utf-8")), link["target"]


@pytest.mark.parametrize("name", ["README.md", "docs/adr/README.md", "examples/README.md"])
def test_lists_of_pages_are_complete(name: str) -> None:
    """Every page, decision and example is linked from the page that lists them."""
    folder = (ROOT / name).parent
    wanted = {
        "README.md": {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")},
        "docs/adr/README.md": {path.name for path in folder.glob("0*.md")},
        "examples/README.md": {f"{path.parent.name}/README.md" for path in folder.glob("*/rules.yaml")},
    }[name]
    assert wanted <= {link["target"].partition("#")[0] for link in LINK.finditer(page(name))}


def test_every_setting_is_explained_with_its_default() -> None:
    """The page has a row for each, and the defaults are those of the sample."""
    text = page("docs/configuration.md")
    sample = json.loads(page("local.settings.sample.json"))["Values"]
    for name in NAMES:
        row = re.search(rf"^\| `{re.escape(name)}` \| (.*?) ?\| .+ \|$", text, re.MULTILINE)
        assert row, name
        if name.startswith("REACTOR_"):
            assert row[1] == f"`{sample[name]}`", name


def test_host_json_is_explained_as_it_is() -> None:
    """The page has the numbers of the file."""
    text, queues = page("docs/configuration.md"), json.loads(page("host.json"))["extensions"]["queues"]
    for name, value in queues.items():
        assert f"| `{name}` |" in text
        if not str(value).startswith("00:"):
            assert re.search(rf"^\| `{name}` \| `?{value}`? \|", text, re.MULTILINE), name


def test_every_operator_is_explained() -> None:
    """The table has a row for each, and no other."""
    table = section(page("docs/rules.md"), "## Filters: `where`")
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(OPERATORS)


def test_what_is_said_of_missing_values_is_true() -> None:
    """Each operator's column "missing or null" is what its test says."""
    operands = {"a list of texts": ["a"], "a list of numbers": [1], "one number": 1, "a list of [low": [[0, 1]]}
    table = section(page("docs/rules.md"), "## Filters: `where`")
    for name, operator in OPERATORS.items():
        row = re.search(rf"^\| `{name}` \| .+? \| .+? \| (.+?) \|", table, re.MULTILINE)
        assert row, name
        operand = next((value for words, value in operands.items() if operator.wants.startswith(words)), True)
        assert operator.compile(operand)(None) is ("yes" in row[1]), name


def test_every_kind_and_its_fields_are_explained() -> None:
    """The page names each kind, and each field of a namespace."""
    text = section(page("docs/rules.md"), "## Kinds of events, and their fields")
    for kind, about in KINDS.items():
        assert f"`{kind}`" in text, kind
        for namespace, fields in about.fields.items():
            row = re.search(rf"^\| `{namespace}\..*$", text, re.MULTILINE)
            assert row, namespace
            if namespace != "data":
                assert set(re.findall(r"\.(\w+)`", row[0])) >= fields, namespace


def test_every_step_and_its_parameters_are_explained() -> None:
    """Each step has a heading, and under it a row for each parameter, nested ones too, marked where it is required."""
    text = section(page("docs/rules.md"), "## Each step")
    assert re.findall(r"^### `(.+)`$", text, re.MULTILINE) == list(ACTIONS)
    for action, target in ACTIONS.items():
        under = section("\n" + text, f"### `{action}`")
        for one in of_step(parameters(target).model):
            row = re.search(rf"^\| `{re.escape(one.path)}` \| (.*?) ?\| .+ \|$", under, re.MULTILINE)
            assert row or not one.said, f"{action}: {one.path}"
            assert row is None or one.is_required == (row[1] == "required"), f"{action}: {one.path}"


def test_every_declaration_and_channel_is_explained() -> None:
    """Each section has a heading; each kind of channel and each of its fields has a row."""
    text = page("docs/rules.md")
    for name in Declared.model_fields.keys() - {"channels"}:
        assert f"\n### `{name}`\n" in text
    for heading, model in (("### `vision`", VisionProject), ("### `language`", LanguageProject)):
        for name in model.model_fields:
            assert f"| `{name}` |" in section(text, heading)
    schema = Declared.model_json_schema()["$defs"]
    rows = section(text, "## Channels")
    parts = re.split(r"^\| `(\w+)` \| \|", rows, flags=re.MULTILINE)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    named = ((about["properties"].get("kind", {}), about) for about in schema.values())
    kinds = {kind["const"]: about for kind, about in named if "const" in kind}
    assert found.keys() == kinds.keys()
    for kind, about in kinds.items():
        for field in about["properties"].keys() - {"kind"}:
            assert f"`{field}`" in found[kind], f"{kind}: {field}"


def test_the_words_of_templates_are_listed() -> None:
    """The page lists the filters and the methods that there are."""
    text = section(page("docs/rules.md"), "## Templates")
    for heading, words in (("Filters: ", sandbox.FILTERS), ("Methods: ", sandbox.METHODS)):
        line = text.partition(f"\n{heading}")[2].partition("\n")[0]
        assert set(re.findall(r"`(\w+)`", line)) == words


def test_what_storage_holds_is_listed() -> None:
    """The pages name every queue, table and container of the code."""
    text = page("docs/architecture.md") + page("docs/configuration.md")
    for name in (*QUEUES, *POISON_QUEUES, *TABLES, PAYLOADS_CONTAINER):
        assert f"`{name}`" in text, name


@pytest.mark.parametrize(("name", "text"), [*blocks("yaml"), *blocks("yaml fragment")])
def test_rules_in_pages_load(name: str, text: str) -> None:
    """Every block of YAML is a rules file without errors, or a part of a rule of one."""
    if not text.startswith("version:"):
        part = "".join(f"    {line}\n" for line in text.splitlines())
        on = "" if text.startswith("on:") else "    on: [ModelRegistered, DriftDetected, ExportCompleted]\n"
        do = "" if re.search("^do:", text, re.MULTILINE) else "    do: [alert: {channel: oncall}]\n"
        text = f"{ANYTHING}  - name: fragment\n{on}{part}{do}"
    assert rules.load(text, ACTIONS, name)


def test_what_the_readme_shows_is_what_is_printed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its explanation is the real one, and its errors are those of the two words misspelt."""
    monkeypatch.setenv("NO_COLOR", "1")
    example = ROOT / "examples/first-rule"
    assert main(["rules", "explain", "--rules", f"{example}/rules.yaml", "--event", f"{example}/event.json"]) == 0
    printed = "\n".join(line.rstrip() for line in capsys.readouterr().out.strip().splitlines())
    assert printed in page("README.md")
    wrong = (example / "rules.yaml").read_text("utf-8").replace("RunFailed", "RunFaild", 1)
    (tmp_path / "rules.yaml").write_text(wrong.replace("channel: fraud-team", "channel: fraud-taem"), "utf-8")
    assert main(["rules", "check", f"{tmp_path}/rules.yaml"]) == 1
    assert capsys.readouterr().out.replace(str(tmp_path), "my-rules") in page("README.md")


def test_nothing_tells_of_the_machine_it_was_written_on() -> None:
    """No page and no source names a path or a document that readers do not have."""
    folders = ("shared", "cli", "dev", "tests", "bench", "examples", "docs")
    files = [
        path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in {".py", ".md", ".yaml"}
    ]
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in {*files, *PAGES, *ROOT.glob("*.py"), *ROOT.glob("*.toml"), ROOT / "Makefile"}
        for match in ELSEWHERE.finditer(path.read_text("utf-8"))
    ]
    assert found == []


def test_each_guarantee_names_the_tests_that_prove_it() -> None:
    """The page is what `python -m tests.guarantees` writes, and no guarantee is without a proof."""
    assert page("docs/guarantees.md") == guarantees.page_with_proofs()
    assert set(guarantees.proofs()) == set(guarantees.titles())
