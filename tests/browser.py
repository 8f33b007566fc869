"""The browser that tests drive: found, or said in one line how to get one."""

from __future__ import annotations

import os
import shutil
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]
ADVICE = "The browser tests need Chromium: install it (Debian: apt-get install chromium) or set CHROMIUM to its path."


def find_chromium() -> str | None:
    """The path of a Chromium: $CHROMIUM, else the first on the PATH."""
    return next(
        (path for name in (os.environ.get("CHROMIUM", ""), *NAMES) if name and (path := shutil.which(name))), None
    )


if __name__ == "__main__":
    sys.exit(None if find_chromium() else ADVICE)
