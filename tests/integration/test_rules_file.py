"""The rules file: read again by its ETag, at most once a minute, and never the end of the app."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import requests
from azure.storage.blob import BlobServiceClient

from shared.errors import TemporaryError
from shared.settings import Settings, Storage
from shared.storage import PAYLOADS_CONTAINER
from shared.storage.account import Account
from shared.storage.rules_copies import LAST_GOOD, RulesCopies, hash_of
from shared.storage.rules_file import RulesFile
from tests.integration.scripted import ACTIONS
from tests.integration.world import Wire

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
"""A process that dies closes its sockets; here it only seems to die."""

GOOD = "version: 1\nrules:\n  - {name: NAME, on: ActionFailed, do: [scripted: {name: x}]}\n"
BAD = "version: 1\nrules: [{name: a}]\n"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Read it."""
        return self.now

    def minute(self) -> None:
        """Move it by as long as a file is trusted."""
        self.now += timedelta(minutes=1)


@pytest.fixture
def account(azurite: str) -> Account:
    """Give storage with a container for rules, and no last good ones."""
    with BlobServiceClient.from_connection_string(azurite) as service:
        for name in ("rules", PAYLOADS_CONTAINER):
            container = service.get_container_client(name)
            if not container.exists():
                container.create_container()
        blob = service.get_blob_client(PAYLOADS_CONTAINER, LAST_GOOD)
        if blob.exists():
            blob.delete_blob()
    return Account(Settings.read({"AzureWebJobsStorage": azurite}).storage, lambda _id: pytest.fail("not needed"))


@contextmanager
def broken(wire: Wire, begin: str, end: str) -> Iterator[None]:
    """Break the connection at every boundary whose name begins and ends so."""

    def cut(where: str) -> None:
        if where.startswith(begin) and where.endswith(end):
            raise requests.ConnectionError(where)

    wire.boundary = cut
    with wire.watched():
        yield
    wire.boundary = lambda _where: None


def rules_file(account: Account, location: str, clock: Clock) -> RulesFile:
    """Make one, as a new instance of the app does."""
    return RulesFile(account, location, actions=ACTIONS, values={}, clock=clock)


def write(account: Account, text: str) -> None:
    """Put a rules file into its blob."""
    account.blobs.get_blob_client("rules", "rules.yaml").upload_blob(text, overwrite=True)


def live(file: RulesFile) -> list[str] | None:
    """Name the rules that are live."""
    rules = file.current()
    return [rule.name for rule in rules.rules] if rules else None


def test_a_blob_is_read_again_once_a_minute(account: Account) -> None:
    """A changed blob is live after a minute, not before; an unchanged one is not loaded again."""
    clock = Clock()
    write(account, GOOD.replace("NAME", "one"))
    file = rules_file(account, "blob:rules/rules.yaml", clock)
    assert live(file) == ["one"]
    write(account, GOOD.replace("NAME", "two"))
    assert live(file) == ["one"]
    clock.minute()
    assert live(file) == ["two"]
    loaded = file.current()
    clock.minute()
    assert file.current() is loaded


@pytest.mark.guarantee(5)
def test_the_last_good_rules_stay_live(account: Account) -> None:
    """A broken file changes nothing, for this instance and for one that starts later; a mended one is taken."""
    clock = Clock()
    write(account, GOOD.replace("NAME", "good"))
    file = rules_file(account, "blob:rules/rules.yaml", clock)
    assert live(file) == ["good"]
    write(account, BAD)
    clock.minute()
    assert live(file) == ["good"]
    assert live(rules_file(account, "blob:rules/rules.yaml", clock)) == ["good"]
    write(account, GOOD.replace("NAME", "mended"))
    clock.minute()
    assert live(file) == ["mended"]


@pytest.mark.guarantee(5)
def test_the_last_good_copy_is_made_sooner_or_later(account: Account, wire: Wire) -> None:
    """Where the app dies before or after it wrote the copy, the next instance writes it at its first look."""
    clock = Clock()
    write(account, GOOD.replace("NAME", "older"))
    assert live(rules_file(account, "blob:rules/rules.yaml", clock)) == ["older"]
    for number, moment in enumerate(("before PUT", "after PUT")):
        write(account, GOOD.replace("NAME", f"good-{number}"))
        with wire.dying(moment, LAST_GOOD):
            rules_file(account, "blob:rules/rules.yaml", clock).current()
        assert live(rules_file(account, "blob:rules/rules.yaml", clock)) == [f"good-{number}"]
        write(account, BAD)
        assert live(rules_file(account, "blob:rules/rules.yaml", clock)) == [f"good-{number}"]


