"""Published rules: versions that are kept first and go live after, one publisher at a time, and the way back."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from uuid import uuid4

import pytest
import requests
from azure.storage.blob import BlobServiceClient

import dev.rules_file
from dev.process import ChildError
from shared.errors import PermanentError, SettingsError, TemporaryError
from shared.rules import load
from shared.settings import Settings
from shared.storage import PAYLOADS_CONTAINER
from shared.storage.account import Account
from shared.storage.rules_copies import hash_of
from shared.storage.rules_file import RulesFile
from shared.storage.rules_history import History, Version
from shared.storage.rules_store import LONGEST_MESSAGE, LONGEST_NAME, RulesStore
from tests.integration.scripted import ACTIONS
from tests.integration.world import Wire

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
"""A process that dies closes its sockets; here it only seems to die."""

BAD = "version: 1\nrules: [{name: a}]\n"


def text(name: str) -> str:
    """Write a rules file with one rule."""
    return f"version: 1\nrules:\n  - {{name: {name}, on: ActionFailed, do: [scripted: {{name: x}}]}}\n"


class Clock:
    """A clock that goes on by a second each time it is read."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Read it."""
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def account(azurite: str) -> Account:
    """Give storage with the app's container, and none for rules."""
    with BlobServiceClient.from_connection_string(azurite) as service:
        container = service.get_container_client(PAYLOADS_CONTAINER)
        if not container.exists():
            container.create_container()
    return Account(Settings.read({"AzureWebJobsStorage": azurite}).storage, lambda _id: pytest.fail("not needed"))


@pytest.fixture
def location() -> str:
    """Give a place of one's own."""
    return f"blob:rules-{uuid4().hex}/team/rules.yaml"


@pytest.fixture
def store(account: Account, location: str) -> RulesStore:
    """Give an empty store, whose container is not there yet."""
    return RulesStore(account, location, Clock())


def publish(store: RulesStore, name: str, by: str = "alice", after: History | None = None) -> Version:
    """Publish, where that makes a version."""
    version = store.publish(text(name), after or store.look(), by=by)
    assert version is not None
    return version


def roll_back(store: RulesStore) -> Version:
    """Go back as the command does."""
    seen = store.look()
    before = seen.before()
    version = store.publish(store.text(before), seen, by="alice", restores=before.restores or before.number)
    assert version is not None
    return version


def live(store: RulesStore) -> tuple[int, str]:
    """Give the number of the live version, 0 where it is none, and the name of its rule."""
    seen = store.look()
    assert seen.live is not None
    rules = load(seen.live.text, ACTIONS, "live")
    assert rules.hash == seen.live.hash == hash_of(seen.live.text)
    return (seen.current.number if seen.current else 0), rules.rules[0].name


def write(account: Account, location: str, content: str) -> None:
    """Write into the blob by hand, past the store."""
    container, _, name = location.removeprefix("blob:").partition("/")
    client = account.blobs.get_container_client(container)
    if not client.exists():
        client.create_container()
    client.get_blob_client(name).upload_blob(content, overwrite=True)


@contextmanager
def broken(wire: Wire, begin: str, end: str, times: int = 99) -> Iterator[None]:
    """Break the connection at the first boundaries whose name begins and ends so."""
    left = times

    def cut(where: str) -> None:
        nonlocal left
        if left and where.startswith(begin) and where.endswith(end):
            left -= 1
            raise requests.ConnectionError(where)

    wire.boundary = cut
    with wire.watched():
        yield
    wire.boundary = lambda _where: None


# -- going live -------------------------------------------------------------------------------------------------------


def test_nothing_is_published_at_first(store: RulesStore) -> None:
    """Where neither blob nor container is there, there is nothing, and nothing to go back to."""
    seen = store.look()
    assert (seen.versions, seen.live, seen.current, seen.taken) == ((), None, None, 0)
    with pytest.raises(PermanentError, match="no version before"):
        seen.before()
    with pytest.raises(PermanentError, match="there is no version 1"):
        seen.find("1")


def test_versions_are_kept_and_the_newest_is_live(store: RulesStore) -> None:
    """Each has its number, hash, time, publisher and message, and its text can be read again."""
    publish(store, "one")
    second = store.publish(text("two"), store.look(), by="Bob Ψ <bob@example.com>", message="weil's so ist: “größer” ✓")
    assert second is not None
    seen = store.look()
    assert [version.number for version in seen.versions] == [2, 1]
    assert seen.current == seen.versions[0] == second
    assert (second.by, second.message) == ("Bob Ψ <bob@example.com>", "weil's so ist: “größer” ✓")
    assert second.hash == hash_of(text("two"))
    assert second.at > seen.versions[1].at
    assert seen.were_live == {1, 2}
    assert [store.text(version) for version in seen.versions] == [text("two"), text("one")]


