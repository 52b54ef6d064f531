"""The local stack starts everything, survives a killed host, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from dev.process import Child
from dev.rules_file import look

REPOSITORY = Path(__file__).parents[2]
APP = REPOSITORY / "tests/integration/apps/host"
SETTINGS = {"WORK_QUEUE": "work", "TICK": "0 0 0 1 1 *"}


def eventually[T](look: Callable[[], T], *, seconds: float = 10) -> T:
    """Look until there is something to see."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return found


def facts(ready: Path) -> dict[str, Any]:
    """Read the ready file."""
    read: dict[str, Any] = json.loads(ready.read_text(encoding="utf-8"))
    return read


def children(pid: int) -> dict[int, str]:
    """Give the living children of a process, and what each runs."""
    listed = subprocess.run(["ps", "-eww", "-o", "ppid=,pid=,args="], check=True, capture_output=True, text=True)
    rows = (line.split(maxsplit=2) for line in listed.stdout.splitlines())
    return {int(child): command for parent, child, command in rows if int(parent) == pid}


def lives(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and that nobody asked after does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], check=False, capture_output=True, text=True).stdout
    return bool(state) and not state.startswith("Z")


def command(ready: Path, *options: str) -> list[str]:
    """Give the command that runs a stack around the tests' small app, which has no rules."""
    return [sys.executable, "-m", "dev.stack", "--ready", str(ready), "--app", str(APP), "--lease", "10", *options]


def refused(ready: Path, *options: str, **environment: str) -> str:
    """Run a stack that does not start, and give what it says."""
    ended = subprocess.run(
        command(ready, *options),
        env={**os.environ, **environment},
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr


@pytest.fixture
def stack(emulator_program: str, tmp_path: Path) -> Iterator[tuple[Child, Path]]:
    """Run a stack around the tests' small app."""
    ready = tmp_path / "ready.json"
    environment = SETTINGS | {"SEEN": str(tmp_path / "seen.jsonl"), "TMPDIR": str(tmp_path)}
    child = Child("stack", command(ready, "--allow-bad-rules"), log=tmp_path / "stack.log", env=environment)
    try:
        child.wait_for(lambda: ready.exists() or None)
        yield child, ready
    finally:
        child.stop(seconds=20)


def test_the_ready_file_says_where_everything_is(stack: tuple[Child, Path]) -> None:
    """Each address answers, the lease scales the app's times, and SIGTERM ends all of it."""
    child, ready = stack
    said = facts(ready)
    assert requests.get(f"{said['functions']}/admin/host/status", timeout=60).json()["state"] == "Running"
    for name in ("management", "vision", "channels", "event_grid", "identity"):
        verify = said["ca"] if said[name].startswith("https") else True
        assert requests.get(f"{said[name]}/_requests", verify=verify, timeout=60).status_code == 200, name
    assert Path(said["requests_log"]).exists()
    assert said["settings"]["AzureWebJobsStorage"] == said["storage"]
    assert said["settings"]["REACTOR_LEASE_SECONDS"] == "10"
    page = (REPOSITORY / "dev/simulators/README.md").read_text("utf-8")
    for name in said["settings"]:
        assert not name.startswith("SIMULATOR_") or f"| `{name}` |" in page, name
    parts = children(child.pid)
    assert len(parts) == 3
    child.process.send_signal(signal.SIGTERM)
    assert child.process.wait(20) == 0
    assert [path.name for path in ready.parent.glob("ready.*")] == ["ready.lock"]
    assert not any(map(lives, parts))


def test_only_one_stack_has_a_ready_file(stack: tuple[Child, Path]) -> None:
    """A second one is refused, and the first goes on as if nothing had been."""
    child, ready = stack
    before = facts(ready)
    assert f"another stack has {ready}, process {child.pid}" in refused(ready)
    assert facts(ready) == before
    assert requests.get(f"{before['functions']}/admin/host/status", timeout=60).ok


BAD = "version: 1\nrules:\n  - name: deploy\n    on: ModelRegisterd\n    do: [deploy.batch_endpoint]\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "mine.yaml: No such file or directory"), (BAD, 'mine.yaml:4:9: error: unknown kind "ModelRegisterd"')],
    ids=["missing", "wrong"],
)
def test_a_stack_without_rules_does_not_start(text: str | None, said: str, tmp_path: Path) -> None:
    """It says why, and what it had begun is cleared away."""
    rules = tmp_path / "mine.yaml"
    if text:
        rules.write_text(text, "utf-8")
    assert said in refused(tmp_path / "ready.json", REACTOR_RULES=str(rules))
    assert not (tmp_path / "ready.files").exists()


def test_a_stack_says_what_rules_it_has(tmp_path: Path) -> None:
    """Their number, and what is to be warned of."""
    rules = tmp_path / "mine.yaml"
    rules.write_text('version: 1\nworkspaces: {fraud: "${NOT_SET}"}\nrules: []\n', "utf-8")
    first, *others = look("mine.yaml", tmp_path, {})
    assert first == "rules: mine.yaml, 0 rules"
    assert [line for line in others if "NOT_SET" in line]


def test_a_stack_without_node_says_so(tmp_path: Path) -> None:
    """One line, and no trace."""
    (tmp_path / "bin").mkdir()
    said = refused(tmp_path / "ready.json", PATH=str(tmp_path / "bin"))
    assert "Node 20 or newer is needed" in said


def test_a_killed_host_can_be_replaced(stack: tuple[Child, Path], tmp_path: Path) -> None:
    """The rest goes on, the next host answers at the same address, and the stack stops that one too."""
    child, ready = stack
    before = facts(ready)
    os.kill(before["host_pid"], signal.SIGKILL)
    eventually(lambda: "waits for another" in child.tail())
    attached = Child(
        "attached",
        [sys.executable, "-m", "dev.host", "--attach", str(ready)],
        log=tmp_path / "attached.log",
        env=SETTINGS | {"SEEN": str(tmp_path / "seen.jsonl")},
    )
    try:
        eventually(lambda: facts(ready)["host_pid"] == attached.pid)
        assert facts(ready) == before | {"host_pid": attached.pid}
        assert requests.get(f"{before['functions']}/admin/host/status", timeout=60).ok
        child.stop(seconds=20)
        assert attached.process.wait(10) == 0
    finally:
        attached.stop()


def test_a_part_that_dies_takes_the_stack_down(stack: tuple[Child, Path]) -> None:
    """It says which part it was."""
    child, _ = stack
    simulators = next(pid for pid, command in children(child.pid).items() if "dev.simulators" in command)
    os.kill(simulators, signal.SIGKILL)
    assert child.process.wait(20) == 1
    assert "simulators ended unexpectedly with -9" in child.tail()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills children with their parent")
def test_a_killed_stack_leaves_nothing_behind(stack: tuple[Child, Path]) -> None:
    """Its children die with it."""
    child, _ = stack
    parts = children(child.pid)
    assert len(parts) == 3
    child.process.kill()
    child.process.wait()
    eventually(lambda: not any(map(lives, parts)))
