"""restore.language with `edits`: what was edited by hand, and kept before it was replaced, comes back."""

import pytest
from pydantic import ValidationError

from dev.simulators.remote import Simulators
from shared.errors import PermanentError
from shared.handlers.language import deploying, following, proving, undoing
from shared.handlers.language.restore import Language
from tests.integration.language_stories import EDIT, Mail

BACKUP, RESTORE, REPLICATE = "backup.language", "restore.language", "replicate.language"


@pytest.fixture
def mail(simulators: Simulators, azurite: str, monkeypatch: pytest.MonkeyPatch) -> Mail:
    """Give a project that its primary serves, and its secondary too; nothing is waited for long."""
    for module, name in ((following, "SHOWN_WITHIN"), (proving, "ANSWERS_WITHIN"), (undoing, "SURE_AFTER")):
        monkeypatch.setattr(module, name, getattr(module, name) * 0)
    monkeypatch.setattr(deploying, "SHOWN_WITHIN", deploying.SHOWN_WITHIN * 0)
    mail = Mail(simulators, azurite)
    mail.begin()
    mail.bench().run(REPLICATE)
    return mail


@pytest.mark.parametrize("to", ["secondary", "primary"])
def test_edits_of_the_secondary_come_back(to: str, mail: Mail) -> None:
    """They replace what is being labelled, there or in the primary; nothing is trained, and what serves stays."""
    mail.edit(mail.secondary)
    replaced = mail.bench().run(REPLICATE, overwrite_edits=True).result["version"]
    assert EDIT["text"] not in mail.texts(mail.secondary)
    mail.learn("v2")
    mail.bench().run(REPLICATE)  # a newer version, without edits
    at = mail.secondary if to == "secondary" else mail.primary
    serving, trained = mail.serving(at), mail.posts(at, ":train")
    told = mail.bench().run(RESTORE, edits=True, to=to)
    assert EDIT["text"] in mail.texts(at)
    assert (told.result["version"], told.result["restored"]) == (replaced, {})
    assert (mail.serving(at), mail.posts(at, ":train")) == (serving, trained)
    assert (
        told.notes[-1] == f"what was edited by hand of the backup {replaced} is in the {to} again; nothing was trained"
    )


def test_edits_of_the_primary_come_back(mail: Mail) -> None:
    """What a restore replaced there is a version of its own, which comes back as well."""
    mail.edit(mail.primary)
    kept_as = mail.bench().run(RESTORE, to="primary", overwrite_edits=True).result["kept_as"]
    assert EDIT["text"] not in mail.texts(mail.primary)
    assert mail.bench().run(RESTORE, to="primary", edits=True, version=kept_as).result["version"] == kept_as
    assert EDIT["text"] in mail.texts(mail.primary)


def test_edits_that_were_never_kept_do_not_come_back(mail: Mail) -> None:
    """The error says so, of the named version and of all."""
    (version,) = [one.name for one in mail.bench().clients.language_backups.versions("127.0.0.1", mail.name)]
    for params, which in (({}, f"of {mail.name} at 127.0.0.1 they hold"), ({"version": version}, f"{version} holds")):
        with pytest.raises(PermanentError, match=f"{which} nothing of what was edited by hand") as caught:
            mail.bench().run(RESTORE, edits=True, **params)
        assert "reactor language backups" in caught.value.remedy


def test_edits_and_a_working_copy_are_not_one() -> None:
    """Only one of them can be what is labelled on."""
    with pytest.raises(ValidationError, match="working_copy or edits"):
        Language(edits=True, working_copy=True)
