"""The rules file: read again by its ETag, at most once a minute, and never the end of the app."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from shared.errors import TemporaryError
from shared.settings import Settings, Storage
from shared.storage import PAYLOADS_CONTAINER
from shared.storage.account import Account
from shared.storage.rules_file import LAST_GOOD, RulesFile
from tests.integration.scripted import ACTIONS

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
def test_the_last_good_copy_is_made_sooner_or_later(account: Account) -> None:
    """Where keeping the copy failed, the file is live all the same, and the copy is made at the next look."""
    clock = Clock()
    write(account, GOOD.replace("NAME", "good"))
    account.blobs.delete_container(PAYLOADS_CONTAINER)
    file = rules_file(account, "blob:rules/rules.yaml", clock)
    assert live(file) == ["good"]
    account.blobs.create_container(PAYLOADS_CONTAINER)
    clock.minute()
    assert live(file) == ["good"]
    write(account, BAD)
    assert live(rules_file(account, "blob:rules/rules.yaml", clock)) == ["good"]


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
