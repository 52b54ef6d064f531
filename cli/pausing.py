"""`reactor pause` and `reactor resume`: hold a rule, or everything, without a deployment."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from cli.app_storage import AppStorage, find, reported, who
from cli.errors import UsageError
from cli.local_stack import add_ready

if TYPE_CHECKING:
    from shared.storage.pauses import Pause, Pauses

WITHIN = "every instance knows within a minute"
EVERYTHING = "everything"


def add_commands(groups: Any) -> None:
    """Add `reactor pause` and `reactor resume` to the parser."""
    one = groups.add_parser("pause", help="hold a rule, or everything, until it is resumed")
    one.add_argument("rule", nargs="?", metavar="RULE", help="default: everything")
    one.add_argument("--reason", metavar="TEXT", help="why; needed to pause")
    one.add_argument("--list", action="store_true", help="say what is paused, and pause nothing")
    one.add_argument("--json", action="store_true", help="with --list: for programs")
    add_ready(one)
    one.set_defaults(run=reported(pause))

    one = groups.add_parser("resume", help="let a paused rule, or everything, go on")
    one.add_argument("rule", nargs="?", metavar="RULE", help="default: what `reactor pause` without a rule paused")
    one.add_argument("--all", action="store_true", help="end the pauses of single rules too")
    add_ready(one)
    one.set_defaults(run=reported(resume))


def pause(options: Namespace) -> int:
    """Pause a rule or everything; what is paused already stays as it is."""
    from cli.tables import one_line
    from shared.storage import pauses

    if options.list:
        if options.rule or options.reason:
            raise UsageError("--list takes no RULE and no --reason")
        return _list(options)
    reason = one_line(options.reason or "")
    if not reason:
        raise UsageError("say why with --reason: whoever finds it paused wants to know")
    app, store = _open(options)
    rule = options.rule or pauses.EVERYTHING
    if options.rule:
        _check(options.rule, _rule_names(app))
    found = store.pause(rule, pauses.Pause(by=who(), at=_now(), reason=reason))
    if found:
        print(f"{_name(rule)} is paused already{_told(found)}; {WITHIN}")
    else:
        print(f"{_name(rule)} is paused: nothing new is started until `{_resume(rule)}`; {WITHIN}")
    return 0


def resume(options: Namespace) -> int:
    """Let a rule or everything go on; what is not paused stays as it is."""
    from shared.storage.pauses import EVERYTHING as EACH

    if options.rule and options.all:
        raise UsageError("give a RULE or --all, not both")
    app, store = _open(options)
    rule = options.rule or EACH
    ended = store.resume() if options.all else store.resume(rule)
    left = store.read()
    if options.rule and not ended:
        known = _rule_names(app)
        _check(options.rule, known and known | left.keys())
    for name, found in ended.items():
        print(f"{_name(name)} goes on: it was paused{_told(found)}; {WITHIN}")
    if not ended and options.rule:
        print(f"{_name(rule)} is not paused")
    elif not ended:
        print("not everything is paused" if left else "nothing is paused")
    for name, found in left.items():
        print(f"{_name(name)} is still paused{_told(found)}; `{_resume(name)}` lets it go on")
    return 0


def _list(options: Namespace) -> int:
    """Say what is paused."""
    from cli.documents import print_json

    app, store = _open(options)
    found = store.read()
    if options.json:
        shown = {rule: each.model_dump(mode="json") for rule, each in found.items()}
        print_json(shown)
        return 0
    known = _rule_names(app) if found else None
    for rule, each in found.items():
        missing = "" if known is None or rule in known or rule == "*" else " (no live rule has that name)"
        print(f"{_name(rule)}{missing} is paused{_told(each)}")
    if not found:
        print("nothing is paused")
    return 0


# -- what they share --------------------------------------------------------------------------------------------------


def _open(options: Namespace) -> tuple[AppStorage, Pauses]:
    from shared.storage.pauses import Pauses

    app = find(options)
    return app, Pauses(app.account, _now)


def _now() -> Any:
    from shared.wiring import now

    return now()


def _check(rule: str, known: set[str] | None) -> None:
    """Refuse the name of no live rule; UsageError says which was probably meant."""
    from shared.rules.problems import did_you_mean, shorten

    if known is None:
        print("reactor: no rules are known here, so the name was not checked", file=sys.stderr)
    elif rule not in known:
        raise UsageError(f"no rule is called {shorten(rule)}{did_you_mean(rule, known)}")


def _rule_names(app: AppStorage) -> set[str] | None:
    """Name the rules that are live, or will be when the app looks next; None where no file can be read."""
    from shared.handlers import ACTIONS
    from shared.rules import RulesError, load
    from shared.storage.rules_copies import RulesCopies

    names: set[str] = set()
    loaded = 0
    for text in (RulesCopies(app.account).last_good(), app.rules()):
        if text is None:
            continue
        try:
            names |= {rule.name for rule in load(text, ACTIONS, app.settings.rules).rules}
            loaded += 1
        except RulesError:
            continue
    return names if loaded else None


def _name(rule: str) -> str:
    from cli.tables import one_line

    return EVERYTHING if rule == "*" else one_line(rule)


def _resume(rule: str) -> str:
    import shlex

    return "reactor resume" if rule == "*" else f"reactor resume {shlex.quote(rule)}"


def _told(found: Pause) -> str:
    """Say who paused it, when and why, as far as that is known."""
    from cli.tables import one_line

    by = f" by {one_line(found.by)}" if found.by else ""
    at = f" since {found.at:%Y-%m-%d %H:%M}Z" if found.at else ""
    return f"{by}{at}" + (f": {one_line(found.reason)}" if found.reason else "")
