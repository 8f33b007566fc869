"""The ablation's figure: the distance to the data against iterations."""

from __future__ import annotations

import io
import math
from pathlib import Path
from statistics import mean

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from simcore.ablation import Figures, Outcome
from simcore.checkpoint import write_atomically
from simcore.figures import Figure as FigureOfMerit

# Okabe and Ito's palette, told apart by every kind of colour vision; karras is dashed besides.
_STYLES = {
    "nowgt-lognormal": ("#0072B2", "-"),
    "nowgt-karras": ("#D55E00", "--"),
    "sidwgt-lognormal": ("#009E73", "-"),
    "sidwgt-karras": ("#CC79A7", "--"),
    "diff-instruct": ("#555555", "-."),
    "teacher": ("#000000", ":"),
}
_LABEL_GAP = 0.055  # between two labels, of the axes' height


def save_figure(
    out: Path, title: str, headline: FigureOfMerit, outcomes: list[Outcome], start: dict[str, Figures]
) -> None:
    """Write `figure.png` and `figure.svg`: a panel for SIM and one for SiD, Diff-Instruct and the teacher in both.

    Lines are means over the seeds, bands go from the lowest to the highest seed. The same figures give the same bytes.
    Raises OSError.
    """
    figure = Figure(figsize=(10.5, 4.8), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    name, headings = headline.name, ("SIM", "SiD")
    ends = [_panel(axes, heading, name, outcomes, start) for axes, heading in zip(panels, headings, strict=True)]
    for axes, values in zip(panels, ends, strict=True):  # once the common scale is known
        _label(axes, values)
    panels[0].set_ylabel(headline.help)
    figure.suptitle(title, fontsize="medium")
    with mpl.rc_context({"svg.hashsalt": "simcore", "svg.fonttype": "none"}):
        for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, dpi=110, metadata=metadata)
            write_atomically(out / f"figure.{kind}", buffer.getvalue())


def _panel(axes: Axes, heading: str, name: str, outcomes: list[Outcome], start: dict[str, Figures]) -> dict[str, float]:
    """Draw one objective's cells. Returns where each line ends, by its label."""
    axes.set_title(heading, loc="left")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(LogFormatter())  # 10, not 10¹
    axes.set_xlabel("iteration")
    axes.margins(x=0)
    axes.grid(visible=True, which="major", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    ends = {}
    for label, (colour, dashes) in _STYLES.items():
        cells = (f"{heading.lower()}-{label}", label)
        values = _by_iteration(name, [outcome for outcome in outcomes if outcome.cell.name in cells], start)
        if values:
            steps = list(values)
            averages = [mean(found) for found in values.values()]
            axes.plot(steps, averages, dashes, color=colour, marker=".", linewidth=1.6)
            lowest, highest = [min(v) for v in values.values()], [max(v) for v in values.values()]
            axes.fill_between(steps, lowest, highest, color=colour, alpha=0.15, linewidth=0)
            ends[label] = averages[-1]
    if "teacher" in start:
        ends["teacher"] = start["teacher"].values[name]
        axes.axhline(ends["teacher"], color=_STYLES["teacher"][0], linestyle=_STYLES["teacher"][1], linewidth=1)
    return ends


def _by_iteration(name: str, outcomes: list[Outcome], start: dict[str, Figures]) -> dict[int, list[float]]:
    """The seeds' figures of that name at each iteration; those of a run that failed end with it."""
    values: dict[int, list[float]] = {}
    if outcomes and "student" in start:
        values[0] = [start["student"].values[name]]
    for figures in sorted((f for o in outcomes for f in o.figures), key=lambda f: f.iteration):
        values.setdefault(figures.iteration, []).append(figures.values[name])
    return values


def _label(axes: Axes, ends: dict[str, float]) -> None:
    """Each line's name at its end, moved up where it would cover the one below."""
    low, high = (math.log(bound) for bound in axes.get_ylim())
    above = -math.inf
    for label, value in sorted(ends.items(), key=lambda item: item[1]):
        above = max((math.log(value) - low) / (high - low), above + _LABEL_GAP)
        axes.text(1.02, above, label, transform=axes.transAxes, color=_STYLES[label][0], va="center", fontsize="small")
