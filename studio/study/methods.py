"""The paragraph on methods and results, with the study's own numbers, as one would print it."""

from __future__ import annotations

from importlib.metadata import version

from studio.study.lifecycle import StudyState
from studio.study.results import Results
from studio.study.statistics.bootstrap import resamples_for
from studio.study.statistics.figures import NotEnough
from studio.study.statistics.summary import SideBias, Summary


def methods_paragraph(results: Results) -> str:
    """Plain text; every figure is the page's."""
    sentences = [*_design(results), *_outcome(results), *_checks(results)]
    libraries = ", ".join(f"{name} {version(name)}" for name in ("scipy", "statsmodels", "krippendorff"))
    return " ".join([*sentences, f"Computed with {libraries}."])


def _design(results: Results) -> list[str]:
    study, pairs = results.study, len(results.prompts)
    question = study.question.strip().rstrip(".")
    text = [
        f"Participants compared {_many(pairs, 'pair')} of images, one by {results.arm.label} and one by "
        f"{results.other.label} for the same prompt, shown side by side under the question “{question}”.",
        "Sides and order were drawn at random for each participant, sides balanced within participants and between "
        "consecutive ones; participants were not told which image came from where, and a person had approved every "
        "image before.",
        f"{_many(len(results.people), 'person', 'people')} gave consent and started, of "
        f"{study.participants_wanted} intended; "
        f"{sum(person.finished for person in results.people)} answered every pair. "
        "Votes of those who stopped early count.",
    ]
    if study.state == StudyState.OPEN:
        text.append("These are interim figures: the study is still open.")
    elif results.peeking:
        text.append(
            f"The study was closed with {results.finished} of {study.participants_wanted} intended participants who "
            "answered every pair and count."
        )
    return text


def _outcome(results: Results) -> list[str]:
    kept, tally = results.kept, results.kept.tally
    if not tally.votes:
        return ["No vote counts so far."]
    votes = f"{_many(tally.votes, 'vote')} of {_many(kept.participants, 'participant')}"
    text = [f"Of {votes}, {tally.wins} went to {results.arm.label} and {tally.losses} to {results.other.label}."]
    if results.study.no_preference:
        text.append(f"{tally.none} had no preference; they are split evenly in shares and left out of exact tests.")
    resamples = f"{resamples_for(kept.participants, len(kept.prompts)):,}"
    text += [
        f"The share of {results.arm.label} was {tally.percent} (95 % interval {_figure(kept.headline)}, percentile "
        f"bootstrap over participants and prompts, {resamples} resamples).",
        f"Taking votes as independent, Wilson's 95 % interval was {_figure(kept.wilson)} and the two-sided exact "
        f"binomial test gave {_figure(kept.test)}.",
        f"{_sides(kept.bias)}; Krippendorff's α (nominal) was {_figure(kept.agreement)}.",
    ]
    if kept.seconds is not None:
        text.append(f"The median time per pair was {kept.seconds:.1f} s.")
    return text


def _sides(bias: SideBias) -> str:
    if not bias.left.votes:
        return "Nobody had a preference, so none for a side"
    return (
        f"Of {_many(bias.left.votes, 'vote')} with a preference, {bias.left.percent} went to the left image "
        f"(95 % interval {_figure(bias.interval)}, Wilson; {_figure(bias.test)})"
    )


def _checks(results: Results) -> list[str]:
    """Figures of those who count: who failed the checks may be excluded for it."""
    text = []
    if excluded := results.excluded:
        reasons = "; ".join(f"participant {row.number}: {row.exclusion.reason}" for row in excluded if row.exclusion)
        text.append(
            f"{_many(len(excluded), 'participant was', 'participants were')} excluded ({reasons}). "
            f"With them, the share was {_with_interval(results.everyone)}."
        )
    else:
        text.append("Nobody was excluded.")
    if checks := [right for person in results.people if not person.exclusion for right in person.checks]:
        whose = " of those kept" if excluded else ""
        text.append(
            f"Of {_many(len(checks), 'attention check')}{whose}, {checks.count(True)} were answered as expected."
        )
    if results.corrections:
        text.append(f"Researchers corrected votes {_many(results.corrections, 'time')}; what was answered is kept.")
    return text


def _with_interval(summary: Summary) -> str:
    return f"{summary.tally.percent} (95 % interval {_figure(summary.headline)}; {summary.tally.votes} votes)"


def _figure(value: object) -> str:
    return f"not given ({value.why})" if isinstance(value, NotEnough) else str(value)


def _many(count: int, one: str, more: str = "") -> str:
    return f"{count:,} {one if count == 1 else more or one + 's'}"
