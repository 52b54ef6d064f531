"""What `--input` means: data by its URI, a registered asset, or a text; and what NAME=VALUE does."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from cli.errors import UsageError

NAMED = re.compile(r"(?P<name>[A-Za-z_]\w*)=(?P<value>.*)", re.DOTALL)
KINDS = ("folder", "file", "data", "mlflow_model", "custom_model", "triton_model", "text")
ASSET = re.compile(r"azureml:[^:/]+:[^:/]+|/subscriptions/.+/data/[^/]+/versions/[^/]+", re.IGNORECASE)
URI = re.compile(r"(?:https|azureml|abfss|wasbs)://.+|/subscriptions/.+/datastores/.+", re.IGNORECASE)
ONLY = "data"
"""The name of an input that is given none: a model's has any."""


def read_inputs(given: Iterable[str]) -> dict[str, Any]:
    """Read inputs by name; UsageError where two have the same."""
    inputs: dict[str, Any] = {}
    for text in given:
        found = NAMED.fullmatch(text)
        name, value = (found["name"], found["value"]) if found else (ONLY, text)
        if name in inputs:
            raise UsageError(f"--input: there are two of the name {name}; write NAME=VALUE")
        inputs[name] = read_input(value)
    return inputs


def read_input(value: str) -> Any:
    """Read one: as what it says it is, else as what it looks like.

    >>> read_input("https://acct.blob.core.windows.net/data/day/")
    {'folder': 'https://acct.blob.core.windows.net/data/day/'}
    >>> read_input("azureml://datastores/d/paths/day/one.csv")
    {'file': 'azureml://datastores/d/paths/day/one.csv'}
    >>> read_input("azureml:days:3")
    {'data': 'azureml:days:3'}
    >>> read_input("0.3")
    '0.3'
    """
    kind, _, rest = value.partition(":")
    if kind in KINDS and rest:
        return rest if kind == "text" else {kind: rest}
    if ASSET.fullmatch(value):
        return {"data": value}
    if URI.fullmatch(value):
        last = value.split("?", maxsplit=1)[0].rsplit("/", 1)[-1]
        return {"file" if "." in last else "folder": value}
    return value


def read_pairs(given: Iterable[str], option: str = "") -> dict[str, str]:
    """Read NAME=VALUE; UsageError, which names the option, where one is not written so."""
    pairs = {text: text.partition("=") for text in given}
    if wrong := [text for text, (name, equals, _) in pairs.items() if not (name and equals)]:
        raise UsageError(f"{option} {wrong[0]}: write NAME=VALUE".strip())
    return {name: value for name, _, value in pairs.values()}