def test_the_app_reads_what_was_published(store: RulesStore, account: Account, location: str) -> None:
    """What is pushed is live at the app's next look, and so is what is rolled back to."""
    clock = Clock()
    file = RulesFile(account, location, actions=ACTIONS, values={}, clock=clock)
    for name in ("one", "two"):
        version = publish(store, name)
        clock.now += timedelta(minutes=1)
        rules = file.current()
        assert rules is not None
        assert (rules.rules[0].name, rules.hash) == (name, version.hash)
    roll_back(store)
    clock.now += timedelta(minutes=1)
    rules = file.current()
    assert rules is not None
    assert rules.rules[0].name == "one"


def test_what_is_live_already_is_not_published_again(store: RulesStore) -> None:
    """The same text makes no version; an earlier one does."""
    publish(store, "one")
    assert store.publish(text("one"), store.look(), by="bob") is None
    assert len(store.look().versions) == 1
    publish(store, "two")
    assert publish(store, "one").number == 3


def test_long_words_fit(store: RulesStore) -> None:
    """The longest message and name, in letters that take the most room, are kept whole; longer ones are cut."""
    version = store.publish(text("one"), store.look(), by="🧑" * 999, message="🧨" * 999)
    assert version is not None
    (kept,) = store.look().versions
    assert (kept.by, kept.message) == ("🧑" * LONGEST_NAME, "🧨" * LONGEST_MESSAGE)


def test_thirty_versions(store: RulesStore) -> None:
    """A long history is listed whole, newest first, and each version is found by number and by hash."""
    for number in range(30):
        publish(store, f"rule-{number}")
    seen = store.look()
    assert [version.number for version in seen.versions] == list(range(30, 0, -1))
    assert seen.were_live == set(range(1, 31))
    assert all(seen.find(str(version.number)) == version == seen.find(version.hash[:12]) for version in seen.versions)
    for _ in range(3):
        roll_back(store)
    assert live(store) == (33, "rule-26")


@pytest.mark.parametrize("location", ["rules.yaml", "blob:", "blob:rules", "blob:/rules.yaml", "blob:rules/"])
def test_only_a_blob_can_be_published_to(account: Account, location: str) -> None:
    """What names no blob is a wrong setting, and the message says how it is written."""
    with pytest.raises(SettingsError, match="blob:container/name"):
        RulesStore(account, location, Clock())


def test_a_stack_begins_with_the_apps_own_file(
    store: RulesStore, account: Account, location: str, tmp_path: Path
) -> None:
    """The local stack publishes it to the blob that its app reads; an app without one has nothing there yet."""
    dev.rules_file.publish(location, tmp_path, account)
    assert store.look().live is None
    (tmp_path / "rules.yaml").write_text("version: 1\nrules: []\n", "utf-8")
    assert [line.partition(",")[0] for line in dev.rules_file.look(location, tmp_path, {})] == [
        f"rules: {location}",
        "rules: rules.yaml",
    ]
    for _ in range(2):
        dev.rules_file.publish(location, tmp_path, account)
        (version,) = store.look().versions
        assert (version.by, store.text(version)) == ("stack", "version: 1\nrules: []\n")
    with pytest.raises(ChildError, match="blob:container/name"):
        dev.rules_file.publish("blob:rules", tmp_path, account)


# -- going back -------------------------------------------------------------------------------------------------------


def test_rolling_back_goes_further_back_each_time(store: RulesStore) -> None:
    """Never to what was just left: from three to two, from there to one, and then there is nothing before."""
    for name in ("one", "two", "three"):
        publish(store, name)
    assert roll_back(store).restores == 2
    assert live(store) == (4, "two")
    assert roll_back(store).restores == 1
    assert live(store) == (5, "one")
    with pytest.raises(PermanentError, match="no version before"):
        store.look().before()
    publish(store, "four")
    assert roll_back(store).restores == 1
    assert [version.number for version in store.look().versions] == [7, 6, 5, 4, 3, 2, 1]


def test_a_version_is_named_by_number_or_hash(store: RulesStore) -> None:
    """The beginning of a hash is enough, if it is not too short; the newest with that text is meant."""
    for name in ("one", "two", "one"):
        publish(store, name)
    seen = store.look()
    assert seen.find("2").hash == hash_of(text("two"))
    assert seen.find(hash_of(text("one"))[:8].upper()).number == 3
    for nothing in (hash_of(text("one"))[:5], "9", "0", "", "zzzzzzzz"):
        with pytest.raises(PermanentError, match="there is no version"):
            seen.find(nothing)


