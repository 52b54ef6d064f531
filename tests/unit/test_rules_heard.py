"""Which Custom Vision projects the schedule looks at: those of which some rule hears the ends."""

import pytest

from shared.rules.heard import heard
from tests.unit.rules_samples import HEAD, rule, rules

TWO = HEAD.replace(
    "channels:",
    "  veg:\n    project: 0b1c2d3e-0000-4000-8000-00000000000b\n"
    '    training: {endpoint: "https://veg.example", key: "${VISION_KEY}"}\nchannels:',
)
"""Another project beside the first one."""


@pytest.mark.parametrize(
    ("on", "more", "told"),
    [
        ("TrainingCompleted", "", ("fruit", "veg")),
        ("TrainingFailed", "", ("fruit", "veg")),
        ("ExportFailed", "from: veg", ("veg",)),
        ("[RunCompleted, ExportCompleted]", "", ("fruit", "veg")),
        ("NotificationMissed", "from: [fruit]", ("fruit",)),
        ("ConnectionTested", "", ()),
        ("ModelRegistered", "", ()),
        ("ModelRegistered", "expect: {kind: TrainingCompleted, within: 1h, per: subject}", ("fruit", "veg")),
        ("ModelRegistered", "cancel_on: {on: ExportFailed, per: subject}", ("fruit", "veg")),
        ("TrainingCompleted", "mode: dry_run", ("fruit", "veg")),
        ("TrainingCompleted", "mode: off", ()),
    ],
)
def test_the_projects_that_a_rule_hears_of(on: str, more: str, told: tuple[str, ...]) -> None:
    """All or those it is from, where it hears how something ended; a rule that is off hears nothing."""
    assert heard(rules(rule("a", on=on, more=more), head=TWO)) == told


def test_each_rule_counts_for_itself() -> None:
    """A rule that is off, or of something else, takes nothing away from what another one hears."""
    loaded = rules(
        rule("a", on="TrainingCompleted", more="from: fruit, mode: off"),
        rule("b", on="ExportCompleted", more="from: veg"),
        rule("c"),
        head=TWO,
    )
    assert heard(loaded) == ("veg",)


def test_nothing_is_heard_in_a_file_that_is_off() -> None:
    """The file's own mode is that of every rule that says none."""
    off = TWO.replace("version: 1", "version: 1\nmode: off", 1)
    assert heard(rules(rule("a", on="TrainingCompleted"), head=off)) == ()
    assert heard(rules(rule("a", on="TrainingCompleted", more="mode: live"), head=off)) == ("fruit", "veg")
