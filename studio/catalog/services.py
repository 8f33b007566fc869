"""Verbs on the catalogue."""

from __future__ import annotations

from simcore.teacher_card import bundled_references, read_card
from studio.catalog.models import Teacher


def bundled_teachers_register() -> None:
    """Enter the teachers that ship with simcore, or bring their entries up to date."""
    for reference in bundled_references():
        card = read_card(reference)
        Teacher.objects.update_or_create(
            reference=reference,
            defaults={
                "title": card.title,
                "description": card.description,
                "card": card.model_dump(mode="json"),
            },
        )
