"""The catalogue is whole: 67 tests with the names that were fixed, and every entry usable."""

from collections import Counter

from hokusai_validation.catalogue import REQUIREMENTS, entries, find
from hokusai_validation.result import CATALOGUE_CATEGORIES, Category
from hokusai_validation.topology import Role


def test_there_are_67() -> None:
    counts = Counter(entry.category for entry in entries() if entry.in_catalogue)
    assert counts == {Category.UNIT: 23, Category.INTEGRATION: 23, Category.LOAD: 9, Category.CHAOS: 12}


def test_ids_and_names_are_unique() -> None:
    every = entries()
    assert len({entry.id for entry in every}) == len(every)
    assert len({entry.test for entry in every}) == len(every)


def test_catalogued_ids_are_numbered_in_order() -> None:
    letters = {Category.UNIT: "U", Category.INTEGRATION: "I", Category.LOAD: "L", Category.CHAOS: "C"}
    for category in CATALOGUE_CATEGORIES:
        ids = [entry.id for entry in entries(category)]
        assert ids == [f"{letters[category]}{n}" for n in range(1, len(ids) + 1)]


def test_each_entry_names_a_known_component_and_requirement() -> None:
    for entry in entries():
        assert isinstance(entry.component, Role), entry.id
        assert entry.requirement in REQUIREMENTS, entry.id
        assert entry.says, entry.id


def test_an_entry_is_found_by_its_test() -> None:
    assert find("TestMLflowCircuitBreaker::test_initial_state") is entries(Category.UNIT)[0]
    assert find("TestNothing::test_nothing") is None
