"""The long demonstrations in a browser use the browser tests' studio."""

from tests.e2e.conftest import browser, context, page, studio

__all__ = ["browser", "context", "page", "studio"]
