"""`reactor rules test`: plays cases against a rules file, as a test runner does."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.rules.case_files import Case
    from cli.rules.judging import Difference, Verdict
    from shared.rules import Problem, Rules

FOLDER = "cases"
"""The folders whose files are cases; where there are none, every file of the folder that is asked for is one."""
RULES = ("rules.yaml", "rules.yml")
PASSED_OVER = frozenset({"node_modules", "__pycache__"})


def add_command(commands: Any) -> None:
    """Add `reactor rules test`."""
    one = commands.add_parser("test", help="play the cases of a folder against a rules file")
    one.add_argument(
        "dir",
        nargs="?",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="where to look for cases, or one case; default: here",
    )
    one.add_argument("--rules", type=Path, metavar="FILE", help="the rules file, in place of the cases' own")
    one.add_argument("--json", action="store_true", help="for programs")
    one.add_argument("--verbose", action="store_true", help="also what was done, and what was against the others")
    one.set_defaults(run=test)


def test(options: Namespace) -> int:
    """Play the cases: 0 where all pass, 1 where one does not, 2 where one cannot be read or there is none."""
    import time

    paths = find(options.dir)
    if not paths:
        raise UsageError(f"there are no cases in {options.dir}: a case is a YAML file in a folder called {FOLDER}")
    started = time.monotonic()
    runner = Runner(options.rules)
    played = [runner.play(path) for path in paths]
    seconds = time.monotonic() - started
    if options.json:
        _print_json(played, seconds)
    else:
        _print(played, seconds, verbose=options.verbose)
    return max(one.code for one in played)


def find(place: Path) -> list[Path]:
    """List the case files at a place, in order."""
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise UsageError(f"there is no folder {place}")
    files: list[Path] = []
    for folder, folders, names in place.walk():
        folders[:] = [name for name in folders if name not in PASSED_OVER and not name.startswith(".")]
        files += [folder / name for name in names if name.endswith((".yaml", ".yml")) and not name.startswith(".")]
    files = sorted(path for path in files if path.name not in RULES)
    if FOLDER in place.resolve().parts:
        return files
    return [path for path in files if FOLDER in path.relative_to(place).parent.parts] or files


# -- playing ----------------------------------------------------------------------------------------------------------


class Played:
    """What came of one file: a verdict, or the problems that kept it from being played."""

    def __init__(
        self, path: Path, verdict: Verdict | None, problems: list[Problem], origin: str, case: Case | None = None
    ) -> None:
        self.path = path
        self.verdict = verdict
        self.problems = problems
        self.origin = origin
        """The file that the problems are in."""
        self.says = case.says if case else ""
        self.is_broken = verdict is None and origin == str(path)
        """Whether the case itself could not be read."""

    @property
    def passed(self) -> bool:
        """Whether all was as the case wants it."""
        return self.verdict is not None and not self.verdict.differences

    @property
    def code(self) -> int:
        """The exit code that it asks for."""
        return 2 if self.is_broken else 0 if self.passed else 1

    def json(self) -> dict[str, Any]:
        """Give it as plain data."""
        return {
            "file": str(self.path),
            "says": self.says,
            "passed": self.passed,
            "differences": [one.json() for one in self.verdict.differences] if self.verdict else [],
            "done": [{"line": line, "rule": rule, "steps": steps} for line, rule, steps in self.verdict.done]
            if self.verdict
            else [],
            "problems": [{"file": self.origin, **problem.json()} for problem in self.problems],
        }


class Runner:
    """Plays cases; each rules file is read once."""

    def __init__(self, rules: Path | None) -> None:
        self._rules = rules
        self._loaded: dict[Path, Rules] = {}

    def play(self, path: Path) -> Played:
        """Play the case in a file."""
        from cli.documents import read
        from cli.rules.case_files import CaseError, read_case
        from cli.rules.judging import judge
        from shared.rules import RulesError

        case: Case | None = None
        try:
            case = read_case(path, read(path))
            return Played(path, judge(case, self._rules_of(case)), [], str(path), case)
        except CaseError as error:
            return Played(path, None, error.problems, str(path), case)
        except RulesError as error:
            errors = [problem for problem in error.problems if problem.level == "error"]
            return Played(path, None, errors, error.origin, case)

    def _rules_of(self, case: Case) -> Rules:
        """Load the rules of a case: those of the command, its own, or the file that stands nearest above it."""
        from cli.documents import read
        from cli.rules.case_files import CaseError
        from shared.handlers import ACTIONS
        from shared.rules import Problem, load

        if self._rules is None and case.inline is not None:
            return load(case.inline, ACTIONS, str(case.path))
        found = self._rules or case.rules or _nearest(case.path)
        if found is None:
            raise CaseError([Problem(1, 1, "there is no rules.yaml above this case: name the file under rules")])
        if found not in self._loaded:
            if not found.is_file() and self._rules is None:
                raise CaseError([Problem(1, 1, f"there is no rules file {found}")])
            self._loaded[found] = load(read(found), ACTIONS, str(found))
        return self._loaded[found]


def _nearest(path: Path) -> Path | None:
    for folder in path.parents if path.is_absolute() else [*path.parents, *Path.cwd().parents]:
        for name in RULES:
            if (folder / name).is_file():
                return folder / name
    return None


# -- for programs and people ------------------------------------------------------------------------------------------


def _counts(played: list[Played]) -> dict[str, int]:
    return {
        "passed": sum(one.passed for one in played),
        "failed": sum(one.code == 1 for one in played),
        "unreadable": sum(one.code == 2 for one in played),
    }


def _print_json(played: list[Played], seconds: float) -> None:
    from cli.documents import print_json

    print_json({"cases": [one.json() for one in played], **_counts(played), "seconds": round(seconds, 3)})


def _print(played: list[Played], seconds: float, *, verbose: bool) -> None:
    import sys

    from cli.tables import BOLD, GREEN, RED, count, painter

    paint = painter()
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    yes, no = ("✓", "✗") if encoding.startswith("utf") else ("ok", "FAIL")
    folder: Path | None = None
    width = max(len(one.path.stem) for one in played)
    for one in played:
        if one.path.parent != folder:
            folder = one.path.parent
            print(paint(BOLD, str(folder)))
        mark = paint(GREEN, yes) if one.passed else paint(RED, no)
        print(f"  {mark} {one.path.stem.ljust(width)}  {one.says}".rstrip())
        if verbose and one.verdict:
            print("\n".join(_explained(one.verdict, paint)))
    failed = [one for one in played if not one.passed]
    told: set[str] = set()
    for one in failed:
        print()
        for problem in one.problems:
            line = problem.show(one.origin)
            if line not in told:
                print(paint(RED, line))
            told.add(line)
        if one.problems and not one.is_broken:
            print(f"{one.path}: not played, for its rules file has errors")
        for difference in one.verdict.differences if one.verdict else []:
            print("\n".join(_difference(one.path, difference, paint)))
    counts = _counts(played)
    words = [f"{number} {what}" for what, number in counts.items() if number or what == "passed"]
    total = f"{count(len(played), 'case')}: {', '.join(words)}"
    print("" if not failed else "\n", end="")
    print(f"{paint(RED if failed else GREEN, total)} in {seconds:.2f} s")


def _difference(path: Path, difference: Difference, paint: Any) -> Iterator[str]:
    from cli.rules.judging import NOTHING
    from cli.tables import BOLD, GREEN, RED

    rule = f"{difference.rule}: " if difference.rule else ""
    yield f"{paint(BOLD, f'{path}:{difference.line}:')} {rule}{difference.message}"
    if difference.expected is not NOTHING:
        yield from _value(paint, RED, "- expected  ", difference.expected)
        if difference.got is not NOTHING:
            yield from _value(paint, GREEN, "+ got       ", difference.got)


def _value(paint: Any, code: str, what: str, value: Any) -> Iterator[str]:
    from cli.tables import as_json

    text = value if isinstance(value, str) else as_json(value)
    first, *rest = text.splitlines() or [""]
    quoted = as_json(text) if isinstance(value, str) and (not text or text != text.strip()) else first
    yield paint(code, f"    {what}{quoted}")
    for line in rest if quoted == first else ():
        yield paint(code, f"    {' ' * len(what)}{line}")


def _explained(verdict: Verdict, paint: Any) -> Iterator[str]:
    """Write a block for each turn: its event, what was done, and the first thing against each other rule."""
    from cli.rules.explaining import steps
    from cli.tables import DIM, GREEN, clean, count

    events = dict(verdict.explained)
    for turn in verdict.case.turns:
        explanation = events.get(turn.line)
        title = "only time passes"
        if explanation:
            event = explanation.event
            title = clean(f"{', '.join(sorted(event.kinds)) or event.type}  {event.subject}")
        yield f"      line {turn.line}: {title}"
        for line, rule, done in verdict.done:
            if line == turn.line:
                yield f"        {paint(GREEN, 'yes')}  {rule}"
                yield from steps(done, paint, " " * 13)
        against = [(one.rule.name, one.because) for one in explanation.rules if one.because] if explanation else []
        for name, because in against:
            if because.path != "on":
                yield paint(DIM, clean(f"        no   {name}  {because.show()}"))
        if elsewhere := sum(because.path == "on" for _, because in against):
            yield paint(DIM, f"        {count(elsewhere, 'rule')} listen{'s' if elsewhere == 1 else ''} to other kinds")
