"""Runs everything on this machine: `python -m dev.stack --ready FILE`.

Azurite, the simulators and the host are processes of their own, and end with this one, however it ends.
FILE is written when all of them answer, and only one stack has it at a time.
A killed host is started again with `python -m dev.host --attach FILE`.
"""

import argparse
import json
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from shutil import which
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from dev.azurite import Azurite, azurite
from dev.host.settings import LEASE_SECONDS, timing
from dev.place import place
from dev.process import Child, ChildError
from dev.rules_file import look, publish
from dev.simulators.channels import SECRET as HOOK_SECRET
from dev.simulators.entra import AUDIENCE, CLIENT, LEADS, PERSON
from dev.simulators.language import KEY as LANGUAGE_KEY
from dev.simulators.tokens import TENANT
from dev.simulators.vision import KEY as VISION_KEY
from dev.simulators.vision import PREDICTION_KEY
from shared.clients.identity import managed_identity
from shared.settings import Storage
from shared.storage import prepare
from shared.storage.account import Account
from shared.storage.rules_store import is_blob

REPOSITORY = Path(__file__).parents[1]
LOOPBACK = "127.0.0.1"
PORTS = range(20_000, 30_000)
"""For the functions: below what systems give to outgoing connections, so that it is still free for the next host."""
WEBHOOK = "/runtime/webhooks/EventGrid?functionName=on_ml_event"
BACKUPS = "backups"
UNCOUNTED = "100000"
"""Both simulated regions of Language are on one host, which would have one region's share of requests a minute."""
POLL_SECONDS = 2.0
"""At most, between two looks at a remote job: a simulated one is over in a second, a real one takes minutes."""
ALL_THE_SAME = (
    "mend it, or name another one: `REACTOR_RULES=… make run`; "
    "`python -m dev.stack --ready .stack/ready.json --allow-bad-rules` starts it all the same: events wait then"
)
PYTHONPATH = {"PYTHONPATH": str(REPOSITORY)}


def main() -> None:
    """Start everything, wait for a signal or a death, stop everything in reverse."""
    parser = argparse.ArgumentParser(prog="python -m dev.stack", description="Runs ML Reactor on this machine.")
    parser.add_argument("--ready", type=Path, required=True, metavar="FILE", help="written when all of it answers")
    parser.add_argument("--rules", metavar="FILE", help="or blob:container/name; default: REACTOR_RULES, or rules.yaml")
    parser.add_argument("--allow-bad-rules", action="store_true", help="start where the rules are missing or wrong too")
    parser.add_argument("--app", type=Path, default=REPOSITORY, metavar="DIR", help="the function app's folder")
    parser.add_argument("--lease", type=float, default=LEASE_SECONDS, metavar="SECONDS", help="default: %(default)g")
    parser.add_argument("--log-storage", action="store_true", help="have the emulator log each request; it grows fast")
    parser.add_argument("--func", action="store_true", help="run the app with Azure Functions Core Tools instead")
    arguments = parser.parse_args()
    if arguments.func:
        if not which("func"):
            parser.error("Azure Functions Core Tools (func) are not installed")
        arguments.lease = LEASE_SECONDS  # that host's lease cannot be changed, and the app's claims must not be shorter

    ready = arguments.ready.absolute()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with ExitStack() as running:
            folder = running.enter_context(place(ready))
            children = start(arguments, ready, folder, running)
            running.callback(ignore_signals)
            supervise(*children)
    except KeyboardInterrupt:
        say("stopped")
    except ChildError as error:
        sys.exit(f"stack: {error}")


