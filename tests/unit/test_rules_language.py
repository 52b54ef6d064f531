"""What a rules file declares of Language projects: what is taken, what is refused, and which rules hear of which."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.events import Event, announce
from shared.handlers.declared import filled_in
from shared.rules import Rules, RulesError, load
from shared.rules.addresses import REGIONAL
from shared.rules.declared import LanguageProject
from tests.unit import rules_samples
from tests.unit.rules_samples import ACTIONS

PLACES = 'primary: {endpoint: "https://Mail-We.example"}, secondary: {endpoint: "https://mail-ne.example"}'
BILLED = ACTIONS | {"replicate.language": f"{rules_samples.__name__}:Replicate"}


def read(bot: str, rules: str = "[]", more: str = "") -> Rules:
    """Load a file that declares a project, and maybe more."""
    return load(f"version: 1\nlanguage:\n  bot: {{{bot}}}\n{more}rules: {rules}\n", BILLED, "rules.yaml")


def problems(bot: str) -> list[str]:
    """List what is wrong with a declaration."""
    try:
        read(bot)
    except RulesError as error:
        return [problem.message for problem in error.problems if problem.level == "error"]
    return []


def test_what_is_left_out_is_what_is_safe() -> None:
    """What is deployed is followed, trained so that every language will do, proven, and looked at once a day."""
    bot = read(f"project: EmailApp, {PLACES}, deployments: [production]").declared.language["bot"]
    assert (bot.follow, bot.check, bot.expiry) == ("deployed", timedelta(hours=24), timedelta(days=60))
    assert bot.training.model_dump() == {
        "mode": "advanced",
        "config_version": "latest",
        "evaluation": {"kind": "percentage", "train": 80, "test": 20},
    }
    assert bot.proof.model_dump() == {"utterances": [], "sample": 5, "agree": 0.8, "margin": 0.05}
    assert {bot.primary.api_version, bot.secondary.api_version} == {"2023-04-01"}


WRONG = {
    f"{PLACES}": "language.bot.deployments is missing",
    f"{PLACES}, deployments: []": "language.bot.deployments is empty",
    f"{PLACES}, deployments: production": "deployments: must be a list",
    f"{PLACES}, deployments: [a, b, a]": '"a" stands there twice',
    f"{PLACES}, deployments: [a b]": "deployments.0: must be up to 50 letters, digits, dots, dashes and underscores",
    f"{PLACES}, deployments: [a], deploy: [b]": "unknown key language.bot.deploy",
    f"{PLACES}, deployments: [a], follow: snapshot": "must be 'deployed' or 'working_copy'",
    f"{PLACES}, deployments: [a], check: 24": "language.bot.check: must be a duration",
    f"{PLACES}, deployments: [a], expiry: 400d": "expiry: must be longer than nothing",
    "%a, %a/, deployments: [a]": "bot: primary and secondary are both a.example: the secondary is another resource",
    "%a, %a:443, deployments: [a]": "primary and secondary are both a.example",
    '%a, %b", api_version: "2022-05-01, deployments: [a]': "secondary.api_version: must be '2023-04-01' or",
    "%a, %r, deployments: [a]": "secondary: koreacentral.api.cognitive.microsoft.com takes keys only",
    "training: {mode: fast}": "'standard' or 'advanced'",
    "training: {config_version: new}": "must be latest, or a version such as 2022-09-01",
    "training: {evaluation: {train: 90}}": "train and test are percentages that sum to 100, and 90 and 20 are 110: say",
    "training: {evaluation: {train: 100, test: 0}}": "train: must be at most 99",
    "training: {evaluation: {kind: manual, train: 70, test: 30}}": "utterance's own `dataset` says: leave train and",
    "training: {evaluation: {kind: random}}": "must be 'percentage' or 'manual'",
    "proof: {sample: 0}": "nothing would be asked of the secondary: give utterances, or a sample of at least 1",
    "proof: {agree: 80}": "proof.agree: must be at most 1",
    "proof: {margin: -1}": "proof.margin: must be at least 0",
    "proof: {utterances: [read]}": "must be a mapping",
    "proof: {utterances: [{txt: a}]}": "unknown key",
    "proof: {utterances: [{text: ''}]}": "text is empty",
    "proof: {utterances: [{text: a, language: 한국어}]}": "language: must be a language, such as ko or en-us",
}
"""What is declared, and what is said about it."""


@pytest.mark.parametrize(("declared", "message"), WRONG.items())
def test_a_declaration_that_cannot_work_is_refused(declared: str, message: str) -> None:
    """Each error names the field, and says what would do."""
    given = declared if "deployments" in declared or PLACES in declared else f"{PLACES}, deployments: [a], {declared}"
    first, _, rest = given.partition(", ")
    if first.startswith("%"):
        second, _, rest = rest.partition(", deployments")
        at = {"%a": "https://a.example", "%b": "https://b.example", "%r": f"https://koreacentral{REGIONAL}"}
        places = [at[place[:2]] + place[2:] for place in (first, second)]
        given = 'primary: {{endpoint: "{}"}}, secondary: {{endpoint: "{}"}}, deployments{}'.format(*places, rest)
    found = problems(f"project: EmailApp, {given}")
    assert any(message in one for one in found), found


def test_a_name_is_what_the_service_takes() -> None:
    """A project's name with a space is refused; another port is another resource, and is fine."""
    (found,) = problems(f"project: Email App, {PLACES}, deployments: [a]")
    assert "language.bot.project: must be up to 50 letters" in found
    local = PLACES.replace("Mail-We.example", "127.0.0.1:8001").replace("mail-ne.example", "127.0.0.1:8002")
    assert problems(f"project: EmailApp, {local}, deployments: [a]") == []


