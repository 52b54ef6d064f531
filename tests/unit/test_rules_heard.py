"""Which Custom Vision and Language projects the schedule looks at: those of which some rule wants to hear."""

import pytest

from shared.rules import load
from shared.rules.heard import heard, replicated
from tests.unit import rules_samples
from tests.unit.rules_samples import ACTIONS, HEAD, rule, rules

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


# -- Language projects ------------------------------------------------------------------------------------------------

PLACE = '{endpoint: "https://%s.example"}'
BOTS = HEAD.replace(
    "channels:",
    "language:\n"
    + "".join(
        f"  {name}: {{project: {project}, primary: {PLACE % 'a'}, secondary: {PLACE % place}, deployments: [p]}}\n"
        for name, project, place in (("mail", "EmailApp", "b"), ("faq", "Faq", "b"), ("mail-kr", "EmailApp", "c"))
    )
    + "channels:",
)
"""Three declared ones, of which two are copies of the same project."""
ONE_BOT = "\n".join(line for line in BOTS.splitlines() if not line.startswith(("  faq", "  mail-kr"))) + "\n"
REPLICATE = {**ACTIONS, "replicate.language": f"{rules_samples.__name__}:Replicate"}


@pytest.mark.parametrize(
    ("on", "more", "compared", "expiring"),
    [
        ("ReplicaOutdated", "", ["mail", "faq", "mail-kr"], []),
        ("ReplicaOutdated", "from: faq", ["faq"], []),
        ("DeploymentNearExpiry", "from: [mail, faq]", [], ["mail", "faq"]),
        ("[ReplicaOutdated, DeploymentNearExpiry]", "from: mail-kr", ["mail-kr"], ["mail-kr"]),
        ("ReplicaOutdated", "mode: off", [], []),
        (
            "ModelRegistered",
            "expect: {kind: ReplicaOutdated, within: 1h, per: subject}",
            ["mail", "faq", "mail-kr"],
            [],
        ),
        ("ModelRegistered", "do: [replicate.language: {project: mail}]", ["mail"], []),
        ("ModelRegistered", "do: [replicate.language: {project: Faq}]", ["faq"], []),
        ("ModelRegistered", "do: [replicate.language: {project: '{{ subject }}'}]", [], []),
        ("ModelRegistered", "", [], []),
    ],
)
def test_the_language_projects_that_are_looked_at(on: str, more: str, compared: list[str], expiring: list[str]) -> None:
    """Those that a rule hears of, or names in a step that replicates, whatever sets it off; each for what is wanted."""
    do = more if more.startswith("do:") else ""
    text = rule("a", on=on, more="" if do else more, **({"do": do.removeprefix("do: ")} if do else {}))
    found = replicated(load(f"{BOTS}  - {text}\n", REPLICATE, "rules.yaml"))
    assert [one.name for one in found if one.compare] == compared
    assert [one.name for one in found if one.expiries] == expiring


def test_the_only_language_project_need_not_be_named() -> None:
    """A step that names none, or asks the event, means the one that there is."""
    for given in ("replicate.language", "replicate.language: {project: '{{ subject }}'}"):
        text = rule("a", on="ModelRegistered", do=f"[{given}]")
        (found,) = replicated(load(f"{ONE_BOT}  - {text}\n", REPLICATE, "rules.yaml"))
        assert (found.name, found.compare, found.expiries) == ("mail", True, False)
