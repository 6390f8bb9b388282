"""This machine itself is never asked through a proxy: one elsewhere would look for itself."""

from __future__ import annotations

import os
from ipaddress import ip_address
from urllib.parse import urlsplit

_HERE = ("localhost", "127.0.0.1", "127.0.0.0/8", "::1")


def is_this_machine(url: str) -> bool:
    """Tell whether a URL names this machine itself: localhost, 127.0.0.0/8, ::1, or the address that means any."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified


def exempt_this_machine() -> None:
    """Tell libraries whose sessions are not ours (Apprise, gRPC, what we start): no proxy for this machine itself."""
    names = [f"{kind}_proxy" for kind in ("http", "https", "all")]
    if not any(os.environ.get(name) or os.environ.get(name.upper()) for name in names):
        return
    known = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    names = [name.strip() for name in known.split(",") if name.strip()]
    if "*" not in names:
        names += [name for name in _HERE if name not in names]
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(names)
