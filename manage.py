#!/usr/bin/env python
"""Django's command line. `manage.py up` starts the whole studio."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "studio.settings")
    from studio.environment import EnvironmentProblem

    try:
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)
    except EnvironmentProblem as problem:
        sys.exit(f"error: {problem}")
