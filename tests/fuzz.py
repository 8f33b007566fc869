"""Schemathesis against a living studio: every operation of the OpenAPI document, all checks on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

from studio.environment import PROJECT
from tests.stack import Stack

SETTINGS = PROJECT / "tests" / "schemathesis.toml"
# The token that the requests carry must not fall to a guessed "DELETE /me/tokens/1".
TOKEN_ID = 777_777_777_777_777
# Settings of a studio that is to be fuzzed: nobody waits, and uploads that are only announced do not fill the disk.
FUZZED: dict[str, object] = {"api_requests_a_minute": 10**6, "upload_limit": 2**20}


def administrators_token(studio: Stack) -> str:
    """A token for everything, belonging to a person of its own; and a run that has recorded something."""
    return studio.manage(
        "from tests.fuzz_data import record_something; record_something(); "
        "from studio.accounts.models import AccessToken, User; "
        "from studio.accounts.tokens import token_create; "
        "user = User.objects.create_user('fuzz', role='administrator'); "
        "token, secret = token_create(user=user, name='fuzz', scope='admin'); "
        f"AccessToken.objects.filter(pk=token.pk).update(id={TOKEN_ID}); print(secret)"
    ).split()[-1]


def fuzz(
    studio: Stack, folder: Path, *, examples: int, phases: str = "all", paths: str = ""
) -> tuple[Counter[int], str]:
    """Run the tool; returns how many answers had each status, and what it printed. Asserts that it found nothing.

    paths: a regular expression of the addresses to ask, where not all.
    """
    report = folder / "report.har"
    base = f"http://127.0.0.1:{studio.port}"
    token = administrators_token(studio)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(SETTINGS), "run", f"{base}/api/v1/schema"),
        *("--header", f"Authorization: Bearer {token}", "--checks", "all", "--max-examples", str(examples)),
        *(
            "--seed",
            "1",
            # Python 3.11 fails now and then where two threads parse source at once, as the coverage phase does.
            "--workers",
            "1" if phases == "all" else "2",
            "--report",
            "har",
            "--report-har-path",
            str(report),
            "--output-truncate",
            "false",
        ),
        "--no-color",
    ]
    command += [] if phases == "all" else ["--phases", phases]
    command += ["--include-path-regex", paths] if paths else []
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-20_000:] + result.stderr[-2_000:]
    entries = json.loads(report.read_text())["log"]["entries"]
    return Counter(entry["response"]["status"] for entry in entries), result.stdout
