"""`python -m studio.client`: the same as `simstudio`."""

from studio.client.main import main

main(prog_name="simstudio")
