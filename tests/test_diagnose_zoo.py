"""The zoo: apps whose limit is known, each diagnosed; the whole of it with the confusion matrix in `--full`."""

import os
from collections.abc import Iterator

import pytest

from helpers.diagnose.decide import VERDICTS
from helpers.diagnose.result import UNTOLD
from tests.hogs import hogs
from tests.zoo.labels import ANIMALS, Animal
from tests.zoo_keeper import Seen, confusion_matrix, show

QUICK = [animal for animal in ANIMALS if animal.quick]
RIGHT = 0.95  # of the whole zoo, in one run
pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_PACE", "quick")


@pytest.fixture(scope="module")
def visited() -> Iterator[dict[str, Seen]]:
    """The animals of the whole zoo that were diagnosed so far, by name; the matrix is printed at the end."""
    seen: dict[str, Seen] = {}
    yield seen
    if len(seen) == len(ANIMALS):
        print(f"\n{confusion_matrix(seen.values()).to_string()}")


def named(animal: Animal) -> str:
    return animal.name


def test_the_zoo_is_large_enough_and_has_every_verdict_that_an_app_can_have() -> None:
    kinds = set(VERDICTS) - set(UNTOLD)
    assert len({animal.name for animal in ANIMALS}) == len(ANIMALS) >= 36
    assert {animal.verdict for animal in ANIMALS} == kinds
    assert len(QUICK) >= 12
    assert {animal.verdict for animal in QUICK} == kinds


@pytest.mark.parametrize("animal", QUICK, ids=named)
def test_an_animal_is_known(animal: Animal) -> None:
    seen = show(animal)
    assert seen.right, f"{seen}\n{seen.diagnosis.explain()}"


@pytest.mark.parametrize("app", ["working:loop", pytest.param("locks:async_lock", marks=pytest.mark.full)])
def test_with_both_cores_busy_elsewhere_nothing_is_said_with_confidence(app: str) -> None:
    animal = next(animal for animal in ANIMALS if animal.app == app)
    with hogs(2 * (os.cpu_count() or 1)):
        found = show(animal).diagnosis
    assert found.verdict in UNTOLD, found.explain()
    assert found.confidence == "low"
    assert "Other programs used" in str(found)


@pytest.mark.full
@pytest.mark.parametrize("animal", ANIMALS, ids=named)
def test_an_animal_is_never_taken_for_another_one_with_confidence(animal: Animal, visited: dict[str, Seen]) -> None:
    seen = visited[animal.name] = show(animal)
    print(seen)
    assert not seen.confidently_wrong, f"{seen}\n{seen.diagnosis.explain()}"


@pytest.mark.full
def test_of_the_whole_zoo_nearly_all_are_known(visited: dict[str, Seen]) -> None:
    if len(visited) < len(ANIMALS):
        pytest.skip("only part of the zoo was visited")
    wrong = [str(seen) for seen in visited.values() if not seen.right]
    assert len(wrong) <= (1 - RIGHT) * len(ANIMALS), "\n".join(wrong)
