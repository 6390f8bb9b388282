"""`liq ui` as a process: one per history, nothing left behind, and it says when a part of it has died."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from liq_pipeline.errors import INTERRUPTED_LINE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class Ui:
    """A running `liq ui`."""

    def __init__(self, data: Path, env: dict[str, str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.data, self.env = data, env
        self.process = self.start("--port", str(self.port), "--data", str(data))
        self.family: list[psutil.Process] = []

    def start(self, *options: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "liq_pipeline", "ui", *options], env=self.env, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip

    def wait_until_up(self) -> None:
        end = time.monotonic() + 120
        while time.monotonic() < end:
            assert self.process.poll() is None, self.process.communicate()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/server_info", timeout=5):
                    break
            except OSError:
                time.sleep(0.2)
        self.family = psutil.Process(self.process.pid).children(recursive=True)
        assert len(self.family) >= 3

    def part(self, name: str) -> psutil.Process:
        return next(one for one in self.family if name in " ".join(one.cmdline()[:4]))

    def ended(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=120)
        _, alive = psutil.wait_procs(self.family, timeout=10)
        for one in alive:
            one.kill()
        assert not alive, f"left behind: {alive}"
        return self.process.returncode, out, err


@pytest.fixture
def opened(tmp_path: Path, child_env, make_settings):
    """Open a UI on the simulated exchange."""
    settings = make_settings()
    env = child_env(**{k: v for k, v in settings.as_environment().items() if k.startswith("LIQ_")})
    ui = Ui(settings.data_dir, env)
    ui.wait_until_up()
    yield ui
    for one in (psutil.Process(ui.process.pid), *ui.family) if ui.process.poll() is None else ui.family:
        if one.is_running():
            one.kill()


def test_another_one_is_refused_and_ctrl_c_leaves_nothing_behind(opened: Ui, tmp_path: Path) -> None:
    second = opened.start("--port", "3999", "--data", str(opened.data))
    _, said = second.communicate(timeout=60)
    assert second.returncode == 2
    assert f"is open already: process {opened.process.pid}, http://127.0.0.1:{opened.port}" in said

    elsewhere = opened.start("--port", str(opened.port), "--data", str(tmp_path / "other"))
    out, said = elsewhere.communicate(timeout=60)
    assert elsewhere.returncode == 2
    assert f"port {opened.port} of 127.0.0.1 is in use" in said
    assert "To do: --port N" in said
    assert "http://" not in out

    opened.process.send_signal(signal.SIGINT)
    code, _, err = opened.ended()
    assert code == 130
    assert "Traceback" not in err
    assert err.splitlines()[-1] == INTERRUPTED_LINE
    assert not (opened.data / "dagster_home" / ".ui.json").exists()


def test_sigterm_ends_it_with_0_and_leaves_nothing_behind(opened: Ui) -> None:
    opened.process.send_signal(signal.SIGTERM)

    assert opened.ended()[0] == 0


@pytest.mark.parametrize("name", ["dagster_webserver", "dagster._daemon"])
def test_when_a_part_dies_the_others_are_stopped_and_the_exit_code_says_so(opened: Ui, name: str) -> None:
    opened.part(name).kill()

    code, _, err = opened.ended()

    assert code == 1
    assert "died, and the other was stopped" in err
    assert "Traceback" not in err


def test_killed_it_takes_the_rest_along(opened: Ui) -> None:
    opened.process.kill()
    opened.process.wait()

    psutil.wait_procs(opened.family, timeout=90)

    assert not [one for one in opened.family if one.is_running()]


def test_who_holds_the_place_is_told_though_its_note_is_unreadable(opened: Ui) -> None:
    note = opened.data / "dagster_home" / ".ui.json"
    assert json.loads(note.read_text())["pid"] == opened.process.pid
    note.write_text("[")

    second = opened.start("--port", "3999", "--data", str(opened.data))

    assert "is open already: another process" in second.communicate(timeout=60)[1]
    opened.process.send_signal(signal.SIGINT)
    opened.ended()
