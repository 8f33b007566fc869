"""From a specification as it was asked for to one that a worker can be given."""

from __future__ import annotations

from django.conf import settings

from simcore.config import RunSpec, SpecError
from simcore.dataset_card import DatasetCard
from simcore.pretrain_config import PretrainSpec, denoiser_config, parameters_of
from simcore.resolve import resolve, resolve_pretraining
from simcore.teacher_card import TeacherCard
from studio.pool.disk import free_bytes
from studio.pool.needs import FLOAT, gib
from studio.pool.selectors import announced_device

# θ, ψ, the average and the moments
COPIES_IN_CHECKPOINT = 7
# A teacher in training, its average and the moments
PRETRAINING_COPIES_IN_CHECKPOINT = 4


def prepare(spec: RunSpec, card: TeacherCard) -> RunSpec:
    """Every automatic choice written out; `device: auto` is what the workers announce.

    Raises SpecError where the spec does not fit the teacher, or its checkpoints would not fit the disk.
    """
    if spec.device == "auto" and (device := announced_device()):
        spec = spec.model_copy(update={"device": device})
    spec = resolve(spec, card)
    _check_disk(spec, disk_forecast(spec, card.parameters))
    return spec


def prepare_pretraining(spec: PretrainSpec, card: DatasetCard) -> tuple[PretrainSpec, int]:
    """As `prepare`, for a teacher's training on the data set; and the number of the teacher's parameters."""
    if spec.device == "auto" and (device := announced_device()):
        spec = spec.model_copy(update={"device": device})
    spec = resolve_pretraining(spec)
    parameters = parameters_of(denoiser_config(spec, card.image_shape, card.classes, card.name))
    _check_disk(spec, disk_forecast(spec, parameters))
    return spec, parameters


def _check_disk(spec: RunSpec | PretrainSpec, forecast: int) -> None:
    if forecast > (free := room_for_checkpoints()):
        raise SpecError(
            {
                "schedule.keep_last": f"the run would keep {checkpoints_on_disk(spec)} checkpoints, "
                f"{gib(forecast)}, but the disk has room for {gib(free)}; keep fewer, or free space"
            }
        )


def room_for_checkpoints() -> int:
    """Bytes."""
    return max(0, int(free_bytes() - settings.DISK_RESERVE))


def checkpoints_on_disk(spec: RunSpec | PretrainSpec) -> int:
    """How many there are at most at once: those that are kept, and the newest before another goes."""
    schedule = spec.schedule
    written = -(-spec.iterations // schedule.checkpoint_every)
    kept = schedule.keep_last + schedule.keep_best
    if schedule.keep_every:
        kept += spec.iterations // schedule.keep_every
    return min(written, kept + 1)


def disk_forecast(spec: RunSpec | PretrainSpec, parameters: int) -> int:
    """Bytes that the run's checkpoints take at most; samples and logs are small beside them."""
    copies = COPIES_IN_CHECKPOINT if isinstance(spec, RunSpec) else PRETRAINING_COPIES_IN_CHECKPOINT
    return checkpoints_on_disk(spec) * copies * FLOAT * parameters
