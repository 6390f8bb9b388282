"""How the outside is reached: the one place where sessions are made, and where proxies are heeded or not.

Proxies come from the environment, as everywhere: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, in either case. This
machine itself is never asked through one: a proxy elsewhere would look for itself.
"""

from __future__ import annotations

import socket
import threading
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy
from urllib3.util import Retry

from liq_pipeline.errors import SettingsError
from liq_pipeline.system.proxies import is_this_machine

PROBE_SECONDS = 2.0
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443, "socks": 1080}


def open_session(retry: Retry, session: requests.Session | None = None) -> requests.Session:
    """Return a session, or prepare the one given, that knows what may go through a proxy.

    Args:
        retry: what is tried again before a body is read.
        session: of a class of its own, such as one that limits the rate.
    """
    session = session or requests.Session()
    for scheme in ("https://", "http://"):
        session.mount(scheme, _Door(max_retries=retry))
    return session


class _Door(HTTPAdapter):
    """Every request, redirected ones included, leaves through here.

    Raises:
        SettingsError: the proxy in the environment cannot be used.
    """

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        url = request.url or ""
        if is_this_machine(url):
            kwargs["proxies"] = {}
        elif proxy := select_proxy(url, kwargs.get("proxies")):
            _refuse_unusable(proxy, "socks", "PySocks")
        return super().send(request, *args, **kwargs)


def through_proxy(url: str) -> str:
    """Return ' through the proxy …' if a URL is asked for that way, else nothing; without the proxy's password."""
    proxy = _proxy_of(url)
    return f" through the proxy {_shown(proxy)}" if proxy else ""


def socket_proxy(url: str) -> str | None:
    """Return the proxy to reach a websocket through, or None; the same as for the page beside it.

    Raises:
        SettingsError: it cannot be used.
    """
    if proxy := _proxy_of(url.replace("ws", "http", 1)):
        _refuse_unusable(proxy, "python_socks", "python-socks")
        return _with_scheme(proxy)
    return None


def why_unreachable(url: str, seconds: float = PROBE_SECONDS) -> str:
    """Return why nobody takes a connection at a URL (or at the proxy that leads there); empty if somebody does.

    Asked before long work: a name that is not resolved can hold up a request for half a minute.
    """
    if proxy := _proxy_of(url):
        _refuse_unusable(proxy, "socks", "PySocks")
    parts = urlsplit(_with_scheme(proxy) if proxy else url)
    scheme = "socks" if parts.scheme.startswith("socks") else parts.scheme
    place = (parts.hostname or "", parts.port or _DEFAULT_PORTS.get(scheme, 80))
    said: list[str] = []

    def knock() -> None:
        try:
            socket.create_connection(place, timeout=seconds).close()
            said.append("")
        except TimeoutError:
            pass
        except OSError as error:
            said.append(error.strerror or str(error))
        except UnicodeError:
            said.append("not the name of a host")

    # In a thread of its own, which is left behind: nothing else bounds the time that resolving a name takes.
    knocking = threading.Thread(target=knock, daemon=True)
    knocking.start()
    knocking.join(seconds + 0.2)
    return said[0] if said else f"no answer within {seconds:g} s"


def _proxy_of(url: str) -> str | None:
    return None if is_this_machine(url) else select_proxy(url, get_environ_proxies(url))


def _with_scheme(proxy: str) -> str:
    return proxy if "://" in proxy else f"http://{proxy}"


def _shown(proxy: str) -> str:
    """Return a proxy's address without name and password."""
    scheme, _, rest = _with_scheme(proxy).partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _refuse_unusable(proxy: str, module: str, package: str) -> None:
    where = f"the proxy {_shown(proxy)} in the environment (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY)"
    try:
        parts = urlsplit(_with_scheme(proxy))
        usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or parts.scheme.lower() not in ("http", "https", "socks4", "socks4a", "socks5", "socks5h"):
        raise SettingsError(
            f"{where} cannot be used", expected="http://host:port or socks5://host:port", remedy="correct or unset it"
        )
    if parts.scheme.lower().startswith("socks") and find_spec(module) is None:
        raise SettingsError(
            f"{where} speaks SOCKS, for which {package} is needed, and it is not installed",
            remedy="install the extra: .venv/bin/pip install -e '.[socks]'; or unset the proxy",
        )
