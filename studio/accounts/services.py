"""Verbs on people. Raises PeopleError, whose message is for people."""

from __future__ import annotations

import secrets
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from studio.accounts.audit import audit_record
from studio.accounts.models import AccountLink, AuditAction, LinkPurpose, Role, User
from studio.accounts.secrets import digest_of, new_secret

LINK_DAYS = 7


class PeopleError(ValueError):
    """What was asked cannot be done to this person or link; the message says why."""


def first_administrator_create() -> str | None:
    """Create the user `admin` where nobody exists yet, and return the one-time password; None otherwise."""
    with transaction.atomic():
        if User.objects.exists():
            return None
        password = secrets.token_urlsafe(12)
        User.objects.create_superuser("admin", password=password, role=Role.ADMINISTRATOR, has_initial_password=True)
        return password


def person_set_role(person: User, role: Role, *, actor: User) -> None:
    """Give a person another role. Raises PeopleError where no administrator would be left."""
    with transaction.atomic():
        person = _locked(person)
        if person.role == role:
            return
        _keep_an_administrator(person, actor, "take your own role away")
        person.role = role
        person.save(update_fields=["role"])
        audit_record(AuditAction.ROLE, actor=actor.get_username(), subject=f"{person}: {role}")


def person_deactivate(person: User, *, actor: User) -> None:
    """Sign a person out everywhere and for good; what they made stays. Raises PeopleError."""
    with transaction.atomic():
        person = _locked(person)
        if not person.is_active:
            return
        _keep_an_administrator(person, actor, "deactivate yourself")
        person.is_active = False
        person.save(update_fields=["is_active"])
        audit_record(AuditAction.DEACTIVATED, actor=actor.get_username(), subject=str(person))


def person_reactivate(person: User, *, actor: User) -> None:
    """Let a person in again."""
    with transaction.atomic():
        person = _locked(person)
        if person.is_active:
            return
        person.is_active = True
        person.save(update_fields=["is_active"])
        audit_record(AuditAction.REACTIVATED, actor=actor.get_username(), subject=str(person))


def _locked(person: User) -> User:
    """The row, after every administrator's: two who demote each other at once must not both succeed."""
    list(User.objects.select_for_update().filter(role=Role.ADMINISTRATOR, is_active=True).order_by("pk"))
    return User.objects.select_for_update().get(pk=person.pk)


def _keep_an_administrator(person: User, actor: User, what: str) -> None:
    if person.pk == actor.pk:
        raise PeopleError(f"You cannot {what}; another administrator can.")
    others = User.objects.filter(role=Role.ADMINISTRATOR, is_active=True).exclude(pk=person.pk)
    if person.role == Role.ADMINISTRATOR and not others.exists():
        raise PeopleError(f"{person} is the last administrator.")


# ---- links


def invitation_create(*, role: Role, actor: User) -> tuple[AccountLink, str]:
    """A link that makes one account with that role, and its secret, shown once."""
    return _link_create(AuditAction.INVITED, actor, str(role), purpose=LinkPurpose.INVITE, role=role)


def reset_link_create(person: User, *, actor: User) -> tuple[AccountLink, str]:
    """A link by which a person chooses a new password; earlier ones of theirs stop working. Raises PeopleError."""
    if not person.is_active:
        raise PeopleError(f"{person} is deactivated; reactivate first.")
    with transaction.atomic():
        AccountLink.objects.filter(user=person, used_at__isnull=True).delete()
        return _link_create(AuditAction.RESET_LINK, actor, str(person), purpose=LinkPurpose.RESET, user=person)


def _link_create(action: AuditAction, actor: User, subject: str, **fields: object) -> tuple[AccountLink, str]:
    secret = new_secret()
    with transaction.atomic():
        link = AccountLink.objects.create(
            digest=digest_of(secret), created_by=actor, expires_at=timezone.now() + timedelta(days=LINK_DAYS), **fields
        )
        audit_record(action, actor=actor.get_username(), subject=subject)
    return link, secret


def invitation_withdraw(link: AccountLink, *, actor: User) -> None:
    """The link stops working."""
    with transaction.atomic():
        link.delete()
        audit_record(AuditAction.INVITATION_WITHDRAWN, actor=actor.get_username(), subject=link.role)


def link_find(secret: str) -> AccountLink | None:
    """The link with that secret while it works; None where it was used, has expired, or never was.

    It works no longer than its maker is an administrator.
    """
    makers = {"created_by__is_active": True, "created_by__role": Role.ADMINISTRATOR}
    living = AccountLink.objects.filter(used_at__isnull=True, expires_at__gt=timezone.now(), **makers)
    return living.select_related("user").filter(digest=digest_of(secret)).first()


def invitation_accept(link: AccountLink, *, username: str, password: str) -> User:
    """Make the account. Raises PeopleError where the name is taken or the link no longer works."""
    try:
        with transaction.atomic():
            _use(link)
            if User.objects.filter(username__iexact=username).exists():
                raise PeopleError("Somebody has this name already; choose another.")
            person = User.objects.create_user(username, password=password, role=link.role)
            audit_record(AuditAction.JOINED, actor=username, subject=link.role)
            return person
    except IntegrityError:
        raise PeopleError("Somebody has this name already; choose another.") from None


def password_reset(link: AccountLink, *, password: str) -> User:
    """Set the password of the link's person. Raises PeopleError where the link no longer works."""
    assert link.user is not None
    with transaction.atomic():
        _use(link)
        person = User.objects.select_for_update().get(pk=link.user.pk)
        person.set_password(password)
        person.has_initial_password = False
        person.save(update_fields=["password", "has_initial_password"])
        audit_record(AuditAction.PASSWORD, actor=person.get_username(), subject="by a link")
        return person


def _use(link: AccountLink) -> None:
    now = timezone.now()
    unused = AccountLink.objects.filter(pk=link.pk, used_at__isnull=True, expires_at__gt=now)
    if not unused.update(used_at=now):
        raise PeopleError("This link has been used or has expired; ask an administrator for a new one.")
