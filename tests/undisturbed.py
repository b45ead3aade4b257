"""For tests that are about something else than the machine: what else runs on it makes no measurement void."""

import pytest

from helpers.load import result

OF_THE_MACHINE = ("engine CPU", "run delay", "pauses", "foreign load", "lag")


@pytest.fixture
def undisturbed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves the checks of the machine out of every verdict, and all others in."""
    check_all = result.check_all
    monkeypatch.setattr(
        result, "check_all", lambda facts: tuple(c for c in check_all(facts) if c.name not in OF_THE_MACHINE)
    )
