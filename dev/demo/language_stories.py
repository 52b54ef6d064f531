"""The chapter about Language: a new model is noticed, brought to the second region, proven there, and served."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from dev.demo.story import Changed, Outcome, Story, succeeded
from dev.simulators.language.samples import exported
from shared.events import OWN_TYPE
from shared.language_content import fingerprint
from shared.replicas import Kept, Options
from shared.rules.replicated import LanguageEvaluation, LanguageTraining

CHAPTER = "language"
NAME, PROJECT, DEPLOYMENT = "mail-bot", "EmailApp", "production"
OLD, NEW = "v1", "v2"
OLD_ID, TRAINED = "v1-20260105-5b0c9a51", "2026-01-05T08:00:00Z"
HOST = "127.0.0.1"
SECOND = f"{PROJECT} in the second region"

LANGUAGE_STORIES = (
    Story(
        "labelled", "ReplicaOutdated", f"{PROJECT}, {NEW} serves in the primary",
        Changed(), f"{OWN_TYPE}ReplicaOutdated language/{HOST}/{PROJECT}",
        Outcome("planned", (succeeded("keep-the-second-region-ready", "replicate.language", "alert"),)),
        (
            f"backup of {PROJECT}: {NEW} and working copy, as they were exported",
            f"import of {SECOND} succeeded",
            f"training of {SECOND}: {NEW} succeeded",
            f"swap of {SECOND} succeeded",
            f"{DEPLOYMENT} of {SECOND}: {NEW}",
            f"{DEPLOYMENT}-next of {SECOND}: {OLD}",
            f"teams oncall: {PROJECT} is ready in the second region",
        ),
        CHAPTER,
    ),
)  # fmt: skip
"""Nobody tells of it, not once: the app's schedule looks, and looks again after it was answered."""

LABELLED = (
    ("archive the mail from Kim", "en-us", "Train"),
    ("put this letter into the archive", "en-us", "Train"),
    ("archive what is older than a month", "en-us", "Test"),
    ("이 메일을 보관해 줘", "ko", "Train"),
    ("김민수의 메일을 보관해", "ko", "Test"),
)
"""What somebody labels in the primary: utterances of a new intent."""
INTENT = "Archive"

ASKED = (
    ("read the latest mail from Kim", "en-us", "Read"),
    ("이영희에게 사진을 보내 줘", "ko", "Send"),
    ("put this letter into the archive", "en-us", INTENT),
    ("스팸을 모두 삭제해 줘", "ko", "Delete"),
    ("이 메일을 보관해 줘", "ko", INTENT),
    ("delete all spam", "en-us", "Delete"),
    ("send the invoice to accounting", "en-us", "Send"),
)
"""What an app asks while the primary comes and goes: each text, its language, and its intent."""


MANUAL = {"kind": "manual"}
"""What each utterance is for, to train or to test, is said with it."""


def before() -> dict[str, Any]:
    """Seed the project as both regions have it before the stories begin."""
    models = [{"label": OLD, "id": OLD_ID, "trained": TRAINED, "evaluationOptions": MANUAL}]
    return {"exported": exported(PROJECT), "models": models, "deployments": {DEPLOYMENT: OLD}, "created": TRAINED}


def after() -> dict[str, Any]:
    """Seed the primary's project once somebody has labelled more, trained, and deployed what was trained."""
    content = exported(PROJECT)
    content["assets"]["intents"].append({"category": INTENT})
    content["assets"]["utterances"] += [
        {"text": text, "language": language, "intent": INTENT, "entities": [], "dataset": dataset}
        for text, language, dataset in LABELLED
    ]
    models = [{"label": OLD, "evaluationOptions": MANUAL}, {"label": NEW, "evaluationOptions": MANUAL}]
    return {"exported": content, "models": models, "deployments": {DEPLOYMENT: NEW}}


def kept(project: Mapping[str, Any]) -> Kept:
    """Give what the reactor would remember, had it replicated what both regions show before the stories begin."""
    hash, modified = fingerprint(project["exported"]), datetime.fromisoformat(project["lastModifiedDateTime"])
    yesterday = datetime.now(UTC) - timedelta(days=1)
    return Kept(
        name=NAME,
        project=PROJECT,
        hashes={OLD: hash},
        working_hash=hash,
        primary_modified=modified,
        primary_models={DEPLOYMENT: OLD_ID},
        secondary_modified=modified,
        secondary_models={DEPLOYMENT: OLD_ID},
        secondary_hash=hash,
        training=Options.of(LanguageTraining(evaluation=LanguageEvaluation(kind="manual"))),
        version="",
        replicated=yesterday,
        proven=yesterday,
    )
