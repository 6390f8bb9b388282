"""Ports are taken before an address is printed; one that is in use is refused with what to do."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import urllib.request
from urllib.error import HTTPError

import pytest

from liq_pipeline.errors import SettingsError
from liq_pipeline.settings import Settings
from liq_pipeline.system.ports import take_port, web_address


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "http://127.0.0.1:80"), ("::1", "http://[::1]:80"), ("localhost", "http://localhost:80")],
)
def test_an_ipv6_address_stands_in_brackets(host: str, address: str) -> None:
    assert web_address(host, 80) == address


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_a_port_in_use_is_refused(host: str) -> None:
    (taken, *_) = sockets = take_port("127.0.0.1", 0)
    port = taken.getsockname()[1]

    with pytest.raises(SettingsError, match=rf"port {port} of {re.escape(host)} is in use.*To do: --port N"):
        take_port(host, port)

    for one in sockets:
        one.close()


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "a" * 70, "1.2.3"])
def test_a_host_that_is_not_this_machine_is_refused(host: str) -> None:
    with pytest.raises(SettingsError, match="To do: --host"):
        take_port(host, 0)


def test_a_free_port_is_the_same_at_every_address_of_the_host() -> None:
    sockets = take_port("localhost", 0)

    assert len({one.getsockname()[1] for one in sockets}) == 1
    for one in sockets:
        one.close()


OURS, OTHERS = "127.0.0.1", ("198.51.100.1", "203.0.113.1")


@pytest.mark.parametrize("found", [[OTHERS[0], OURS], [OURS, OTHERS[0]], [OTHERS[0], OURS, OTHERS[1]]], ids=str)
def test_of_several_addresses_those_are_listened_at_that_this_machine_has(found: list[str], monkeypatch) -> None:
    """As `localhost` on a machine without IPv6."""
    places = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in found]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: places)

    (one,) = take_port("localhost", 0)

    assert one.getsockname()[0] == OURS
    one.close()


def test_of_several_addresses_none_is_this_machine(monkeypatch) -> None:
    places = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in OTHERS]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: places)

    with pytest.raises(SettingsError, match="port 0 of localhost is not an address of this machine"):
        take_port("localhost", 0)


def test_serving_at_a_port_in_use_prints_no_address_and_exits_with_2(liq, good_run: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = liq("serve", "--data", good_run.data_dir, "--port", port)

    assert done.code == 2
    assert "http://" not in done.out
    assert f"port {port} of 127.0.0.1 is in use" in done.err
    assert "To do: --port N" in done.err


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("::1", r"\[::1\]"), ("[::1]", r"\[::1\]")])
def test_the_address_printed_is_the_one_that_answers_and_ctrl_c_is_one_line(
    host: str, shown: str, good_run: Settings, child_env
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "liq_pipeline", "serve", "--host", host, "--port", "0", "--data", good_run.data_dir],
        env=child_env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    line = process.stdout.readline()
    found = re.match(rf"(http://{shown}:\d+)/  serves ", line)
    assert found, line + process.stderr.read()
    with urllib.request.urlopen(f"{found[1]}/symbols", timeout=20) as answer:
        assert b"BTCUSDT" in answer.read()

    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)

    assert process.returncode == 130
    assert err.splitlines() == ["Interrupted. What was published before stays; run again to go on."]


def test_a_client_cannot_choose_the_address_that_it_is_counted_under(good_run: Settings, child_env) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "liq_pipeline", "serve", "--port", "0", "--data", good_run.data_dir],
        env=child_env(LIQ_SERVE_RATE_LIMIT="3/hour"), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        address = process.stdout.readline().split()[0]
        answers = []
        for number in range(5):
            asked = urllib.request.Request(f"{address}symbols", headers={"X-Forwarded-For": f"192.0.2.{number}"})
            try:
                with urllib.request.urlopen(asked, timeout=20) as answer:
                    answers.append(answer.status)
            except HTTPError as error:
                answers.append(error.code)
    finally:
        process.kill()
        process.communicate()

    assert answers == [200, 200, 200, 429, 429]
