from django.test import Client


def test_pages_render(client: Client, user, run) -> None:
    client.force_login(user)
    for url in (
        "/runs/",
        "/runs/new/",
        f"/runs/{run.pk}/",
        f"/api/v1/runs/{run.pk}/metrics?series=student_loss",
        f"/runs/{run.pk}/log/",
    ):
        response = client.get(url)
        assert response.status_code == 200, url
