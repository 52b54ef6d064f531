"""`reactor vision dataset|backup --second`: a container that is not there is told before anything is copied."""

import pytest

from dev.azurite import Azurite
from dev.simulators.remote import Simulators
from shared.clients import Clients
from tests.integration.keeping import second_container
from tests.integration.test_cli_vision import FRUIT, account, clients, run, settings, told
from tests.integration.test_cli_vision_steps import fruit

__all__ = ["account", "clients", "fruit", "settings"]


@pytest.mark.parametrize("what", ["dataset", "backup"])
def test_a_second_container_that_is_not_there_is_refused(  # noqa: PLR0917 # what pytest hands over
    fruit: None,
    clients: Clients,
    simulators: Simulators,
    storage_emulator: Azurite,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    """The command says so and keeps nothing; the SAS is in none of what it says."""
    container, url = second_container(storage_emulator)
    container.delete_container()
    monkeypatch.setenv("SECOND", url)
    if what == "backup":
        assert run("connect", "fruit", "--within", "5s") == 0
        assert run("export", "fruit", "--platform", "ONNX") == 0
    capsys.readouterr()
    assert run(what, "fruit", "--second", "${SECOND}") == 1
    said = capsys.readouterr()
    assert f"has no container {container.container_name}; nothing was copied\n  create it" in said.err
    assert "sig=" not in said.out + said.err
    assert not list(clients.backups.own.folders(f"{FRUIT}/"))
    assert not clients.datasets.has_any(f"{FRUIT}/images")


def test_what_was_new_is_said(
    fruit: None, clients: Clients, storage_emulator: Azurite, capsys: pytest.CaptureFixture[str]
) -> None:
    """Given again, the command says that nothing was copied; a second container that is there is filled."""
    _, url = second_container(storage_emulator)
    assert run("dataset", "fruit", "--second", url) == 0
    assert "20 images are kept\n" in capsys.readouterr().out
    assert run("dataset", "fruit") == 0
    assert "20 images are kept (0 new, 20 kept already)" in capsys.readouterr().out
    assert told(capsys, "dataset", "fruit", "--second", url)["second"]
