"""Secrets that are shown once and kept as a hash."""

from __future__ import annotations

import hashlib
import secrets


def new_secret(prefix: str = "") -> str:
    """256 random bits, readable in an address."""
    return prefix + secrets.token_urlsafe(32)


def digest_of(secret: str) -> str:
    """SHA-256, hex. Enough for 256 random bits; passwords need more."""
    return hashlib.sha256(secret.encode()).hexdigest()