def start(arguments: argparse.Namespace, ready: Path, folder: Path, running: ExitStack) -> tuple[list[Child], Child]:
    """Start the parts one after the other; `running` stops them. Gives the indispensable ones, and the host."""
    began = time.monotonic()
    storage = running.enter_context(azurite(folder / "storage.log", each_request=arguments.log_storage))
    account = Account(Storage(connection_string=storage.app), managed_identity)
    prepare(account, BACKUPS)
    functions = f"http://{LOOPBACK}:{free_port()}"
    simulators, facts = running.enter_context(simulated(storage, functions, folder))

    rules = arguments.rules or os.environ.get("REACTOR_RULES") or "rules.yaml"
    if arguments.rules and not is_blob(rules):
        rules = str(Path(rules).absolute())
    facts |= {"issuer": f"{facts['entra']}/{TENANT}/v2.0", "person": PERSON}
    facts |= {
        "functions": functions,
        "storage": storage.app,
        "storage_log": str(folder / "storage.log"),
        "stack_pid": os.getpid(),
        "app": str(arguments.app.absolute()),
        "settings": settings(storage, facts, arguments.lease) | {"REACTOR_RULES": rules},
        "inherited": sorted(os.environ),
    }
    say_rules(rules, arguments, facts["settings"])
    if is_blob(rules):
        publish(rules, arguments.app, account)
    starting = ready.with_name(f"{ready.name}.starting")
    starting.write_text(json.dumps(facts, indent=2), encoding="utf-8")
    running.callback(starting.unlink, missing_ok=True)
    host = core_tools(arguments, starting) if arguments.func else own_host(starting, arguments.lease)
    running.callback(stop_host, host, ready)
    host.wait_for(lambda: json.loads(starting.read_text(encoding="utf-8")).get("host_pid"))
    starting.rename(ready)
    say(f"ready after {time.monotonic() - began:.1f} s; {arguments.ready} says where everything is; Ctrl-C ends it")
    say(f"functions at {functions}, events to {functions}{WEBHOOK}")
    return [storage.child, simulators], host


def say(text: str) -> None:
    """Tell somebody at the terminal."""
    print(f"stack: {text}", file=sys.stderr)


def say_rules(location: str, arguments: argparse.Namespace, settings: dict[str, str]) -> None:
    """Say what the rules hold; ChildError where the app could not use them, unless that is allowed."""
    try:
        for line in look(location, arguments.app, {**os.environ, **settings}):
            say(line)
    except ChildError as error:
        if not arguments.allow_bad_rules:
            raise ChildError(f"{error}\nstack: {ALL_THE_SAME}") from None
        say(f"{error}")


@contextmanager
def simulated(storage: Azurite, functions: str, folder: Path) -> Iterator[tuple[Child, dict[str, Any]]]:
    """Run the simulators; gives their process and where they answer."""
    facts, requests_log = folder / "simulators.json", folder / "requests.jsonl"
    requests_log.touch()
    child = Child(
        "simulators",
        [
            *(sys.executable, "-m", "dev.simulators", "--ready", str(facts), "--log", str(requests_log)),
            *("--storage", storage.app, "--service-storage", storage.service, "--functions", functions),
        ],
        log=folder / "simulators.log",
        env=PYTHONPATH,
    )
    try:
        child.wait_for(lambda: facts.exists() or None)
        yield child, json.loads(facts.read_text(encoding="utf-8")) | {"requests_log": str(requests_log)}
    finally:
        child.stop()