def test_a_setting_that_does_not_fit_is_told_without_its_value() -> None:
    """What a setting makes of a declaration is checked where it is used."""
    bot = read('project: "${NAME}", primary: {endpoint: "${A}"}, secondary: {endpoint: "${B}"}, deployments: ["${D}"]')
    declared = bot.declared.language["bot"]
    values = {"NAME": "EmailApp", "A": "https://a.example", "B": "https://b.example", "D": "production"}

    def fill(**changed: str) -> LanguageProject:
        def resolve(value: object) -> object:
            for name, text in (values | changed).items():
                value = _replaced(value, f"${{{name}}}", text)
            return value

        return filled_in(declared, resolve, "language", "bot")

    assert fill() == declared.model_validate(_replaced(fill().model_dump(), "", ""))
    with pytest.raises(Exception, match=r"language\.bot\.project") as caught:
        fill(NAME="canary app")
    assert "canary" not in str(caught.value)
    with pytest.raises(Exception, match=r"primary and secondary are both a\.example"):
        fill(B="https://a.example")


def _replaced(value: object, old: str, new: str) -> object:
    if isinstance(value, str):
        return value.replace(old, new) if old else value
    if isinstance(value, dict):
        return {name: _replaced(inner, old, new) for name, inner in value.items()}
    return [_replaced(inner, old, new) for inner in value] if isinstance(value, list) else value


# -- what rules hear of it --------------------------------------------------------------------------------------------

TWO = (
    '  kr: {project: EmailApp, primary: {endpoint: "https://mail-we.example"}, deployments: [production], '
    'secondary: {endpoint: "https://mail-kr.example"}}\n'
)
RULES = (
    "[{name: of-bot, on: ReplicaOutdated, from: bot, do: [nothing]}, {name: any, on: ReplicaOutdated, do: [nothing]}]"
)


def outdated(name: str = "bot", source: str = "language/mail-we.example/EmailApp") -> Event:
    """Make the event that a replica is outdated."""
    facts = {"replica": {"name": name, "reason": "changed", "lag_seconds": 90_000}}
    return announce("ReplicaOutdated", id="1", time=datetime(2026, 3, 2, tzinfo=UTC), source=source, facts=facts)


def test_a_rule_hears_of_the_copy_that_it_names() -> None:
    """Two copies of one project are told apart by their declared names; a project that is not declared by nobody."""
    rules = read(f"project: EmailApp, {PLACES}, deployments: [production]", RULES, TWO)
    assert [rule.name for rule in rules.match(outdated())] == ["of-bot", "any"]
    assert [rule.name for rule in rules.match(outdated("kr"))] == ["any"]
    assert rules.names(outdated("kr")) == {"kr"}
    assert rules.match(outdated(source="language/other.example/EmailApp")) == ()


def test_the_source_is_known_once_its_setting_is_there() -> None:
    """An endpoint in a setting is listened to where it is set, and is a warning where it is not."""
    bot = 'project: EmailApp, primary: {endpoint: "${A}"}, secondary: {endpoint: "${B}"}, deployments: [production]'
    rules = read(bot, RULES)
    assert rules.match(outdated()) == ()
    assert rules.bind({"A": "https://mail-we.example"}).match(outdated())
    (warning,) = rules.bind({}).warnings[-1:]
    assert warning.message == "bot is not listened to: the setting A is not set"


