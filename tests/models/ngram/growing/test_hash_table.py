import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lmgen.models.ngram.growing.hash_table import ABSENT, HashTable, mixed

KEYS = st.lists(st.integers(0, 50), max_size=40)


@given(st.lists(KEYS, max_size=12))
def test_it_numbers_keys_as_a_dict_does(batches: list[list[int]]) -> None:
    table = HashTable()
    expected: dict[int, int] = {}

    for batch in batches:
        keys = np.unique(np.array(batch, np.uint64))
        for key in keys.tolist():
            expected.setdefault(key, len(expected) + 1)
        assert table.add(keys).tolist() == [expected[key] for key in keys.tolist()]

    every = np.arange(60, dtype=np.uint64)
    assert table.find(every).tolist() == [expected.get(key, ABSENT) for key in range(60)]


def test_a_hundred_thousand_keys_are_found_after_it_has_grown() -> None:
    table = HashTable()
    keys = mixed(np.arange(1, 100_001, dtype=np.uint64))

    rows = np.concatenate([table.add(part) for part in np.split(keys, 25)])

    assert rows.tolist() == list(range(1, 100_001))
    assert (table.find(keys.reshape(100, 1000)) == rows.reshape(100, 1000)).all()
    assert (table.find(keys + np.uint64(1)) == ABSENT).all()


def test_mixing_is_a_bijection() -> None:
    keys = np.arange(1 << 16, dtype=np.uint64)

    assert len(np.unique(mixed(keys))) == len(keys)