def settings(storage: Azurite, facts: dict[str, Any], lease: float) -> dict[str, str]:
    """Give the app's environment; a variable that is set here already wins over how the lease scales it.

    Rules reach the simulators through `${SIMULATOR_CHANNELS}` and its like.
    """
    blobs = dict(part.split("=", 1) for part in storage.service.strip(";").split(";"))["BlobEndpoint"]
    return {
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "PYTHON_THREADPOOL_THREAD_COUNT": "32",
        "AzureWebJobsStorage": storage.app,
        "REACTOR_ARM_ENDPOINT": facts["management"],
        "REACTOR_ML_HOSTS": LOOPBACK,
        "REACTOR_BACKUP_CONTAINER": BACKUPS,
        "REACTOR_VISION_BLOB_HOSTS": LOOPBACK,
        **dict.fromkeys(("REACTOR_LANGUAGE_READS", "REACTOR_LANGUAGE_WRITES"), UNCOUNTED),
        "REACTOR_AUTHORITY": facts["issuer"],
        "REACTOR_AUDIENCE": f"{AUDIENCE},{CLIENT}",
        "REACTOR_OPERATORS": PERSON,
        "IDENTITY_ENDPOINT": f"{facts['identity']}/msi/token",
        "IDENTITY_HEADER": facts["identity_header"],
        "REQUESTS_CA_BUNDLE": facts["ca"],
        "SIMULATOR_VISION_BLOBS": blobs,
        **{f"SIMULATOR_{name.upper()}": facts[name] for name in ("management", "vision", "channels", "event_grid")},
        "SIMULATOR_SMTP": facts["smtp"],
        "SIMULATOR_VISION_REPLICA": facts["vision_replica"],
        "SIMULATOR_LANGUAGE": facts["language"],
        "SIMULATOR_LANGUAGE_REPLICA": facts["language_replica"],
        "SIMULATOR_LANGUAGE_KEY": LANGUAGE_KEY,
        "SIMULATOR_VISION_KEY": VISION_KEY,
        "SIMULATOR_VISION_PREDICTION_KEY": PREDICTION_KEY,
        "SIMULATOR_HOOK_SECRET": HOOK_SECRET,
        "SIMULATOR_LEADS": LEADS,
        **{name: os.environ.get(name, value) for name, value in local_timing(lease).items()},
    }


def local_timing(lease: float) -> dict[str, str]:
    """Give the settings that go with a lease, but look at remote jobs more often than in Azure."""
    scaled = timing(lease)
    return scaled | {"REACTOR_POLL_SECONDS": f"{min(POLL_SECONDS, float(scaled['REACTOR_POLL_SECONDS'])):g}"}


def own_host(file: Path, lease: float) -> Child:
    """Start the host of `dev.host`, which tells the file when it answers."""
    options = ("--attach", str(file), "--lease", f"{lease:g}")
    return Child("host", [sys.executable, "-m", "dev.host", *options], env=PYTHONPATH)


def core_tools(arguments: argparse.Namespace, file: Path) -> Child:
    """Start the real host, and tell the file when it answers."""
    facts = json.loads(file.read_text(encoding="utf-8"))
    os.chdir(arguments.app)
    host = Child("func", ["func", "start", "--port", facts["functions"].rpartition(":")[2]], env=facts["settings"])
    host.wait_for(lambda: runs(facts["functions"]), seconds=120)
    file.write_text(json.dumps(facts | {"host_pid": host.pid}, indent=2), encoding="utf-8")
    return host


def runs(functions: str) -> bool | None:
    """Tell whether a host answers there; None where it does not."""
    with suppress(URLError, OSError), urlopen(f"{functions}/admin/host/status", timeout=5) as answer:
        return json.load(answer)["state"] == "Running" or None
    return None


def supervise(indispensable: list[Child], host: Child) -> None:
    """Wait for ever; ChildError when one of the indispensable processes ends. A host may be killed and replaced."""
    said = False
    while True:
        for child in indispensable:
            if (code := child.process.poll()) is not None:
                raise ChildError(f"{child.name} ended unexpectedly with {code}\n{child.tail()}")
        if not said and (code := host.process.poll()) is not None:
            say(f"the host ended with {code}; the rest goes on and waits for another")
            said = True
        time.sleep(0.2)


def stop_host(host: Child, ready: Path) -> None:
    """Stop the host we started, and the one that took its place, if any: it takes its id out of the file at its end."""
    host.stop()
    deadline = time.monotonic() + 8
    with suppress(FileNotFoundError, ProcessLookupError):
        while (pid := json.loads(ready.read_text(encoding="utf-8"))["host_pid"]) not in (None, host.pid):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                break
            os.kill(pid, signal.SIGTERM)
            time.sleep(0.1)


def ignore_signals() -> None:
    """Let the stopping of everything run to its end."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def free_port() -> int:
    """Find a port that nobody uses."""
    for port in random.sample(PORTS, len(PORTS)):
        with suppress(OSError), socket.socket() as probe:
            probe.bind((LOOPBACK, port))
            return port
    raise ChildError("no port is free")


if __name__ == "__main__":
    main()
