"""What people can do with a study in its state; pages and scripts offer the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from studio.accounts.models import User
from studio.study.generation import images_cancel, images_start
from studio.study.lifecycle import StudyState
from studio.study.models import Arm, Study
from studio.study.opening import study_close, study_open, study_reopen, study_to_draft


@dataclass(frozen=True)
class Action:
    """A verb on the whole study. `done`: what is said once it is done."""

    name: str
    label: str
    act: Callable[[Study, User], object]
    states: tuple[StudyState, ...]
    done: str
    primary: bool = False
    danger: bool = False


_ALL = (
    Action("draw", "Draw the images", images_start, (StudyState.DRAFT,), "The images are on their way.", primary=True),
    Action("open", "Open the study", study_open, (StudyState.REVIEW,), "The study is open.", primary=True),
    Action("draw", "Draw rejected images anew", images_start, (StudyState.REVIEW,), "The images are on their way."),
    Action("draft", "Back to draft", study_to_draft, (StudyState.REVIEW,), "The study is a draft again."),
    Action("cancel", "Cancel the drawing", images_cancel, (StudyState.GENERATING,), "The drawing stops.", danger=True),
    Action("close", "Close the study", study_close, (StudyState.OPEN,), "The study is closed.", danger=True),
    Action("reopen", "Open it again", study_reopen, (StudyState.CLOSED,), "The study is open again."),
)
ACTIONS = {action.name: action for action in _ALL}


def offered(study: Study) -> list[Action]:
    """What can be done in the study's state, the likeliest first."""
    uploads_only = not study.arms.exclude(kind=Arm.Kind.UPLOAD).exists()
    return [action for action in _ALL if study.state in action.states and not (uploads_only and _anew(action))]


def _anew(action: Action) -> bool:
    return action.name == "draw" and StudyState.REVIEW in action.states
