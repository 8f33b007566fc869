"""Why the catalogue says no. Each refusal carries a message for people and the HTTP status that fits it."""

from __future__ import annotations

from typing import Any


class Refused(ValueError):
    """Something that was asked for cannot be; the message says what and what would be right."""

    status = 422

    @property
    def facts(self) -> dict[str, Any]:
        """What a program may want to know beside the message."""
        return {}


class TooLarge(Refused):
    status = 413


class WrongType(Refused):
    status = 415


class NoSpace(Refused):
    status = 507


class Conflict(Refused):
    """It does not fit what is there: a duplicate, a use, an offset."""

    status = 409


class WrongOffset(Conflict):
    """`offset` is where the upload goes on."""

    def __init__(self, offset: int, given: int) -> None:
        super().__init__(f"{offset:,} bytes are here, so the upload goes on at offset {offset}, not {given}.")
        self.offset = offset

    @property
    def facts(self) -> dict[str, Any]:
        return {"offset": self.offset}


class InUse(Conflict):
    """It cannot be deleted; `users` name what uses it."""

    def __init__(self, title: str, users: list[str]) -> None:
        shown = ", ".join(users[:5]) + (f" and {len(users) - 5} more" if len(users) > 5 else "")
        super().__init__(f"{title} is used by {shown}: it cannot be deleted while they are there.")
        self.users = users

    @property
    def facts(self) -> dict[str, Any]:
        return {"used_by": self.users}
