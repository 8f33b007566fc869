"""Requests to the REST API: who asks, trying again, and errors as exceptions."""

from __future__ import annotations

import json
import urllib.request
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3.util import Retry, Timeout

Document = dict[str, Any]

IDEMPOTENT = ("GET", "HEAD", "PUT", "DELETE")
TIMEOUT = Timeout(connect=10, read=60)
MOST_SECONDS_OF_WAITING = 90  # a minute's window of requests, and some


class ApiError(Exception):
    """The studio refused. `status`, `title` and `detail` are the problem's (RFC 9457); `errors`: field → message."""

    def __init__(self, status: int, title: str, detail: str, errors: dict[str, str] | None = None) -> None:
        self.status, self.title, self.detail, self.errors = status, title, detail, errors or {}
        wrong = [f"{field}: {message}" if field else message for field, message in self.errors.items()]
        super().__init__("\n  ".join([detail or title, *wrong]))


class Unreachable(Exception):
    """No answer, or none from a studio; the message says from where."""


class Http:
    """One studio and one token."""

    def __init__(self, url: str, token: str, *, tries: int = 5) -> None:
        """`url` as in http://127.0.0.1:8000. Raises ValueError where it is none."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise ValueError(f"“{url}” is not the address of a studio; right would be http://127.0.0.1:8000")
        if not token.isascii() or not token.isprintable():
            raise ValueError("the token holds characters that no token has; copy it again")
        self.url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/').removesuffix('/api/v1')}"
        self._headers = {"Authorization": f"Bearer {token}", "User-Agent": "simstudio"}
        self._pool = _pool(parts.scheme, parts.hostname)
        self._tries = tries
        self._known: dict[str, tuple[str, Any]] = {}

    def get(self, path: str, **query: Any) -> Any:
        """The JSON document at a path below /api/v1/. Parameters that are None are left out."""
        return _document(self.request("GET", _with(path, query)), self.url)

    def poll(self, path: str, **query: Any) -> tuple[Any, bool]:
        """The same, and whether it has changed since the last time; where it has not, it is not sent again."""
        address = _with(path, query)
        etag, known = self._known.get(address, ("", None))
        answer = self.request("GET", address, headers={"If-None-Match": etag} if etag else {})
        if answer.status == 304:
            return known, False
        self._known[address] = (answer.headers.get("ETag", ""), _document(answer, self.url))
        return self._known[address][1], True

    def create(self, path: str, body: Document) -> Any:
        """POST with an Idempotency-Key, so that trying again creates once."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        return _document(self.request("POST", path, body, headers=headers, again=True), self.url)

    def send(self, method: str, path: str, body: Document | None = None) -> Any:
        """Any other request with a JSON body; None where the answer is empty."""
        return _document(self.request(method, path, body), self.url)

    def request(
        self,
        method: str,
        path: str,
        body: Document | bytes | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        again: bool | None = None,
        stream: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """The answer to one request, tried again with growing pauses where the studio does not answer or is busy
        (429 and 503, whose Retry-After is honoured).

        again: whether a request that may have arrived can be sent once more (default: where the method allows it).
        stream: the body is left to be read. Raises ApiError, Unreachable.
        """
        given = self._headers | dict(headers or {})
        content = body
        if isinstance(body, dict):
            content, given["Content-Type"] = json.dumps(body).encode(), "application/json"
        try:
            answer = self._pool.request(
                method, f"{self.url}/api/v1/{path}", body=content, headers=given, timeout=TIMEOUT, redirect=False,
                retries=self._retries(method in IDEMPOTENT if again is None else again), preload_content=not stream,
            )  # fmt: skip
        except (urllib3.exceptions.HTTPError, UnicodeError) as error:
            raise Unreachable(f"{self.url} does not answer: {_reason(error)}") from None
        if answer.status >= 300 and answer.status != 304:
            raise _error(answer, self.url)
        return answer

    def _retries(self, again: bool) -> Retry:
        return Retry(
            total=self._tries - 1,
            # Only whether POST, PATCH are among them matters here; a connection that was refused is always tried again.
            allowed_methods=None if again else IDEMPOTENT,
            status_forcelist=(429, 503),
            raise_on_status=False,
            backoff_factor=0.25,
            retry_after_max=MOST_SECONDS_OF_WAITING,
        )


def _pool(scheme: str, host: str) -> urllib3.PoolManager:
    """Through the proxy that the environment names, if any."""
    proxy = urllib.request.getproxies().get(scheme)
    if proxy and not urllib.request.proxy_bypass(host):
        return urllib3.ProxyManager(proxy if "://" in proxy else f"http://{proxy}")
    return urllib3.PoolManager()


def _with(path: str, query: Mapping[str, Any]) -> str:
    given = {name: str(value).lower() if isinstance(value, bool) else value for name, value in query.items()}
    text = urlencode({name: value for name, value in given.items() if value is not None})
    return f"{path}?{text}" if text else path


def _document(answer: urllib3.BaseHTTPResponse, url: str) -> Any:
    if not answer.data:
        return None
    try:
        return json.loads(answer.data)
    except ValueError:
        raise Unreachable(f"{url} answers, but not as a SIM Studio does; is the address right?") from None


def _error(answer: urllib3.BaseHTTPResponse, url: str) -> Exception:
    if answer.status < 400:
        place = answer.headers.get("Location", "elsewhere").split("/api/v1/")[0]
        return Unreachable(f"{url} sends to {place}; use that address")
    try:
        problem = json.loads(answer.data)
        errors = {error["field"]: error["message"] for error in problem.get("errors", [])}
        return ApiError(answer.status, problem["title"], problem["detail"], errors)
    except (ValueError, KeyError, TypeError, AttributeError):
        return Unreachable(f"{url} answers {answer.status} {answer.reason or ''}, but not as a SIM Studio does")


def _reason(error: Exception) -> str:
    """The innermost cause, without urllib3's addresses of objects."""
    cause: Any = getattr(error, "reason", None) or error
    text = str(cause)
    return text.split(": ", 1)[1] if "object at 0x" in text or text.startswith("<") else text
