# noqa: INP001 # a script of its own, beside the page that tells of it
"""Puts a project into the primary and has it served there: what people do by hand in Language Studio.

    python examples/replicate-language/primary.py EmailApp.json --label v1
    python examples/replicate-language/primary.py EmailApp.json archive.json --label v2

The files are beside this one: the first is an exported project, and each other one holds intents and utterances that
somebody has labelled since. It is imported, trained, and deployed as `production`.

The resource is that of LANGUAGE_PRIMARY and LANGUAGE_KEY; `--settings` prints what these are on the local stack.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import requests

HERE = Path(__file__).parent
READY = Path(".stack/ready.json")
DEPLOYMENT = "production"
TRAINING = {"trainingMode": "advanced", "trainingConfigVersion": "latest", "evaluationOptions": {"kind": "manual"}}
OVER = {"succeeded", "failed", "cancelled", "partiallyCompleted"}


def main() -> None:
    """Import, train and deploy, one after the other."""
    parser = argparse.ArgumentParser(description="Puts a project into the primary and has it served there.")
    parser.add_argument("files", nargs="*", metavar="FILE", help="an exported project, then what was labelled since")
    parser.add_argument("--label", default="v1", help="what the model is called; default: %(default)s")
    parser.add_argument("--settings", action="store_true", help="print the settings of the local stack instead")
    options = parser.parse_args()
    if options.settings:
        print(" ".join(f"{name}={value}" for name, value in of_the_stack().items()))
        return
    project, *others = (json.loads((HERE / name).read_text("utf-8")) for name in options.files)
    for other in others:
        for kind, more in other.items():
            project["assets"][kind] += more
    name = project["metadata"]["projectName"]
    at = f"projects/{name}"
    run("POST", f"{at}/:import", project)
    run("POST", f"{at}/:train", {"modelLabel": options.label, **TRAINING})
    run("PUT", f"{at}/deployments/{DEPLOYMENT}", {"trainedModelLabel": options.label})
    print(f"{name}: {len(project['assets']['utterances'])} utterances; {DEPLOYMENT} answers with {options.label}")


def run(method: str, path: str, body: dict[str, Any]) -> None:
    """Start a job and wait until it is over."""
    key = {"Ocp-Apim-Subscription-Key": os.environ["LANGUAGE_KEY"]}
    base = f"{os.environ['LANGUAGE_PRIMARY'].rstrip('/')}/language/authoring/analyze-conversations"
    url = f"{base}/{path}?api-version=2023-04-01"
    started = requests.request(method, url, json=body, headers=key, timeout=30)
    if not started.ok:
        sys.exit(f"{path}: {started.status_code} {started.text}")
    job: dict[str, Any] = {"status": "notStarted"}
    while job["status"] not in OVER:
        time.sleep(float(started.headers.get("Retry-After", 0.2 if "127.0.0.1" in url else 10)))
        job = requests.get(started.headers["operation-location"], headers=key, timeout=30).json()
    if job["status"] != "succeeded":
        sys.exit(f"{path}: {job['status']} {json.dumps(job.get('errors'))}")


def of_the_stack() -> dict[str, str]:
    """Read where the local stack has its two regions."""
    if not READY.exists():
        sys.exit("no local stack runs here: `make run`, in this folder, starts one")
    facts = json.loads(READY.read_text("utf-8"))
    return {
        "LANGUAGE_PRIMARY": facts["language"],
        "LANGUAGE_SECONDARY": facts["language_replica"],
        "LANGUAGE_KEY": facts["settings"]["SIMULATOR_LANGUAGE_KEY"],
        "REQUESTS_CA_BUNDLE": facts["ca"],
    }


if __name__ == "__main__":
    main()
