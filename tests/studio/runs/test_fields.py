from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simcore.presets import PRESETS
from studio.runs.fields import all_leaves, show, value_at


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_shown_number_reads_back_as_itself(value: float) -> None:
    assert float(show(value)) == value


def test_whole_numbers_are_shown_without_a_point() -> None:
    assert [show(value) for value in (500.0, 2.5, 1e-05, 7, None)] == ["500", "2.5", "1e-05", "7", ""]


def test_every_number_of_every_preset_survives_the_form() -> None:
    for preset in PRESETS.values():
        values = preset.spec.model_dump()
        for leaf in all_leaves():
            value = value_at(values, leaf.path)
            if isinstance(value, float):
                assert float(show(value)) == value, (preset.name, leaf.path)
