"""Addresses of secret links."""

from __future__ import annotations

from django.http import HttpRequest
from django.urls import reverse


def link_address(request: HttpRequest, secret: str) -> str:
    """The whole address, to be sent to somebody."""
    return request.build_absolute_uri(reverse("link", args=(secret,)))