def test_a_version_that_was_changed_is_not_put_live(store: RulesStore, account: Account, location: str) -> None:
    """A version whose text is not the one that was published, or is gone, is refused."""
    publish(store, "one")
    publish(store, "two")
    (first,) = [version for version in store.look().versions if version.number == 1]
    container, _, name = location.removeprefix("blob:").partition("/")
    blob = account.blobs.get_blob_client(container, f"{name}.history/000001.yaml")
    blob.upload_blob(text("forged"), overwrite=True)
    with pytest.raises(PermanentError, match="version 1 was changed or deleted"):
        store.text(first)
    blob.delete_blob()
    with pytest.raises(PermanentError, match="version 1 was changed or deleted"):
        store.text(first)


# -- two at once, and crashes -----------------------------------------------------------------------------------------


def test_the_second_of_two_is_told(store: RulesStore) -> None:
    """Whoever looked before another published is refused and told who did; nothing of theirs is left behind."""
    publish(store, "one")
    seen = store.look()
    publish(store, "two", by="alice", after=seen)
    with pytest.raises(PermanentError, match="alice published version 2 while this was under way") as refused:
        store.publish(text("three"), seen, by="bob")
    assert "reactor rules history" in refused.value.remedy
    assert live(store) == (2, "two")
    assert [version.number for version in store.look().versions] == [2, 1]
    assert publish(store, "three", by="bob").number == 3


def test_the_second_of_two_first_ones_is_told(store: RulesStore) -> None:
    """So it is where nothing was live before."""
    seen = store.look()
    publish(store, "one", after=seen)
    with pytest.raises(PermanentError, match="alice published version 1"):
        store.publish(text("two"), seen, by="bob")
    assert live(store) == (1, "one")


