"""What the settings of a process become: addresses, and how strict the archive is taken."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from liq_pipeline.cli import making
from liq_pipeline.orchestration.wiring import _resources, _served_at
from liq_pipeline.settings import load_settings


@pytest.mark.parametrize(
    ("host", "port", "served_at"),
    [
        ("127.0.0.1", 8000, ("127.0.0.1", 8000)), ("0.0.0.0", 8123, ("127.0.0.1", 8123)),
        ("::", 8123, ("127.0.0.1", 8123)), ("::1", 0, ("::1", 8000)), ("192.168.0.7", 8123, ("192.168.0.7", 8123)),
    ],
)  # fmt: skip
def test_the_page_is_linked_where_a_browser_of_this_machine_finds_it(host: str, port: int, served_at) -> None:
    assert _served_at(load_settings(serve_host=host, serve_port=port)) == served_at


@pytest.mark.parametrize("no_checksums", [False, True])
def test_checksums_are_needed_unless_the_settings_do_without(no_checksums: bool, tmp_path: Path) -> None:
    settings = load_settings(no_checksums=no_checksums, archive=str(tmp_path), data_dir=tmp_path)
    assert _resources(settings, None)["archive"].needs_checksums is not no_checksums


def test_the_ports_are_those_that_the_makefile_names(repository: Path) -> None:
    said = (repository / "Makefile").read_text()
    ui, page = (re.search(rf"{what} on http://127\.0\.0\.1:(\d+) \(PORT=N\)", said) for what in ("Dagster", "the page"))
    assert ui
    assert page
    assert inspect.signature(making.ui).parameters["port"].default == int(ui[1])
    assert load_settings().serve_port == int(page[1])
