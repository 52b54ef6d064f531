"""What a rule says of a deployment behind an online endpoint."""

from datetime import timedelta
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from shared.handlers.machine_learning.rollout import WHOLE
from shared.policy import read_duration
from shared.rules import templates
from shared.rules.declared import Fixed, Names

FOREVER = "forever"
NONE_AT_ALL = frozenset({"0s", "0m", "0h", "0d"})
LONGEST_REQUEST = timedelta(seconds=180)
"""What the service allows. https://learn.microsoft.com/azure/machine-learning/how-to-manage-quotas"""


def _duration(given: Any) -> Any:
    if not templates.is_open(given):
        read_duration(given if isinstance(given, str) else "")
    return given


def milliseconds(latency: str) -> float:
    """Read a latency such as 800ms or 2s; ValueError where it is none.

    >>> milliseconds("800ms"), milliseconds("2s")
    (800.0, 2000.0)
    """
    if latency.endswith("ms") and latency[:-2].isdigit():
        return float(latency[:-2])
    try:
        return read_duration(latency) / timedelta(milliseconds=1)
    except ValueError:
        raise ValueError("must be a latency, such as 800ms or 2s") from None


def _latency(given: Any) -> Any:
    if given is not None and not templates.is_open(given):
        milliseconds(given if isinstance(given, str) else "")
    return given


def _kept(given: Any) -> Any:
    return given if isinstance(given, str) and given in {*NONE_AT_ALL, FOREVER} else _duration(given)


def _request_time(given: Any) -> Any:
    if not templates.is_open(given) and read_duration(given if isinstance(given, str) else "") > LONGEST_REQUEST:
        raise ValueError("must be at most 180s, which is the most that the service allows")
    return given


def _rising(given: list[int]) -> list[int]:
    if any(later <= earlier for earlier, later in pairwise(given)):
        raise ValueError("must rise from step to step, such as [10, 50, 100]")
    return given


Span = Annotated[str, BeforeValidator(_duration)]
"""A time span, written 90s, 10m, 24h or 7d."""
Percent = Annotated[int, Field(ge=1, le=WHOLE)]


class Part(BaseModel):
    """A part of the parameters: known keys only."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Check(Part):
    """What lets a step of the traffic pass."""

    max_failures: float = Field(
        default=0.01, ge=0, le=1, description="The share of its requests that may fail with 5xx: 0.01 is 1 %."
    )
    max_latency: Annotated[str | None, BeforeValidator(_latency)] = Field(
        default=None, description="The latency that 95 % of its requests must keep, such as 800ms or 2s."
    )
    min_requests: int = Field(
        default=0, ge=0, description="How many of its requests must have been seen before a step can pass."
    )
    source: Literal["metrics", "none"] = Field(
        default="metrics", alias="from", description="Where it is read: metrics (of Azure Monitor), or none."
    )


class Expects(Part):
    """What the sample must be answered with, beside a success."""

    contains: str = Field(default="", description="What the beginning of the answer must contain.")


class Asking(Part):
    """Whom to ask before a step of the traffic."""

    before: Percent | None = Field(
        default=None, description="The step that is asked about, one of `traffic`; left out, the last."
    )
    by: Annotated[list[str], Fixed()] = Field(
        description="Who may decide: addresses, or the object ids of people and groups.", min_length=1
    )
    within: Span = Field(default="24h", description="How long it can be decided; then all is put back.")
    channel: Annotated[str, Names("channels")] | None = Field(
        default=None, description="The declared channel that is asked in; left out, nobody is told."
    )
    title: str = Field(default="", description="One line; left out, what is about to happen.")
    text: str = Field(default="", description="What there is to decide about; left out, what was seen so far.")


class OnlineEndpoint(BaseModel):
    """Deploys a model to an online endpoint, and moves the traffic to it step by step."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True, protected_namespaces=())

    workspace: Annotated[str, Names("workspaces")] = Field(
        default="{{ source }}", description="A declared workspace; by default where the event comes from."
    )
    model: str = Field(default="{{ model.name }}", description="The model's name.", min_length=1)
    version: str = Field(default="{{ model.version }}", description="The model's version.", min_length=1)
    model_id: str = Field(
        default="",
        description="A model elsewhere, such as azureml://registries/prod/models/fraud/versions/12, or its ARM id.",
        pattern=r"^(azureml://registries/.+/models/.+/versions/.+|/subscriptions/.+/models/.+/versions/.+|)$",
    )
    endpoint: str = Field(
        description="The endpoint, made where it is missing; its name is unique in the region.",
        pattern=r"^[A-Za-z](?:-?[A-Za-z0-9])*$",
        min_length=3,
        max_length=32,
    )
    instance_type: str = Field(default="Standard_DS3_v2", description="The size of its machines.", min_length=1)
    instance_count: int = Field(default=1, ge=1, le=50, description="How many machines.")
    environment: str = Field(default="", description='"name:version" or an id; not needed for MLflow models.')
    code: str = Field(
        default="", description='"name:version" or an id of registered code; not needed for MLflow models.'
    )
    scoring_script: str = Field(default="", description="The file in `code` that scores.")
    environment_variables: dict[str, str] = Field(default_factory=dict, description="What its process is told.")
    request_timeout: Annotated[str, BeforeValidator(_request_time)] = Field(
        default="5s", description="How long a request may take; 180s at most."
    )
    max_concurrent: int = Field(default=1, ge=1, description="Requests that one machine works on at a time.")
    traffic: Annotated[list[Percent], Field(min_length=1), AfterValidator(_rising)] = Field(
        default=[WHOLE], description="The share of the traffic that it gets, in percent, step by step."
    )
    wait: Span = Field(default="10m", description="How long each step is watched before the next, and the last too.")
    check: Check = Field(default_factory=Check, description="What lets a step pass.")
    sample: Any = Field(
        default=None, description="A request that it must answer before it gets traffic, as JSON; left out, none is."
    )
    sample_expects: Expects = Field(default_factory=Expects, description="What the sample must be answered with.")
    approval: Asking | None = Field(default=None, description="Whom to ask before a step.")
    keep_old: Annotated[str, BeforeValidator(_kept)] = Field(
        default="24h",
        description="How long what had the traffic before is kept; 0h deletes it at once, forever never.",
    )
    keep_failed: bool = Field(default=False, description="Whether a deployment that failed is left, to look at.")
    quota_check: bool = Field(default=True, description="Whether the region's cores are compared with the need first.")

    @model_validator(mode="after")
    def _asks_about_a_step(self) -> "OnlineEndpoint":
        asked = self.approval.before if self.approval else None
        if asked is not None and asked not in self.traffic:
            raise ValueError(f"approval.before is {asked}, which is no step of traffic: {self.traffic}")
        return self

    @model_validator(mode="after")
    def _has_both_halves(self) -> "OnlineEndpoint":
        """Refuse half of what only makes sense together."""
        if bool(self.code) != bool(self.scoring_script):
            raise ValueError("code and scoring_script go together: give both, or neither")
        if self.sample is None and self.sample_expects.contains:
            raise ValueError("sample_expects has no use without a sample")
        return self

    @property
    def asks_before(self) -> int:
        """The percent that somebody is asked about first; 0 where nobody is."""
        return (self.approval.before or self.traffic[-1]) if self.approval else 0