def test_a_filter_reads_the_lag() -> None:
    """The recovery point is a number to compare with, and a field that there is not is pointed out."""
    where = "where: {replica.lag_seconds: {NumberGreaterThan: 86400}}, "
    rules = read(
        f"project: EmailApp, {PLACES}, deployments: [production]",
        f"[{{name: late, on: ReplicaOutdated, {where}do: [nothing]}}]",
    )
    assert [rule.name for rule in rules.match(outdated())] == ["late"]
    found = read(
        f"project: EmailApp, {PLACES}, deployments: [production]",
        f"[{{name: late, on: ReplicaOutdated, {where.replace('lag_', 'lags_')}do: [nothing]}}]",
    ).warnings
    assert ["no ReplicaOutdated has replica.lags_seconds" in one.message for one in found] == [True]


def test_one_name_is_one_source() -> None:
    """What `from` says means one thing, so a name is declared in one section."""
    with pytest.raises(RulesError, match='"bot" is a Custom Vision project already'):
        read(
            f"project: EmailApp, {PLACES}, deployments: [production]",
            more='vision: {bot: {project: "${P}", training: {endpoint: "https://v.example"}}}\n',
        )


@pytest.mark.parametrize("step", ["replicate.language", "replicate.language: {project: bot}"])
def test_a_training_that_is_billed_is_told(step: str) -> None:
    """The check says that the step trains: a warning, until a limit says how often."""
    bot = f"project: EmailApp, {PLACES}, deployments: [production]"
    rule = f"name: a, on: ReplicaOutdated, from: bot, do: [{step}]"
    (warning,) = read(bot, f"[{{{rule}}}]").warnings
    assert (warning.level, "training is billed" in warning.message) == ("warning", True)
    (note,) = read(bot, f"[{{{rule}, limit: {{at_most: 2 per day}}}}]").warnings
    assert (note.level, "training is billed" in note.message) == ("note", True)


# -- two that are in each other's way ---------------------------------------------------------------------------------


def entry(name: str, primary: str, secondary: str, project: str = "EmailApp") -> str:
    """Declare another project."""
    places = ", ".join(
        f'{side}: {{endpoint: "{at if at.startswith("$") else _url(at)}"}}'
        for side, at in (("primary", primary), ("secondary", secondary))
    )
    return f"  {name}: {{project: {project}, {places}, deployments: [production]}}\n"


def _url(at: str) -> str:
    host, _, port = at.partition(":")
    return f"https://{host}.example" + f":{port}" * bool(port)


IN_THE_WAY = {
    "the same pair": ([("Mail-We", "mail-ne")], '"b1" replicates the same project from and to the same resources as'),
    "backwards": ([("mail-ne", "mail-we")], '"b1" replicates back what "bot" replicates'),
    "into one secondary": ([("mail-kr", "mail-ne")], '"b1" and "bot" replicate into the same project of the same'),
    "round": ([("mail-ne", "mail-kr"), ("mail-kr", "mail-we")], '"b2" leads back to where it comes from'),
    "one resource": ([("${A}", "${A}")], 'both regions of "b1" are one and the same resource'),
    "one setting": ([("${A}", "mail-kr"), ("mail-us", "mail-kr")], '"b2" and "b1" replicate into the same'),
    "a setting": ([("mail-us", "${B}"), ("mail-kr", "${B}")], '"b2" and "b1" replicate into the same'),
}


@pytest.mark.parametrize(("others", "words"), IN_THE_WAY.values(), ids=IN_THE_WAY)
def test_projects_that_would_replace_each_others_work_are_refused(others: list[tuple[str, str]], words: str) -> None:
    """Each would make the other's replica outdated for ever, and each round is a training; the error stands there."""
    more = "".join(entry(f"b{number}", *at) for number, at in enumerate(others, start=1))
    with pytest.raises(RulesError) as caught:
        read(f"project: EmailApp, {PLACES}, deployments: [production]", more=more)
    (problem,) = [problem for problem in caught.value.problems if problem.level == "error"]
    assert words in problem.message
    assert problem.line == 3 + len(others)


def test_projects_that_are_in_nobodys_way() -> None:
    """A second secondary, another project between the same two, one that is replicated on, and another port."""
    others = [("mail-we", "mail-kr"), ("mail-we", "mail-ne", "Notes"), ("mail-ne", "mail-us"), ("a", "mail-ne:8443")]
    more = "".join(entry(f"b{number}", *at) for number, at in enumerate(others))
    assert len(read(f"project: EmailApp, {PLACES}, deployments: [production]", more=more).declared.language) == 5


def test_a_share_of_nothing_proves_nothing() -> None:
    """`agree: 0` would take any answer for a proof."""
    assert problems(f"project: EmailApp, {PLACES}, deployments: [a], proof: {{agree: 0}}") == [
        "language.bot.proof.agree: must be more than 0.0, not 0"
    ]
