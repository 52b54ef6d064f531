"""`reactor rules schema`: the JSON Schema of a rules file, by which editors complete, explain and check it.

It is made from the models that the loader uses, so it says what they say. It accepts whatever `rules check` accepts,
and leaves to that what no schema can say: names that are declared elsewhere, templates, what an event can have.
https://json-schema.org/draft/2020-12
"""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

Json = dict[str, Any]


def add_command(commands: Any) -> None:
    """Add the command to those of `reactor rules`."""
    one = commands.add_parser("schema", help="write the JSON Schema of rules files, for editors")
    one.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: print it")
    one.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Print the schema, or write it to a file."""
    from cli.documents import write

    if options.output is None:
        print(text(), end="")
        return 0
    write(options.output, text(), may_replace=True)
    print(f"{options.output}: begin a rules file with")
    print(f"# yaml-language-server: $schema={options.output.name}")
    return 0


def text() -> str:
    """Write the schema as the file that is committed."""
    return json.dumps(rules_schema(), indent=2, ensure_ascii=False) + "\n"


def rules_schema() -> Json:
    """Make the schema of a whole rules file."""
    from cli.rules import language
    from cli.rules.catalogue import plain
    from cli.rules.schema_parts import definitions, section_schemas
    from shared.rules.loading import MODES

    said = {name: plain(what) for name, what in language.TOP.items()}
    properties: Json = {
        "version": {"const": 1},
        "mode": {"enum": list(MODES), "default": "live"},
        **section_schemas(),
        "rules": {"type": ["array", "null"], "items": {"$ref": "#/$defs/rule"}},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ML Reactor rules",
        "description": "What is done about what Azure's machine-learning services announce.",
        "type": "object",
        "properties": {name: {"description": said[name]} | schema for name, schema in properties.items()},
        "required": ["version", "rules"],
        "additionalProperties": False,
        "$defs": definitions(),
    }
