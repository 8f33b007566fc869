"""Runs side by side."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET

from studio.common.permissions import may_view, require
from studio.runs.comparison import comparison, find_runs, read_ids
from studio.runs.services import RunRefused


@require_GET
def compare_runs(request: HttpRequest) -> HttpResponse:
    """`?runs=1,2,3`; the step, the range and the smoothing stand in the address too."""
    require(may_view(request.user), "look at runs")
    asked = request.GET.getlist("runs")
    try:
        ids = read_ids(asked)
        runs = find_runs(ids)
    except RunRefused as refusal:
        return render(request, "runs/compare_refused.html", {"reason": str(refusal)}, status=422)
    address = ",".join(map(str, ids))
    if asked != [address]:  # one address for one comparison, fit to be shared
        query = request.GET.copy()
        query["runs"] = address
        return redirect(f"{reverse('runs:compare')}?{query.urlencode(safe=',')}")
    return render(request, "runs/compare.html", {"ids": address, **comparison(runs)})
