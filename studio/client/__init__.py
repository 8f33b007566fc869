"""A client for scripts, over the REST API. It needs neither Django nor torch.

from studio.client import Client

client = Client.signed_in()
run = client.run_create("digits-demo", name="L1", settings={"objective.distance": "l1"})
for news in client.follow(run["id"]):
    print(news.run["state"], news.run["step"])
"""

from studio.client.api import Client
from studio.client.credentials import NotSignedIn
from studio.client.download import DownloadFailed
from studio.client.follow import News
from studio.client.http import ApiError, Unreachable

__all__ = ["ApiError", "Client", "DownloadFailed", "News", "NotSignedIn", "Unreachable"]
