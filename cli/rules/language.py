"""What each word of a rules file means, for the reference and for editors: Markdown, one phrase each.

Parameters of steps and parts of limits say it of themselves, in their models; everything else is here.
Tests hold these tables to the loader's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

TOP: Mapping[str, str] = {
    "version": "`1`; must be there",
    "mode": "`live` (default), `dry_run` or `off`, for every rule that has no [mode](#modes) of its own",
    "workspaces": "Azure Machine Learning workspaces: [name to ARM id](#workspaces). Only these are listened to",
    "factories": "Azure Data Factories: [name to ARM id](#factories)",
    "vision": "[Custom Vision projects](#vision), by name",
    "language": "[replicated Language projects](#language), by name",
    "channels": "where messages go: [name to channel](#channels)",
    "rules": "a list of rules; `[]` where there are none yet",
}

RULE: Mapping[str, str] = {
    "name": "up to 80 letters, digits, spaces, dots, dashes and underscores; each name once",
    "on": "one [kind](#kinds-of-events-and-their-fields), or a list of kinds of which any will do",
    "from": "declared workspaces, Custom Vision or Language projects; left out, every declared one is heard",
    "where": "[conditions](#filters-where), all of which must hold",
    "limit": "[how often it acts](#limits-limit)",
    "cancel_on": "[which event calls its action off](#cancel_on): a kind, a list of kinds, or a mapping",
    "expect": "[which event should follow](#expect), and how soon",
    "mode": "[`live`, `dry_run` or `off`](#modes), before the file's own",
    "do": "[steps](#steps-do-and-on_failure), one after the other; needed where there is no `expect`",
    "on_failure": "steps to do once a step of `do` has failed",
}

STEP_ID = "a name for the step: up to 64 letters, digits, dots, dashes and underscores; later steps read `steps.<id>`"

COMBINED: dict[str, str] = {
    "all": "a list of conditions, all of which must hold",
    "any": "a list of conditions, of which one must hold",
    "not": "conditions that must not hold together",
}
"""Words of `where` at any depth."""

SUBJECT: dict[str, str] = {
    "subjectBeginsWith": "what the event's subject must begin with",
    "subjectEndsWith": "what it must end with",
    "isSubjectCaseSensitive": "whether upper and lower case count in these two; `false` where left out",
    "enableAdvancedFilteringOnArrays": "whether an array counts by its elements; `true` where left out",
}
"""Event Grid's own words, at the top level of `where` only."""


class Meaning(NamedTuple):
    """What is said of one operator."""

    holds: str
    array: str


ELEMENT, IS = "an element does", "an element is"
OPERATORS: Mapping[str, Meaning] = {
    "StringIn": Meaning("equals one of them", ELEMENT),
    "StringNotIn": Meaning("equals none of them", "no element equals one"),
    "StringContains": Meaning("contains one of them", ELEMENT),
    "StringNotContains": Meaning("contains none of them", "no element contains one"),
    "StringBeginsWith": Meaning("begins with one of them", ELEMENT),
    "StringNotBeginsWith": Meaning("begins with none of them", "no element begins with one"),
    "StringEndsWith": Meaning("ends with one of them", ELEMENT),
    "StringNotEndsWith": Meaning("ends with none of them", "no element ends with one"),
    "NumberIn": Meaning("equals one of them", ELEMENT),
    "NumberNotIn": Meaning("equals none of them", "no element equals one"),
    "NumberLessThan": Meaning("is less", IS),
    "NumberLessThanOrEquals": Meaning("is less or equal", IS),
    "NumberGreaterThan": Meaning("is greater", IS),
    "NumberGreaterThanOrEquals": Meaning("is greater or equal", IS),
    "NumberInRange": Meaning("is in one of them, ends included", IS),
    "NumberNotInRange": Meaning("is in none of them", "no element is"),
    "BoolEquals": Meaning("is that", IS),
    "IsNullOrUndefined": Meaning("is missing or null", "never"),
    "IsNotNull": Meaning("is there and not null", "always"),
}

