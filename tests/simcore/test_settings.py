"""`--set KEY=VALUE` and the comparison of specifications."""

import pytest

from simcore.commands.common import differences, with_settings
from simcore.config import RunSpec, SpecError, parse_as, parse_spec
from simcore.pretrain_config import PretrainSpec, standard_spec


def changed(*settings: str, **overrides: object) -> RunSpec:
    return parse_spec(with_settings(RunSpec().model_dump(mode="json"), settings, overrides))


def test_settings_reach_nested_fields_and_are_converted() -> None:
    spec = changed("denoiser_optimizer.learning_rate=2e-4", "threads=null", "objective.time.law=edm", seed=7)
    assert spec.denoiser_optimizer.learning_rate == 2e-4
    assert (spec.threads, spec.objective.time.law, spec.seed) == (None, "edm", 7)


def test_lists_and_truth_values_can_be_set() -> None:
    data = with_settings(
        PretrainSpec().model_dump(mode="json"), ["network.channel_mult=[1, 2, 4]", "network.attention=false"], {}
    )
    network = parse_as(PretrainSpec, data).network
    assert (network.channel_mult, network.attention) == ((1, 2, 4), False)


@pytest.mark.parametrize(
    ("setting", "field", "message"),
    [
        ("batch_size", "batch_size", "expected key.path=value"),
        ("denoiser.nope=1", "denoiser.nope", "no such setting; known here: steps, weighting, time"),
        ("seed.x=1", "seed.x", "'seed' has no fields"),
        ("batch_size=many", "batch_size", "valid integer"),
        ("denoiser_optimizer.beta1=1", "denoiser_optimizer.beta1", "less than 1 (given: '1')"),
        ("generator.init_sigma=nan", "generator.init_sigma", "finite"),
    ],
)
def test_a_wrong_setting_is_told_by_its_field(setting: str, field: str, message: str) -> None:
    with pytest.raises(SpecError) as refusal:
        changed(setting)
    assert list(refusal.value.problems) == [field]
    assert message in refusal.value.problems[field]


def test_differences_are_named_by_their_path() -> None:
    assert differences(RunSpec(), changed("seed=3", "ema.ramp_up=0.5")) == ["seed", "ema.ramp_up"]
    assert differences(RunSpec(), RunSpec()) == []
    assert {"dataset", "network"} <= set(differences(standard_spec("digits"), standard_spec("two-moons")))
