"""Indexes a function app and invokes its functions, with the code that does so in Azure.

`azure_functions_runtime` is Microsoft's worker for Python 3.13 and later. Its native entry takes and gives `Datum`s,
so neither gRPC nor protobuf is needed; loading wants three message types, for which plain namespaces do.
Its registry of functions belongs to the process: one app, loaded once.
"""

import asyncio
import json
import logging
import os
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from azure_functions_runtime import handle_event, native_invocation, start_threadpool_executor
from azure_functions_runtime.bindings.datumdef import Datum
from azure_functions_runtime.bindings.meta import load_binding_registry

logger = logging.getLogger("host")

TRIGGERS = frozenset({"queueTrigger", "eventGridTrigger", "timerTrigger", "httpTrigger"})
OUTPUTS = frozenset({"http"})


class AppError(Exception):
    """The app uses something that this host does not have, or lacks a setting."""


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the app, as it was indexed."""

    name: str
    id: str
    trigger: Mapping[str, Any]
    """The trigger's binding, as function.json would have it, with every %SETTING% resolved."""

    @property
    def kind(self) -> str:
        """The trigger's type, such as queueTrigger."""
        return str(self.trigger["type"])


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an invocation."""

    ok: bool
    returned: Any = None
    """The Datum of the `$return` binding."""
    message: str = ""
    """Why it failed, in the real host's words: the function's own are in the log and nowhere else."""


class BindingInfo(SimpleNamespace):
    """Stands for the worker's protobuf message of this name."""

    undefined, string, binary, stream = range(4)
    out, inout = 1, 2


def load(app: Path) -> list[Function]:
    """Import and index the app in `app`; whatever its import raises is raised here, unlike in Azure."""
    handle_event.protos = SimpleNamespace(
        BindingInfo=BindingInfo, RpcFunctionMetadata=SimpleNamespace, RpcRetryOptions=SimpleNamespace
    )
    sys.path.insert(0, str(app))
    os.chdir(app)
    load_binding_registry()
    start_threadpool_executor()
    handle_event.load_function_metadata(str(app), "dev.host")
    indexed = handle_event._metadata_result  # noqa: SLF001 - what the worker would send to the host
    if not indexed:
        raise AppError(f"there are no functions in {app}")
    return [function(metadata) for metadata in indexed if not disabled(metadata.name)]


def disabled(name: str) -> bool:
    """Tell whether a setting switches this function off."""
    return os.environ.get(f"AzureWebJobs.{name}.Disabled", "").lower() in ("true", "1")


def function(metadata: Any) -> Function:
    """Read the worker's metadata of one function; AppError where this host cannot serve it."""
    bindings = [json.loads(binding) for binding in metadata.raw_bindings]
    triggers = [binding for binding in bindings if binding["type"] in TRIGGERS]
    others = [binding["type"] for binding in bindings if binding["type"] not in TRIGGERS | OUTPUTS]
    if others or len(triggers) != 1:
        raise AppError(f"{metadata.name}: this host has no {', '.join(others) or 'second trigger'}")
    trigger = {key: setting(value) if isinstance(value, str) else value for key, value in triggers[0].items()}
    return Function(metadata.name, metadata.function_id, trigger)


def setting(text: str) -> str:
    """Replace every %NAME% by the app's setting; AppError where it is not set."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise AppError(f"{text}: the setting {match[1]} is missing")
        return os.environ[match[1]]

    return re.sub(r"%([^%]+)%", value, text)


@dataclass(frozen=True, slots=True)
class Worker:
    """The indexed functions, and the way to invoke them."""

    functions: Mapping[str, Function] = field(default_factory=dict)
    timeout: float | None = None
    """Seconds an invocation may take. The real host kills the worker then; this one reports a failure and lets the
    thread run out."""

    def triggered_by(self, kind: str) -> list[Function]:
        """Give the functions that have this type of trigger."""
        return [function for function in self.functions.values() if function.kind == kind]

    async def invoke(
        self, function: Function, value: Any, metadata: Mapping[str, str] | None = None, *, about: str = ""
    ) -> Outcome:
        """Invoke a function with its trigger's value, and write one line about it; never raises for what it does."""
        began = time.monotonic()
        request = native_invocation.invocation_request_native(
            str(uuid4()),
            function.id,
            [(function.trigger["name"], value)],
            {name: Datum(text, "string") for name, text in (metadata or {}).items()},
        )
        try:
            async with asyncio.timeout(self.timeout):
                ok, returned, _, error, _ = await request
            outcome = Outcome(
                ok, returned, "" if ok else f"Exception while executing function: Functions.{function.name}"
            )
        except TimeoutError:
            error = f"Timeout value of {timedelta(seconds=self.timeout or 0)} was exceeded by function: {function.name}"
            outcome = Outcome(ok=False, message=error)
        level, word = (logging.INFO, "ok") if outcome.ok else (logging.ERROR, f"failed: {error}")
        logger.log(level, "%s %s %s, %.0f ms", function.name, about or "-", word, (time.monotonic() - began) * 1000)
        return outcome
