"""Posting to an address that a user chose, without letting it reach what only this machine can.

The name is resolved once, every address it has is checked, and the connection goes to the one that was checked, so that
a name cannot change its mind in between. Redirects are not followed.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import ipaddress
import socket
import ssl
import threading
from urllib.parse import SplitResult, urlsplit

TIMEOUT = 10.0  # seconds, to connect and for each read
DEADLINE = 30.0  # seconds for all of it: a server that drips bytes meets every other limit
_TUNNELS = tuple(ipaddress.ip_network(network) for network in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16"))


class WebhookRefused(ValueError):
    """The address may not be used; the message says why, for people."""


def check_url(url: str, *, private: bool) -> SplitResult:
    """The parts of an acceptable address. Raises WebhookRefused; resolves no name."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise WebhookRefused("This is not an address. It reads like https://example.org/hook.") from None
    schemes = ("https", "http") if private else ("https",)
    if parts.scheme not in schemes or not parts.hostname:
        start = " or ".join(f"{scheme}://" for scheme in schemes)
        raise WebhookRefused(f"The address must start with {start} and name a host.")
    if parts.username or parts.password:
        raise WebhookRefused("The address must not hold a password: the signature shows who calls.")
    if not url.isascii():
        raise WebhookRefused("Write the address in ASCII: a host name as xn--…, other letters as %C3%A9.")
    if port == 0 or any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
        raise WebhookRefused("The address holds a blank, a control character or the port 0.")
    return parts


def post(url: str, body: bytes, headers: dict[str, str], *, private: bool) -> int:
    """Send and return the status. Raises WebhookRefused, OSError, http.client.HTTPException."""
    parts = check_url(url, private=private)
    assert parts.hostname is not None
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = _address(parts.hostname, port, private=private)
    connection = http.client.HTTPConnection(parts.hostname, port, timeout=TIMEOUT)
    connection.sock = socket.create_connection((address, port), TIMEOUT)
    timer = threading.Timer(DEADLINE, _cut, (connection,))
    timer.start()
    try:
        if parts.scheme == "https":
            context = ssl.create_default_context()
            connection.sock = context.wrap_socket(connection.sock, server_hostname=parts.hostname)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        default = parts.port is None
        host = parts.hostname if ":" not in parts.hostname else f"[{parts.hostname}]"
        connection.request("POST", target, body, {**headers, "Host": host if default else f"{host}:{port}"})
        return connection.getresponse().status
    finally:
        timer.cancel()
        connection.close()


def _cut(connection: http.client.HTTPConnection) -> None:
    """Whoever reads from it finds its end."""
    with contextlib.suppress(OSError):
        connection.sock.shutdown(socket.SHUT_RDWR)


def _address(host: str, port: int, *, private: bool) -> str:
    try:
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):
        raise OSError(f"the name {host} cannot be resolved") from None  # it may come back
    if not private and any(not is_public(address) for address in found):
        raise WebhookRefused(f"{host} leads to a private address, which web hooks may not reach.")
    return found[0]


def is_public(address: str) -> bool:
    """Is it an address of the public internet, also beneath IPv6's ways of writing IPv4?"""
    ip = ipaddress.ip_address(address.split("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            return is_public(str(ip.ipv4_mapped))
        if any(ip in network for network in _TUNNELS):
            return False
    return ip.is_global and not ip.is_multicast


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 of "timestamp.body" under the secret, in hexadecimal."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
