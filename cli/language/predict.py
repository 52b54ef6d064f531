"""`reactor language predict`: asks what texts mean, with failover, and says who answered."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from cli.app_storage import reported
from cli.errors import UsageError
from cli.language.project import add_project, declared_in, find, named
from cli.language.waiting import A_KEY, told_of
from cli.surroundings import Surroundings, look_around
from cli.vision.project import setting_name

if TYPE_CHECKING:
    from shared.clients.language import Answered, Resource

KEY_SETTING = "REACTOR_LANGUAGE_KEY"
VERSIONS = ("2023-04-01", "2025-11-01")


@dataclass
class Said:
    """What a text means, or why nobody says."""

    text: str
    answered: Answered | None = None
    problem: str = ""

    def shown(self) -> dict[str, Any]:
        """Give it for programs."""
        if self.answered is None:
            return {"text": self.text, "problem": self.problem}
        one = self.answered
        return {"text": self.text, **asdict(one.prediction), "by": one.by, "host": one.host, "tried": one.tried}


def add_command(commands: Any) -> None:
    """Add `reactor language predict` to the parser."""
    one = commands.add_parser("predict", help="say what texts mean, by the primary or, where that fails, the secondary")
    one.add_argument(
        "texts",
        nargs="+",
        metavar="[PROJECT] TEXT",
        help="the first one is the project where it is a declared name, and texts follow it",
    )
    add_project(one, is_option=True)
    one.add_argument("--deployment", metavar="NAME", help="what is asked; default: the first that is declared")
    one.add_argument(
        "--language", metavar="CODE", default="", help="the texts' language, such as ko; default: the project's"
    )
    one.add_argument(
        "--endpoint", metavar="URL", help="without a declaration: the resource that is asked, and no other"
    )
    one.add_argument(
        "--key-setting",
        metavar="NAME",
        type=setting_name,
        help=f"the environment variable that holds its key; default: {KEY_SETTING}, and where that is not set, who is "
        "signed in",
    )
    one.add_argument("--api-version", choices=VERSIONS, default=VERSIONS[0], help="its API; default: %(default)s")
    one.add_argument("--json", action="store_true", help="for programs")
    one.set_defaults(run=reported(predict))


def predict(options: Namespace) -> int:
    """Print what each text means; 1 where one was not answered."""
    from cli.documents import print_json

    texts, ask = _directly(options) if options.endpoint else _declared(options)
    key = f"or set {KEY_SETTING}, or name in --key-setting what holds a key" if options.endpoint else A_KEY
    said: list[Said] = []
    for text in texts:
        said.append(_ask(text, ask, key=key))
        if not options.json:
            _tell(said[-1], where=options.endpoint)
    if options.json:
        print_json([one.shown() for one in said])
    return int(any(one.problem for one in said))


# -- whom to ask ------------------------------------------------------------------------------------------------------

Ask = Callable[[str], "Answered"]


def _declared(options: Namespace) -> tuple[Sequence[str], Ask]:
    """Ask a declared project in its two regions."""
    from shared.clients.language import Failover
    from shared.rules.problems import did_you_mean

    around = look_around(options)
    projects, _ = declared_in(around, options)
    texts = list(options.texts)
    if not options.project and named(texts[0], projects, around):
        if len(texts) == 1:
            raise UsageError(f'{texts[0]} is the project: say what it is asked, such as "read my new mail"')
        options.project = texts.pop(0)
    elif not options.project and len(texts) > 1 and (near := did_you_mean(texts[0], list(projects))):
        raise UsageError(f'there is no project "{texts[0]}"{near}; where it is a text, name the project with --project')
    if options.key_setting:
        raise UsageError("--key-setting is for --endpoint: a declared resource has its key in the rules file")
    here = find(options)
    deployments = here.about.deployments
    deployment = options.deployment or deployments[0]
    if deployment not in deployments:
        known = f"{here.name} declares {', '.join(deployments)}"
        raise UsageError(f'--deployment: there is no "{deployment}"{did_you_mean(deployment, deployments)}; {known}')
    failover = Failover(here.language.predictions, here.at("primary"), here.at("secondary"))
    return texts, lambda text: failover.guess(here.project, deployment, text, language=options.language)


def _directly(options: Namespace) -> tuple[Sequence[str], Ask]:
    """Ask one resource, without a declaration."""
    from shared.clients.language import Answered

    if not options.project or not options.deployment:
        raise UsageError("--endpoint: give the project's name as --project, and what is asked as --deployment")
    around = look_around(options)
    at, guess = _resource(options, around), around.clients.language.predictions.guess

    def ask(text: str) -> Answered:
        found = guess(at, options.project, options.deployment, text, language=options.language)
        return Answered(found, "primary", at.host)

    return options.texts, ask


def _resource(options: Namespace, around: Surroundings) -> Resource:
    """Make the resource of what the options say, checked as a rules file's; UsageError names the option."""
    from pydantic import ValidationError

    from cli.vision.given import filled_in
    from shared.clients.language import Resource
    from shared.rules.declared import LanguageResource

    setting = options.key_setting or (KEY_SETTING if around.values.get(KEY_SETTING) else "")
    key = {"key": f"${{{setting}}}"} if setting else {}
    given = {"endpoint": options.endpoint, "api_version": options.api_version, **key}
    try:
        made = LanguageResource.model_validate(given)
    except ValidationError as problem:
        why = str(problem.errors()[0]["msg"]).removeprefix("Value error, ")
        raise UsageError(f"--endpoint: {why}") from None
    return Resource.of(filled_in(made, around.values, "--endpoint"))


# -- asking and telling -----------------------------------------------------------------------------------------------


def _ask(text: str, ask: Ask, *, key: str) -> Said:
    """Ask about one text; why nobody answers is told of it alone."""
    from shared.errors import ReactorError

    try:
        return Said(text, ask(text))
    except ReactorError as problem:
        return Said(text, problem=told_of(problem, key=key))


def _tell(said: Said, *, where: str | None) -> None:
    """Write what a text means, a line below it for each entity, and who answered."""
    from cli.tables import clean
    from cli.vision.performance import share

    if said.answered is None:
        print(f"reactor: {clean(said.text)}: {clean(said.problem)}", file=sys.stderr)
        return
    one = said.answered
    for tried in one.tried:
        print(f"reactor: {clean(tried)}", file=sys.stderr)
    who = one.host if where else f"the {one.by}, {one.host}"
    guess = one.prediction
    print(
        f"{clean(said.text)}: {clean(guess.intent) or 'no intent'} {share(guess.confidence)}  ({who}, {guess.ms:,} ms)"
    )
    for entity in guess.entities:
        sure = share(entity.confidence)
        print(f"  {clean(entity.category)}: {clean(entity.text)} {sure}, at {entity.offset} for {entity.length}")
