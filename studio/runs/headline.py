"""The figure by which a run is judged: its data set's first."""

from __future__ import annotations

from django.db.models import Case, Expression, OuterRef, QuerySet, Subquery, Value, When

from simcore.figures import POINT_SETS, Figure, figures_of
from studio.runs.models import Metric, Run


def headline_of(run: Run) -> Figure:
    """Of a run that comes with its teacher or data set."""
    return figures_of(run.measured_on)[0]


def with_headline(runs: QuerySet[Run]) -> QuerySet[Run]:
    """With `figure`: the newest value of each run's headline figure, or None."""
    images, points = figures_of("")[0].name, figures_of(POINT_SETS[0])[0].name
    of_points = When(teacher__card__dataset__in=POINT_SETS, then=Value(points))
    name: Expression = Case(of_points, default=Value(images))
    newest = Metric.objects.filter(run=OuterRef("pk"), name=OuterRef("headline_name"), superseded=False)
    return runs.annotate(headline_name=name).annotate(figure=Subquery(newest.order_by("-step").values("value")[:1]))