@pytest.mark.guarantee(5)
def test_no_rules_are_live_before_they_are_kept(account: Account, wire: Wire) -> None:
    """Where a file cannot be kept by its hash, what was live stays, and where nothing was, the door is called again."""
    clock = Clock()
    write(account, GOOD.replace("NAME", "one"))
    file = rules_file(account, "blob:rules/rules.yaml", clock)
    assert live(file) == ["one"]
    other = GOOD.replace("NAME", f"other-{uuid4()}")
    write(account, other)
    clock.minute()
    with broken(wire, "before PUT", f"{hash_of(other)}.yaml"):
        assert live(file) == ["one"]
        with pytest.raises(TemporaryError, match="keeping the rules by their hash"):
            rules_file(account, "blob:rules/rules.yaml", clock).current()
    assert RulesCopies(account).read(hash_of(other)) is None
    clock.minute()
    assert live(file) != ["one"]
    assert RulesCopies(account).read(hash_of(other)) == other


def test_what_was_live_is_given_by_its_hash(account: Account, caplog: pytest.LogCaptureFixture) -> None:
    """Any instance gives any file that was ever live, bound to the settings of now; of others there is none."""
    clock, names = Clock(), [f"rule-{number}" for number in range(7)]
    file = rules_file(account, "blob:rules/rules.yaml", clock)
    for name in names:
        write(account, GOOD.replace("NAME", name))
        clock.minute()
        assert live(file) == [name]
    for each in (file, rules_file(account, "blob:rules/missing.yaml", clock)):
        for name in [*names, *names]:
            text = GOOD.replace("NAME", name)
            rules = each.by_hash(hash_of(text))
            assert rules is not None
            assert (rules.hash, rules.rules[0].name) == (hash_of(text), name)
        assert each.by_hash(hash_of(text)) is each.by_hash(hash_of(text)), "it is loaded once"
    assert file.by_hash("0" * 64) is None
    assert file.by_hash("last-good") is None
    assert "rules=000000000000 outcome=missing" in caplog.text


def test_settings_are_those_of_now(account: Account) -> None:
    """A file that is given by its hash is bound like one that is live."""
    text = f"version: 1\nworkspaces: {{w: '${{WHERE}}'}}\nrules: [] # {uuid4()}\n"
    RulesCopies(account).keep(text)
    values = {"WHERE": "/subscriptions/s"}
    file = RulesFile(account, "blob:rules/missing.yaml", actions=ACTIONS, values=values, clock=Clock())
    rules = file.by_hash(hash_of(text))
    assert rules is not None
    assert rules.declared.workspaces == {"w": "/subscriptions/s"}


def test_what_can_no_longer_be_loaded_is_none(account: Account, caplog: pytest.LogCaptureFixture) -> None:
    """A copy that this version of the app refuses, or that is not what its name says, is none, and the log says so."""
    refused = f"{BAD}# {uuid4()}\n"
    RulesCopies(account).keep(refused)
    file = rules_file(account, "blob:rules/missing.yaml", Clock())
    assert file.by_hash(hash_of(refused)) is None
    assert f"origin=rules/{hash_of(refused)[:12]}.yaml outcome=invalid" in caplog.text
    forged = hash_of(str(uuid4()))
    account.blobs.get_blob_client(PAYLOADS_CONTAINER, f"rules/{forged}.yaml").upload_blob(GOOD)
    assert file.by_hash(forged) is None


@pytest.mark.guarantee(5)
def test_without_any_good_rules_there_are_none(account: Account, tmp_path: Path) -> None:
    """Where the first file is broken, or is not there, there are no rules, and nothing is raised."""
    clock = Clock()
    write(account, BAD)
    assert live(rules_file(account, "blob:rules/rules.yaml", clock)) is None
    assert live(rules_file(account, "blob:rules/missing.yaml", clock)) is None
    assert live(rules_file(account, str(tmp_path / "missing.yaml"), clock)) is None
    (tmp_path / "binary.yaml").write_bytes(b"\xff\x00\xfe")
    assert live(rules_file(account, str(tmp_path / "binary.yaml"), clock)) is None


def test_a_file_beside_the_app_is_read(account: Account, tmp_path: Path) -> None:
    """A path names a file; a change of it is seen after a minute."""
    path, clock = tmp_path / "rules.yaml", Clock()
    path.write_text(GOOD.replace("NAME", "one"))
    file = rules_file(account, str(path), clock)
    assert live(file) == ["one"]
    path.write_text(GOOD.replace("NAME", "other"))
    clock.minute()
    assert live(file) == ["other"]


@pytest.mark.guarantee(1)
def test_failing_storage_is_temporary() -> None:
    """Where storage cannot be reached and nothing is known yet, it is a TemporaryError: the door is called again."""
    nowhere = Storage(
        connection_string="DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;"
        "BlobEndpoint=http://127.0.0.1:9/a;QueueEndpoint=http://127.0.0.1:9/a;TableEndpoint=http://127.0.0.1:9/a"
    )
    account = Account(nowhere, lambda _id: pytest.fail("not needed"))
    with pytest.raises(TemporaryError, match="reading the rules"):
        rules_file(account, "blob:rules/rules.yaml", Clock()).current()
