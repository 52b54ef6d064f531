"""The stages that bringing a Language project to a region consists of, wherever its content comes from."""

from typing import Any

from shared.handlers.language import checking, comparing, deploying, importing, proving, training, undoing
from shared.stages import Stage

TARGET = Stage[Any]("target", start=checking.target, watch=checking.target, effect="reads")
COMPARE = Stage[Any]("compare", start=comparing.start, watch=comparing.watch, effect="prepares")
IMPORT = (
    Stage[Any]("ready", start=importing.is_ready, watch=importing.is_ready, effect="reads"),
    Stage[Any](
        "import",
        find=importing.find_import,
        start=importing.start_import,
        watch=importing.watch_import,
        named_by="service",
    ),
)
SERVE = (
    Stage[Any]("free", start=training.is_free, watch=training.is_free, effect="reads"),
    Stage[Any](
        "train",
        find=training.find_training,
        start=training.start_training,
        watch=training.watch_training,
        named_by="service",
    ),
    Stage[Any]("evaluate", start=training.evaluate, watch=training.evaluate, effect="reads"),
    Stage[Any]("plan", start=deploying.plan, effect="reads"),
    Stage[Any]("deploy", find=deploying.find_slot, start=deploying.start_slot, watch=deploying.watch_slot),
    Stage[Any]("prove", start=proving.prove, watch=proving.prove, effect="reads"),
    Stage[Any](
        "promote",
        find=deploying.find_promoted,
        start=deploying.start_promoting,
        watch=deploying.watch_promoting,
        named_by="service",
    ),
    Stage[Any]("confirm", start=proving.confirm, watch=proving.confirm, effect="reads"),
    Stage[Any]("tidy", start=deploying.tidy, watch=deploying.tidy),
)
UNDO = Stage[Any]("undo", start=undoing.undo, watch=undoing.undo, effect="undoes")
