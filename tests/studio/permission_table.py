"""Who may do what at which address. Every address of the studio stands here; a new one without a row fails a test.

The words are the least that is needed: "anyone", "viewer", "researcher", "owner" (a researcher whose thing it is, or
an administrator), "administrator". Methods that are not named are not served.
"""

from __future__ import annotations

PAGES = {
    "": {"get": "viewer", "post": "viewer", "put": "viewer", "patch": "viewer", "delete": "viewer"},  # redirects
    "sign-in/": {"get": "anyone", "post": "anyone"},
    "sign-out/": {"post": "anyone"},
    "password/": {"get": "viewer", "post": "viewer", "put": "viewer"},
    "link/<str:secret>/": {"get": "anyone", "post": "anyone"},
    "runs/": {"get": "viewer"},
    "runs/new/": {"get": "researcher", "post": "researcher"},
    "runs/estimate/": {"post": "researcher"},
    "runs/<id:pk>/": {"get": "viewer"},
    "runs/<id:pk>/actions/<str:action>/": {"post": "owner"},
    "runs/<id:pk>/samples/<id:sample>.png": {"get": "viewer"},
    "runs/<id:pk>/checkpoints/<id:checkpoint>/": {"get": "viewer"},
    "runs/<id:pk>/log/": {"get": "viewer"},
    "runs/<id:pk>/log/search/": {"get": "viewer"},
    "runs/<id:pk>/labels/": {"post": "owner"},
    "runs/<id:pk>/archive/": {"post": "owner"},
    "runs/<id:pk>/metrics.csv": {"get": "viewer"},
    "runs/<id:pk>/metrics.tfevents": {"get": "viewer"},
    "runs/compare/": {"get": "viewer"},
    "runs/groups/": {"get": "viewer"},
    "runs/groups/new/": {"get": "researcher", "post": "researcher"},
    "runs/groups/<id:pk>/": {"get": "viewer"},
    "runs/groups/<id:pk>/cancel/": {"post": "owner"},
    "studies/<id:pk>/results/": {"get": "viewer"},
    "studies/<id:pk>/export.csv": {"get": "viewer"},
    "studies/<id:pk>/export.json": {"get": "viewer"},
    "studies/<id:pk>/columns.csv": {"get": "viewer"},
    "studies/<id:pk>/participants/<id:number>/": {"get": "viewer"},
    "studies/<id:pk>/participants/<id:number>/exclude/": {"post": "owner"},
    "studies/<id:pk>/participants/<id:number>/restore/": {"post": "owner"},
    "studies/<id:pk>/votes/<id:vote>/correct/": {"post": "owner"},
    "workers/": {"get": "viewer"},
    "workers/<id:pk>/drain/": {"post": "administrator"},
    "workers/<id:pk>/undrain/": {"post": "administrator"},
    "workers/queue/<id:pk>/priority/": {"post": "owner"},  # who may let others go first, but not push ahead
    "workers/queue/<id:pk>/<str:action>/": {"post": "administrator"},
    "notifications/": {"get": "viewer", "post": "viewer"},  # one's own
    "notifications/test/": {"post": "viewer"},
    "notifications/secret/": {"post": "viewer"},
    "teachers/": {"get": "viewer"},
    "teachers/<id:pk>/": {"get": "viewer", "post": "owner"},
    "teachers/<id:pk>/delete/": {"post": "owner"},
    "teachers/<id:pk>/draw/": {"post": "researcher"},
    "teachers/<id:pk>/samples.png": {"get": "viewer"},
    "datasets/": {"get": "viewer"},
    "datasets/<id:pk>/": {"get": "viewer", "post": "owner"},
    "datasets/<id:pk>/delete/": {"post": "owner"},
    "datasets/<id:pk>/samples.png": {"get": "viewer"},
    "imports/": {"get": "viewer", "post": "researcher"},
    "imports/<id:pk>/": {"get": "viewer"},
    "imports/<id:pk>/actions/<str:action>/": {"post": "owner"},
    "imports/uploads/": {"post": "researcher"},
    "imports/uploads/<uuid:upload_id>/": {  # one's own; another's is not found
        "get": "researcher",
        "patch": "researcher",
        "delete": "researcher",
    },
    "imports/uploads/<uuid:upload_id>/discard/": {"post": "researcher"},
    "studies/<id:pk>/share/": {"get": "owner"},  # a link is a way in
    "studies/<id:pk>/share/open/": {"post": "owner"},
    "studies/<id:pk>/share/personal/": {"post": "owner"},
    "studies/<id:pk>/share/personal.csv": {"get": "owner"},
    "studies/<id:pk>/share/<id:link>/withdraw/": {"post": "owner"},
    "studies/<id:pk>/preview/": {"get": "viewer"},
    "studies/<id:pk>/images/<id:image>.png": {"get": "viewer"},
    "vote/<str:token>/": {"get": "anyone", "post": "anyone"},
    "vote/<str:token>/images/<uuid:key>.png": {"get": "anyone"},  # of one's own live trial; others are not found
    "metrics": {"get": "administrator"},  # or whoever shows the token for it
    "people/": {"get": "administrator"},
    "people/invite/": {"post": "administrator"},
    "people/invitations/<id:pk>/withdraw/": {"post": "administrator"},
    "people/<id:pk>/role/": {"post": "administrator"},
    "people/<id:pk>/password-link/": {"post": "administrator"},
    "people/<id:pk>/deactivate/": {"post": "administrator"},
    "people/<id:pk>/reactivate/": {"post": "administrator"},
    "people/audit/": {"get": "administrator"},
    "api/": {"get": "viewer", "post": "viewer"},
    "api/tokens/<id:pk>/revoke/": {"post": "viewer"},  # one's own; another's is not found
    "api/reference/": {"get": "viewer"},
}

API = {
    "schema": {"get": "viewer"},
    "presets": {"get": "viewer"},
    "teachers": {"get": "viewer"},
    "teachers/<id:pk>": {"get": "viewer"},
    "runs": {"get": "viewer", "post": "researcher"},
    "runs/<id:pk>": {"get": "viewer"},
    "runs/<id:pk>/actions/<str:action>": {"post": "owner"},
    "runs/<id:pk>/metrics": {"get": "viewer"},
    "runs/<id:pk>/samples": {"get": "viewer"},
    "runs/<id:pk>/samples/<id:sample_id>": {"get": "viewer"},
    "runs/<id:pk>/checkpoints": {"get": "viewer"},
    "runs/<id:pk>/checkpoints/<id:checkpoint_id>": {"get": "viewer"},
    "runs/<id:pk>/evaluations": {"get": "viewer"},
    "runs/<id:pk>/log": {"get": "viewer"},
    "me": {"get": "viewer"},
    "me/tokens": {"get": "viewer", "post": "viewer"},
    "me/tokens/<id:pk>": {"delete": "viewer"},  # one's own; another's is not found
    "people": {"get": "administrator"},
    "people/<id:pk>": {"get": "administrator", "patch": "administrator"},
    "people/<id:pk>/password-links": {"post": "administrator"},
    "invitations": {"get": "administrator", "post": "administrator"},
    "invitations/<id:pk>": {"delete": "administrator"},
    "audit": {"get": "administrator"},
}

TABLE = PAGES | {f"api/v1/{route}": methods for route, methods in API.items()}
