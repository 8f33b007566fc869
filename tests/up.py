"""`manage.py up` as people start it: a process and its output."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil

from studio.environment import PROJECT
from tests.stack import wait_for

READY = re.compile(r"SIM Studio is ready: (http://\S+)/")
PASSWORD = re.compile(r"one-time password: (\S+)")


class Up:
    """One `manage.py up`; its output is in a file, so that it can be read while it runs."""

    def __init__(self, folder: Path, port: int, **variables: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SIMSTUDIO_")}
        environment |= {
            "SIMSTUDIO_DATA": str(folder),
            "SIMSTUDIO_PORT": str(port),
            "SIMSTUDIO_DEMO": "0",
            "DJANGO_SETTINGS_MODULE": "studio.settings",
        }
        self._environment = environment | variables
        self._output = folder.with_name(f"{folder.name}-output-{time.monotonic_ns()}")
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up"],
                cwd=PROJECT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def shell(self, code: str) -> str:
        """Run Python inside this studio's Django; returns what it printed."""
        command = [sys.executable, "manage.py", "shell", "--verbosity", "0", "-c", code]
        result = subprocess.run(
            command, cwd=PROJECT, env=self._environment, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    def wait_until_ready(self) -> None:
        wait_for(lambda: READY.search(self.output) or self.process.poll() is not None, 90, "the studio is ready")
        assert READY.search(self.output), self.output

    def family(self) -> list[psutil.Process]:
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def stop(self, number: int) -> float:
        """Send a signal and wait for the end; returns the seconds that took."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(60)
        return time.monotonic() - began
