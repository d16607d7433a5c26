"""Stable orders by radix against Python's own sort."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from funnel.kernels import order
from funnel.tables._names import Packed

NAMES = st.lists(st.text(st.characters(exclude_characters="\0"), max_size=20), max_size=30)


def by_text(names):
    """Sort names as the kernel takes them."""
    return order.by_text(*Packed.of(np.array(names, dtype=object)))


@given(NAMES, st.sampled_from(["", "OPP-", "a long beginning that all of them share "]))
def test_texts_stand_in_the_order_of_their_bytes(names, beginning):
    """Python sorts texts by code points, as UTF-8 does; ties keep their place."""
    names = [beginning + name for name in names]
    found = by_text(names)
    if found is None:  # longer than is worth sorting
        assert max(len(name.encode()) for name in names) > 20
        return
    rows, fresh = found
    assert sorted(range(len(names)), key=names.__getitem__) == rows.tolist()
    ranked = [names[row] for row in rows.tolist()]
    differs = [not place or ranked[place - 1] != name for place, name in enumerate(ranked)]
    assert differs == fresh.tolist()


def test_long_texts_are_left_to_others():
    """More than 64 bytes, or more than 160 bits that differ, are not sorted here."""
    assert by_text(["x" * 65]) is None
    spread = ["a" * 60, "".join(map(chr, range(33, 93)))]
    assert by_text(["a" * 60, "a" * 59 + "b"]) is not None
    assert by_text([*spread, "~" * 60]) is None


@pytest.mark.parametrize("names", [[], [""], ["", ""], ["A", "A"]])
def test_texts_without_a_difference(names):
    """Nothing to compare is an order, too."""
    rows, fresh = by_text(names)
    assert list(range(len(names))) == rows.tolist()
    assert [True, False][: len(names)] == fresh.tolist()


@given(st.lists(st.tuples(st.integers(0, 1 << 40), st.integers(0, 3)), max_size=40))
def test_codes_are_sorted_as_pairs(pairs):
    """One order after the other is the order of pairs, ties by place."""
    high, low = (np.array([pair[i] for pair in pairs], dtype=np.int64) for i in (0, 1))
    found = order.by_code(high, before=order.by_code(low))
    assert sorted(range(len(pairs)), key=pairs.__getitem__) == found.tolist()