HIDE_IT = "it is a secret, so make it a `${NAME}`"
DECLARED: Mapping[str, Mapping[str, str]] = {
    "Resource": {
        "endpoint": "the resource's endpoint, https",
        "key": "its key, as a `${NAME}`; the app's identity is used where it is left out",
    },
    "VisionProject": {
        "project": "the project's id",
        "training": "`endpoint` of the training resource, and `key` where the app's identity is not used;"
        " the identity needs a custom subdomain",
        "prediction": "the prediction resource, or its ARM id alone: publishing an iteration needs it",
        "container": "the URL of the container that the project exports to, where it does",
        "replica": "another training resource, best in another region, that copies of the project go to",
    },
    "Prediction": {
        "resource": "the ARM id of the prediction resource",
        "endpoint": "its endpoint: what is published is asked for a prediction there, where it is given",
        "key": "its key, as a `${NAME}`; the app's identity is used where it is left out",
    },
    "VisionReplica": {
        "training": "`endpoint` of the training resource there, and `key` where the app's identity is not used",
        "prediction": "the prediction resource there: without it nothing is published",
        "container": "the URL of the container that copies export to",
        "queue": "the URL of the queue that copies notify",
    },
    "LanguageResource": {
        "endpoint": "the resource's own endpoint, https",
        "key": "its key, as a `${NAME}`; the app's identity is used where it is left out",
        "api_version": "the version of the API: `2023-04-01` (default) or `2025-11-01`",
    },
    "LanguageProject": {
        "project": "the project's name, in both regions; upper and lower case count",
        "primary": "the resource where it is edited: `endpoint`, `key` where the app's identity is not used, and"
        " `api_version`, `2023-04-01` (default) or `2025-11-01`",
        "secondary": "the same of the resource that it is replicated to, best in another region; the region must allow"
        " authoring",
        "deployments": "the deployments that the primary serves, and the secondary is to serve: 1 to 10 names",
        "follow": "`deployed` (default): the snapshots of the models that those deployments serve; `working_copy`: what"
        " is in the project at the moment, half-done labelling included",
        "training": "what the secondary is trained with; no export tells it, so it has to be what the primary was"
        " trained with",
        "proof": "what has to hold before the secondary serves a model",
        "check": "how often the schedule compares the regions, such as `6h`; `24h` where left out",
        "expiry": "how long before it expires a deployment or a model is told of; `60d` where left out",
    },
    "LanguageTraining": {
        "mode": "`advanced` (default), which is billed by the hour, or `standard`, for projects in English alone",
        "config_version": "`latest` (default), or a version of the training's configuration, such as `2022-09-01`",
        "evaluation": "which utterances train, and which test",
    },
    "LanguageEvaluation": {
        "kind": "`percentage` (default): the service draws lots; `manual`: as the `dataset` of each utterance says",
        "train": "how many of 100 train, `80` where left out; with `percentage` only",
        "test": "how many of 100 test, `20` where left out; both sum to 100",
    },
    "LanguageProof": {
        "utterances": "texts that are asked each time",
        "sample": "how many of the project's own utterances are asked besides, up to 50; `5` where left out",
        "agree": "the share of those that must get the intent that the primary gives them, more than 0; `0.8` where"
        " left out",
        "margin": "by how much the macro F1 in the secondary's evaluation may be below the primary's; `0.05` where"
        " left out",
    },
    "LanguageUtterance": {
        "text": "the text, up to 1,000 characters",
        "language": "its language, such as `ko`; the project's own where left out",
        "intent": "the intent that the secondary must give it; left out, that which the primary gives it",
    },
    "Email": {
        "to": "a list of addresses",
        "endpoint": "the resource's endpoint; `${REACTOR_MAIL_ENDPOINT}` where left out",
        "sender": "the sender's address; `${REACTOR_MAIL_SENDER}` where left out",
    },
    "Smtp": {
        "to": "a list of addresses",
        "host": "the server",
        "sender": "the sender's address",
        "port": "`587` where left out",
        "security": "`starttls` (default), `tls` or `none`; with `none` nobody signs in",
        "user": "where the server wants one",
        "password": "where the server wants one, as a `${NAME}`",
    },
    "Teams": {"url": f"the URL of a Workflows webhook; {HIDE_IT}"},
    "Slack": {"url": f"the URL of an incoming webhook; {HIDE_IT}"},
    "Webhook": {
        "url": "the endpoint",
        "secret": "signs each message as [Standard Webhooks](https://www.standardwebhooks.com) says:"
        " `whsec_` and 24 to 64 random bytes in base64",
        "headers": "further headers",
    },
    "EventGridTopic": {
        "endpoint": "its full URL, with `/api/events`",
        "key": "its key, as a `${NAME}`; the app's identity where left out",
    },
    "Queue": {
        "url": "`https://<account>.queue.core.windows.net/<queue>`;"
        " the app's own connection, a SAS in the URL, or the app's identity opens it",
    },
    "Route": {
        "by": "the field's path",
        "begins_with": "prefix to channel; the first that fits counts, ignoring case",
        "otherwise": "the channel for everything else; where it is left out, such an alert fails",
    },
}
"""The fields of each model of what a file declares."""

CHANNELS: Mapping[str, str] = {
    "email": "mail by Azure Communication Services, with the app's identity",
    "smtp": "mail by a mail server",
    "teams": "a Teams channel, as an Adaptive Card",
    "slack": "a Slack channel",
    "webhook": "any https endpoint, as JSON",
    "event_grid": "a custom topic with the CloudEvents 1.0 input schema",
    "queue": "a storage queue, as a CloudEvent in plain text",
    "route": "another channel, chosen by a field of the event",
}
"""What each kind of channel is."""
