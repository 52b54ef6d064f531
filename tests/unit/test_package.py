"""The files that make the app an Azure Functions app say what they should, and only those are deployed."""

import json
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from pathspec import GitIgnoreSpec

from dev.host.settings import HostJson, timing
from shared.settings import NAMES, STORAGE_PREFIX, Settings

REPOSITORY = Path(__file__).parents[2]
DEPLOYED = {"function_app.py", "host.json", "requirements.txt", "rules.yaml", "shared"}
MADE = (
    ".git/config",
    ".hypothesis/examples/x",
    ".mypy_cache/x.json",
    ".pytest_cache/README.md",
    ".ruff_cache/x",
    ".stack/ready.json",
    ".venv/bin/python",
    "bench.json",
    "build/lib/shared/parse.py",
    "local.settings.json",
    "ml_reactor.egg-info/PKG-INFO",
    "my-rules/rules.yaml",
    "node_modules/azurite/package.json",
    "shared/__pycache__/parse.cpython-313.pyc",
)
"""What tools and the README's tutorial leave in the working tree, of which git knows nothing."""


def read(name: str) -> Any:
    """Read a JSON file of the repository."""
    return json.loads((REPOSITORY / name).read_text(encoding="utf-8"))


def tracked() -> set[str]:
    """List the files that git keeps; what else somebody has in the working tree is their own affair."""
    command = ["git", "ls-files", "--cached", "-z"]
    listed = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    return set(listed.stdout.split("\0")) - {""}


def test_the_package_holds_the_app_and_nothing_else() -> None:
    """Of all files, tracked or made by tools, exactly the app's own are deployed."""
    ignored = GitIgnoreSpec.from_lines((REPOSITORY / ".funcignore").read_text(encoding="utf-8").splitlines())
    names = tracked() | set(MADE) | {"function_app.py", "rules.yaml"}
    deployed = {name for name in names if not ignored.match_file(name)}
    assert {name.split("/")[0] for name in deployed} == DEPLOYED
    assert {name for name in deployed if name.startswith("shared/")} == {
        name for name in tracked() if name.startswith("shared/")
    }


def test_git_knows_nothing_of_what_tools_leave() -> None:
    """After set-up, tests and the tutorial, `git status` is as clean as before."""
    left = [name for name in MADE if not name.startswith(".git/")]
    command = ["git", "check-ignore", "--no-index", *left]
    listed = subprocess.run(command, cwd=REPOSITORY, check=False, capture_output=True, text=True)
    assert listed.stdout.split() == left


def test_the_local_host_is_not_deployed() -> None:
    """Azure has its own worker: azure-functions-runtime is for development only."""
    assert "azure-functions-runtime" not in (REPOSITORY / "requirements.txt").read_text(encoding="utf-8")


def test_the_sample_settings_are_all_settings_with_their_defaults() -> None:
    """A copy of the sample runs the app as if only its storage were set."""
    values: dict[str, str] = read("local.settings.sample.json")["Values"]
    assert set(values) == {*NAMES, "FUNCTIONS_WORKER_RUNTIME", "PYTHON_THREADPOOL_THREAD_COUNT"}
    storage = {STORAGE_PREFIX: values[STORAGE_PREFIX]}
    assert replace(Settings.read(values), values={}) == replace(Settings.read(storage), values={})
    assert timing(600).items() <= values.items()


def test_host_json_says_what_the_app_counts_on() -> None:
    """Plain text messages, retries half a minute apart, at most two seconds of silence, five minutes of work."""
    host = HostJson.read(REPOSITORY)
    queues = host.extensions.queues
    assert queues.message_encoding == "none"
    assert queues.visibility_timeout == timedelta(seconds=30)
    assert queues.max_polling_interval == timedelta(seconds=2)
    assert queues.max_dequeue_count == 5
    assert host.function_timeout == timedelta(minutes=5)
    assert host.logging.log_level["azure"] == "Warning"
    bundle = read("host.json")["extensionBundle"]
    assert bundle == {"id": "Microsoft.Azure.Functions.ExtensionBundle", "version": "[4.*, 5.0.0)"}


def test_every_message_in_hand_has_a_thread() -> None:
    """A queue function never leases more messages than the worker has threads to run them on."""
    queues = HostJson.read(REPOSITORY).extensions.queues
    threads = int(read("local.settings.sample.json")["Values"]["PYTHON_THREADPOOL_THREAD_COUNT"])
    assert queues.batch_size + queues.new_batch_threshold <= threads
