from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.common.strict_json import read_json

text = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
)


@given(plain)
def test_what_a_database_can_store_is_read(data: object) -> None:
    assert read_json(json.dumps(data)) == data


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ('{"a": NaN}', "NaN"),
        ("[-Infinity]", "-Infinity"),
        ('{"a": "\\ud800"}', "surrogate"),
        ('{"a\\u0000": 1}', "NUL"),
        ("[" * 100_000, "deeply"),
        (b'"\xff"', "UTF-8"),
        ("{", "Expecting"),
        ("", "Expecting"),
    ],
)
def test_what_it_cannot_store_is_refused_with_the_reason(given: str | bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_json(given)
