"""What a batch endpoint is asked for: the body of an invocation, read and checked.

Keys are read ignoring case: the documents write them one way, azure-ai-ml another.
https://learn.microsoft.com/azure/machine-learning/how-to-access-data-batch-endpoints-jobs
The words of a refused output type are those of https://github.com/MicrosoftDocs/azure-docs/issues/118447; the other
refusals have the same shape, and words of our own.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dev.simulators.management import arm
from dev.simulators.management.resources import Resource, Resources
from dev.simulators.wire import RefusedError, Request

DATA = {"urifolder": "uri_folder", "urifile": "uri_file", "mlflowmodel": "mlflow_model", "custommodel": "custom_model",
        "tritonmodel": "triton_model"}  # fmt: skip
"""Types of data by the names that an invocation has for them; MLTable is not supported by batch endpoints."""
LITERAL = "literal"
NAME = re.compile(r"\w+", re.ASCII)
PLACE = re.compile(
    r"(?:azureml:/*)?(?P<workspace>(?:/?subscriptions/.+?)?)/?datastores/(?P<store>[^/]+)/paths/(?P<path>.+)",
    re.IGNORECASE,
)
ASSET = re.compile(r"/subscriptions/.+/data/[^/]+/versions/[^/]+", re.IGNORECASE)
ELSEWHERE = re.compile(r"(?:https|wasbs|abfss)://[^/]+/.*|azureml:.+", re.IGNORECASE)
OVERRIDES = {"errorthreshold": "errorThreshold", "minibatchsize": "miniBatchSize", "retrysettings": "retrySettings",
             "outputfilename": "outputFileName"}  # fmt: skip


@dataclass
class Invocation:
    """What is asked for."""

    inputs: dict[str, Resource]
    """By name: {"type": "uri_folder", "uri": "…"} or {"type": "literal", "value": "…"}."""
    outputs: dict[str, str]
    """URIs by name, "" where the service is to choose."""
    output_types: dict[str, str]
    experiment: str
    friendly: str
    overrides: dict[str, Any] = field(default_factory=dict)


class Refusals:
    """What is wrong with a request, all of it, in the list that the service answers with."""

    def __init__(self) -> None:
        self._found: list[dict[str, str]] = []

    def add(self, place: str, message: str, attempted: str = "") -> None:
        """Add one."""
        self._found.append({
            "PropertyName": place,
            "ErrorMessage": message,
            "AttemptedValue": attempted,
            "ErrorCode": "PredicateValidator",
        })  # fmt: skip

    def raise_any(self) -> None:
        """Refuse the request where there are any."""
        if self._found:
            raise bad(
                "The Job request provided has the following validation errors. Please resolve them and try again.\n"
                f"Errors:\n{json.dumps(self._found, indent=2)}"
            )


def read(request: Request) -> Invocation:
    """Read an invocation; what it may hold depends on the deployment, see the checks below."""
    try:
        properties = folded(folded(request.json()).get("properties"))
    except ValueError as problem:
        raise bad(f"The request body is no JSON: {problem}") from problem
    if old := {"dataset", "outputdataset"} & set(properties):
        raise bad(f"{', '.join(sorted(old))}: V1 datasets are not supported, use InputData and OutputData.")
    inputs = {name: datum(folded(one), "jobinputtype") for name, one in (properties.get("inputdata") or {}).items()}
    outputs = {name: datum(folded(one), "joboutputtype") for name, one in (properties.get("outputdata") or {}).items()}
    return Invocation(
        inputs=inputs,
        outputs={name: one.get("uri") or "" for name, one in outputs.items()},
        output_types={name: one["type"] for name, one in outputs.items()},
        experiment=folded(properties.get("properties")).get("experimentname") or "",
        friendly=properties.get("name") or "",
        overrides={OVERRIDES[name]: value for name, value in properties.items() if name in OVERRIDES},
    )


def check_for_model(asked: Invocation) -> None:
    """Refuse what a deployment of a model cannot do: one input that is data, one output that is a file."""
    wrong = Refusals()
    if len(asked.inputs) != 1:
        wrong.add("InputData", "Exactly one input is required by a model deployment.", str(len(asked.inputs)))
    for index, one in enumerate(asked.inputs.values()):
        if one["type"] == LITERAL:
            place = f"InputData.Values[{index}].JobInputType"
            wrong.add(place, "Literal inputs are not supported by a model deployment.", LITERAL)
    if len(asked.outputs) > 1:
        wrong.add("OutputData", "At most one output is supported by a model deployment.", str(len(asked.outputs)))
    for index, kind in enumerate(asked.output_types.values()):
        if kind != "uri_file":
            wrong.add(f"OutputData.Values[{index}].JobOutputType", "Job output type must be 'uri_file'.", kind)
    wrong.raise_any()


def check_for_component(asked: Invocation, declared: Mapping[str, Any]) -> None:
    """Refuse names that are none, and inputs that the component needs and does not get."""
    wrong = Refusals()
    for name in (*asked.inputs, *asked.outputs):
        if not NAME.fullmatch(name):
            wrong.add("InputData", "Names are letters, digits and underscores.", name)
    for name, one in declared.items():
        is_optional = str(one.get("optional", False)).lower() == "true" or one.get("default") is not None
        if name not in asked.inputs and not is_optional:
            wrong.add("InputData", f"Required input '{name}' is missing.", name)
    wrong.raise_any()


def check_inputs(asked: Invocation, resources: Resources) -> None:
    """Refuse data that cannot be found by its URI."""
    for name, one in asked.inputs.items():
        if one["type"] == LITERAL:
            if one.get("value") is None:
                raise bad(f"Literal input '{name}' has no value.")
            continue
        uri = str(one.get("uri") or "").removeprefix("azureml:" if "azureml:/subscriptions" in str(one["uri"]) else "")
        if ASSET.fullmatch(uri) and resources.find(uri) is None:
            raise arm.refuse(404, "NotFound", f"Data asset '{uri}' was not found.")
        if not (ASSET.fullmatch(uri) or PLACE.fullmatch(uri) or ELSEWHERE.fullmatch(uri)):
            raise bad(f"Input '{name}': '{uri}' is no URI of data.")


def datum(given: Mapping[str, Any], kind: str) -> Resource:
    """Give one input or output with its type in the words that jobs have for it."""
    named = str(given.get(kind, ""))
    folded_name = named.lower().replace("_", "")
    if folded_name not in {*DATA, LITERAL}:
        raise bad(f"Error converting value '{named}' to a type of data: UriFolder, UriFile, Literal, …")
    return {**{name: given[name] for name in ("uri", "value") if name in given}, "type": DATA.get(folded_name, LITERAL)}


def folded(given: Any) -> dict[str, Any]:
    """Give an object with its keys in lower case; nothing is an empty one."""
    if not isinstance(given, dict | None):
        raise bad(f"Error converting value {given!r} to an object.")
    return {name.lower(): value for name, value in (given or {}).items()}


def bad(message: str) -> RefusedError:
    """Make the 400 of the data plane."""
    return arm.refuse(400, "BadRequest", message)
