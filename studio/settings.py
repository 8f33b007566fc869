"""Django settings. Everything that differs between installations comes from `studio.environment`."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

import dj_database_url
from csp.constants import NONE, SELF

from studio.common.log_context import logging_settings
from studio.environment import PROJECT, load_environment, secret_key

ENVIRONMENT = load_environment()
DATA = ENVIRONMENT.data
RUNS_FOLDER = DATA / "runs"

SECRET_KEY = secret_key(ENVIRONMENT)
DEBUG = ENVIRONMENT.debug
ALLOWED_HOSTS = ENVIRONMENT.allowed_hosts

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "channels",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "django_vite",
    "csp",
    "studio.accounts",
    "studio.api",
    "studio.catalog",
    "studio.jobs",
    "studio.pool",
    "studio.runs",
    "studio.study",
    "studio.notifications",
    "studio.common",
    "studio.operations",
]

MIDDLEWARE = [
    "studio.operations.middleware.health",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "studio.operations.middleware.requests",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "studio.accounts.audit.audit_address",
]

ROOT_URLCONF = "studio.urls"
ASGI_APPLICATION = "studio.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [PROJECT / "frontend" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "studio.common.permissions.rights",
            ],
        },
    },
]

# Each request has a thread of its own under ASGI, so that persistent connections would only pile up.
DATABASES: dict[str, Any] = {
    "default": dj_database_url.parse(
        ENVIRONMENT.database_url or f"sqlite:///{DATA / 'studio.sqlite3'}", conn_max_age=0, conn_health_checks=True
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # Without WAL and immediate transactions, concurrent writers meet "database is locked".
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 30,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    # Of each process; requests beyond wait. PostgreSQL itself takes 100 unless told otherwise.
    DATABASES["default"].setdefault("OPTIONS", {})["pool"] = {"min_size": 1, "max_size": 30, "timeout": 10}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "runs:list"
LOGOUT_REDIRECT_URL = "sign-in"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [ENVIRONMENT.redis_address(2)], "prefix": "simstudio"},
    }
}

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = PROJECT / "frontend" / "dist"
DJANGO_VITE = {"default": {"manifest_path": STATIC_ROOT / "manifest.json"}}

CSRF_FAILURE_VIEW = "studio.study.voting.csrf_failure"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = ENVIRONMENT.https
if ENVIRONMENT.https:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    CSRF_TRUSTED_ORIGINS = [f"https://{host}" for host in ALLOWED_HOSTS if host != "*"]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "studio.api.authentication.BearerToken",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["studio.api.authentication.ActiveWithinScope"],
    "DEFAULT_THROTTLE_CLASSES": ["studio.api.limits.RequestsAMinute"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["studio.api.parsing.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "studio.api.schema.EndpointSchema",
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "studio.api.problems.handle",
}
API_REQUESTS_A_MINUTE = ENVIRONMENT.api_requests_a_minute
SPECTACULAR_SETTINGS = {
    "TITLE": "SIM Studio",
    "VERSION": "1",
    "DESCRIPTION": "Everything that the browser does. Errors are RFC 9457 problems; lists come in pages.",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "studio.api.schema.close_bodies",
    ],
    "ENUM_ADD_EXPLICIT_BLANK_NULL_CHOICE": False,
    "ENUM_NAME_OVERRIDES": {
        "StateEnum": "studio.jobs.lifecycle.JobState",
        "WorkerStateEnum": "studio.api.pool.WORKER_STATES",
        "DeliveryStateEnum": "studio.notifications.models.Delivery.State",
        "RunKindEnum": "studio.api.runs.KINDS",
        "GroupKindEnum": "studio.runs.models.RunGroup.Kind",
        "StudyStateEnum": "studio.study.lifecycle.StudyState",
        "ArmKindEnum": "studio.study.models.Arm.Kind",
        "ReviewEnum": "studio.study.models.Image.Review",
    },
}
# The interactive reference's own files come from a package.
WHITENOISE_USE_FINDERS = True
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": ENVIRONMENT.redis_address(3),
        "KEY_PREFIX": "simstudio",
    }
}

UPLOAD_LIMIT = ENVIRONMENT.upload_limit
IMPORT_FOLDER = ENVIRONMENT.import_folder
QUEUED_LIMIT = ENVIRONMENT.queued_limit
WEBHOOK_PRIVATE = ENVIRONMENT.webhook_private
PUBLIC_URL = ENVIRONMENT.public_url.rstrip("/")
EMAIL_CONFIGURED = bool(ENVIRONMENT.email_url)
if EMAIL_CONFIGURED:
    _mail = urlsplit(ENVIRONMENT.email_url)
    EMAIL_HOST, EMAIL_PORT = _mail.hostname, _mail.port or (465 if _mail.scheme == "smtps" else 587)
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = unquote(_mail.username or ""), unquote(_mail.password or "")
    EMAIL_USE_SSL, EMAIL_USE_TLS = _mail.scheme == "smtps", _mail.scheme == "smtp+tls"
    EMAIL_TIMEOUT = 20
    DEFAULT_FROM_EMAIL = SERVER_EMAIL = ENVIRONMENT.email_from
LEASE_SECONDS = ENVIRONMENT.lease_seconds
RING_SECONDS = ENVIRONMENT.ring_seconds
STALL_SECONDS = ENVIRONMENT.stall_seconds
STOP_SECONDS = ENVIRONMENT.stop_seconds
DISK_RESERVE = int(ENVIRONMENT.disk_reserve * 2**30)
HEARTBEAT_SECONDS = 5.0
# A worker silent this long is shown as lost: four heartbeats missed.
LOST_SECONDS = 20.0
# A run that is interrupted this often without a new checkpoint between is failed, not tried again.
MAX_INTERRUPTIONS = 5

LOGGING = logging_settings(ENVIRONMENT.log)
