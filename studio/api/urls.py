from django.urls import path

import studio.common.addresses  # noqa: F401  # the converter "id"
from studio.api import catalog, document, people, records, runs, training

app_name = "api"
urlpatterns = [
    path("schema", document.Document.as_view(), name="schema"),
    path("presets", catalog.Presets.as_view(), name="presets"),
    path("teachers", catalog.Teachers.as_view(), name="teachers"),
    path("teachers/train", training.TrainTeacher.as_view(), name="train-teacher"),
    path("teachers/<id:pk>", catalog.TeacherOne.as_view(), name="teacher"),
    path("runs", runs.Runs.as_view(), name="runs"),
    path("runs/<id:pk>", runs.RunOne.as_view(), name="run"),
    path("runs/<id:pk>/actions/<str:action>", runs.RunActions.as_view(), name="run-action"),
    path("runs/<id:pk>/metrics", records.RunMetrics.as_view(), name="run-metrics"),
    path("runs/<id:pk>/samples", records.RunSamples.as_view(), name="run-samples"),
    path("runs/<id:pk>/samples/<id:sample_id>", records.SampleFile.as_view(), name="sample"),
    path("runs/<id:pk>/checkpoints", records.RunCheckpoints.as_view(), name="run-checkpoints"),
    path("runs/<id:pk>/checkpoints/<id:checkpoint_id>", records.CheckpointFile.as_view(), name="checkpoint"),
    path("runs/<id:pk>/evaluations", records.RunEvaluations.as_view(), name="run-evaluations"),
    path("runs/<id:pk>/log", records.LogFile.as_view(), name="run-log"),
    path("me", people.Me.as_view(), name="me"),
    path("me/tokens", people.Tokens.as_view(), name="tokens"),
    path("me/tokens/<id:pk>", people.TokenOne.as_view(), name="token"),
    path("people", people.People.as_view(), name="people"),
    path("people/<id:pk>", people.PersonOne.as_view(), name="person"),
    path("people/<id:pk>/password-links", people.PasswordLinks.as_view(), name="password-links"),
    path("invitations", people.Invitations.as_view(), name="invitations"),
    path("invitations/<id:pk>", people.InvitationOne.as_view(), name="invitation"),
    path("audit", people.Audit.as_view(), name="audit"),
]