def test_of_many_at_once_one_publishes(store: RulesStore, account: Account, location: str) -> None:
    """Of all who looked at the same moment one is done, the others are told, and nothing of theirs is left."""
    publish(store, "one")
    seen = store.look()
    ends: list[str] = []

    def push(name: str) -> None:
        try:
            RulesStore(account, location, Clock()).publish(text(name), seen, by=name)
        except PermanentError as error:
            ends.append("told" if "while this was under way" in error.reason else error.reason)
        else:
            ends.append(name)

    threads = [Thread(target=push, args=(f"rule-{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [end for end in ends if end != "told"]
    assert len(ends) == 6
    assert live(store)[1] == winner
    assert [version.by for version in store.look().versions] == [winner, "alice"]


@pytest.mark.parametrize("moment", ["before PUT", "after PUT"])
@pytest.mark.parametrize("written", [".history/000002.yaml", ""])
def test_a_crash_between_writes(store: RulesStore, wire: Wire, moment: str, written: str) -> None:
    """Whoever dies while publishing leaves what was live, or what shall be; the next one goes on from there."""
    publish(store, "one")
    with wire.dying(moment, f"/team/rules.yaml{written}"):
        store.publish(text("two"), store.look(), by="alice")
    is_live = (moment, written) == ("after PUT", "")
    is_kept = (moment, written) != ("before PUT", ".history/000002.yaml")
    assert live(store) == ((2, "two") if is_live else (1, "one"))
    seen = store.look()
    assert [version.number for version in seen.versions] == ([2, 1] if is_kept else [1])
    assert (2 in seen.were_live) == is_live
    if is_live:
        assert store.publish(text("two"), seen, by="alice") is None
    else:
        again = publish(store, "two")
        assert again.number == (3 if is_kept else 2)
        seen = store.look()
        assert seen.were_live == {1, again.number}, "what never went live is told from what did, later too"
    assert store.look().before().number == 1


@pytest.mark.parametrize("written", [".history/000002.yaml", ""])
def test_a_lost_reply_is_settled(store: RulesStore, wire: Wire, written: str) -> None:
    """A write that was done although no answer came is found to be one's own, and is neither doubled nor refused."""
    publish(store, "one")
    with broken(wire, "after PUT", f"/team/rules.yaml{written}", times=1):
        publish(store, "two")
    assert live(store) == (2, "two")
    assert [version.number for version in store.look().versions] == [2, 1]


def test_no_reply_at_all_is_settled_by_looking(store: RulesStore, wire: Wire) -> None:
    """Where every answer to the last write is lost, what is live is read again; where it was not done, that is said."""
    publish(store, "one")
    with broken(wire, "after PUT", "/team/rules.yaml"):
        publish(store, "two")
    assert live(store) == (2, "two")
    with broken(wire, "before PUT", "/team/rules.yaml"), pytest.raises(TemporaryError, match="storage"):
        publish(store, "three")
    assert live(store) == (2, "two")
    assert publish(store, "three").number == 4


# -- what others wrote into the blob ----------------------------------------------------------------------------------


def test_what_was_written_by_hand_is_kept(store: RulesStore, account: Account, location: str) -> None:
    """A blob that was overwritten past the store becomes a version before another replaces it."""
    publish(store, "one")
    write(account, location, text("by-hand"))
    seen = store.look()
    assert seen.current is None
    assert seen.were_live == {1}
    assert live(store) == (0, "by-hand")
    assert seen.before().number == 1
    assert publish(store, "two").number == 3
    found = store.look().find("2")
    assert (found.by, found.hash, found.replaces) == ("", hash_of(text("by-hand")), 1)
    assert store.look().were_live == {1, 2, 3}
    assert roll_back(store).restores == 2
    assert live(store) == (4, "by-hand")


def test_it_is_kept_once(store: RulesStore, account: Account, location: str, wire: Wire) -> None:
    """Whoever dies after keeping what was written by hand leaves it as the live version; it is not kept again."""
    write(account, location, text("by-hand"))
    with wire.dying("before PUT", "/team/rules.yaml"):
        store.publish(text("one"), store.look(), by="alice")
    assert live(store) == (1, "by-hand")
    assert publish(store, "one").number == 3
    seen = store.look()
    assert [(version.number, version.replaces) for version in seen.versions] == [(3, 1), (2, 1), (1, 0)]
    assert seen.were_live == {1, 3}


@pytest.mark.guarantee(5)
def test_a_broken_file_behind_our_back(store: RulesStore, account: Account, location: str) -> None:
    """The app stays with the last good rules, and a rollback puts the version before it live again."""
    clock = Clock()
    file = RulesFile(account, location, actions=ACTIONS, values={}, clock=clock)
    publish(store, "good")
    good = file.current()
    assert good is not None
    write(account, location, BAD)
    clock.now += timedelta(minutes=1)
    assert file.current() is good
    assert roll_back(store).restores == 1
    clock.now += timedelta(minutes=1)
    again = file.current()
    assert again is not None
    assert again.hash == good.hash
    assert live(store) == (3, "good")


def test_the_same_text_by_hand_is_live_already(store: RulesStore, account: Account, location: str) -> None:
    """Where somebody uploads what is live, nothing has to be published, and going back goes to what was before."""
    publish(store, "one")
    publish(store, "two")
    write(account, location, text("two"))
    assert store.publish(text("two"), store.look(), by="alice") is None
    assert store.look().before().number == 1


def test_a_deleted_blob_comes_back(store: RulesStore, account: Account, location: str) -> None:
    """Where the blob is gone, the newest version can be put live again."""
    publish(store, "one")
    container, _, name = location.removeprefix("blob:").partition("/")
    account.blobs.get_blob_client(container, name).delete_blob()
    assert store.look().live is None
    assert roll_back(store).restores == 1
    assert live(store) == (2, "one")


def test_foreign_files_among_the_versions_are_no_versions(store: RulesStore, account: Account, location: str) -> None:
    """A file that somebody put there is not listed, and its number is not used."""
    publish(store, "one")
    for name in ("000002.yaml", "notes.txt", "000007.yaml.bak"):
        write(account, f"{location}.history/{name}", "what?")
    assert [version.number for version in store.look().versions] == [1]
    assert publish(store, "two").number == 3


@pytest.mark.guarantee(5)
def test_an_emptied_blob(store: RulesStore, account: Account, location: str) -> None:
    """A blob of no length is a broken file like any other: the last good rules stay, and there is a way back."""
    clock = Clock()
    file = RulesFile(account, location, actions=ACTIONS, values={}, clock=clock)
    publish(store, "good")
    good = file.current()
    write(account, location, "")
    clock.now += timedelta(minutes=1)
    assert file.current() is good is not None
    assert roll_back(store).restores == 1
    assert live(store) == (3, "good")


def test_a_huge_blob_is_not_read_whole(store: RulesStore, account: Account, location: str) -> None:
    """Of a blob that is no rules file by its size alone, only so much is read that this can be told."""
    publish(store, "one")
    write(account, location, "#" * 6_000_000)
    seen = store.look()
    assert seen.live is not None
    assert len(seen.live.text) < 5_000_000
    assert seen.before().number == 1
