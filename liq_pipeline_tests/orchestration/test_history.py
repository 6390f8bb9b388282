"""Dagster's history: what is wrong with its folder is said in words, with its path and what to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from liq_pipeline.errors import HistoryUnusable, SettingsError
from liq_pipeline.orchestration.history import dagster_instance
from liq_pipeline.settings import Settings


def _open(home: Path) -> None:
    with dagster_instance(home) as instance:
        instance.get_runs(limit=1)
        instance.all_asset_keys()


def _file(home: Path) -> Path:
    home.write_text("")
    return home


def _below_a_file(home: Path) -> Path:
    home.write_text("")
    return home / "inside"


def _config(text: str) -> Callable[[Path], Path]:
    def write(home: Path) -> Path:
        home.mkdir()
        (home / "dagster.yaml").write_bytes(text.encode("latin-1"))
        return home

    return write


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_file, "a file where a folder is needed"),
        (_below_a_file, "a part of the path is a file"),
        (lambda home: home / ("x" * 300), "the name is too long"),
        (lambda home: home / "a%20b", "'%' with two digits"),
        (lambda home: home / "a?b", "'%' with two digits, and '\\?'"),
        (_config("a: ["), "dagster.yaml cannot be read"),
        (_config("nonsense: 3"), 'dagster.yaml cannot be read: .*"nonsense"'),
        (_config("\xff\xfe"), "dagster.yaml cannot be read"),
        (_config("telemetry: [1, 2]"), "dagster.yaml cannot be read"),
    ],
)
def test_a_folder_that_cannot_be_used_is_named_with_what_to_do(make, said: str, tmp_path: Path) -> None:
    home = make(tmp_path / "home")

    with pytest.raises(SettingsError, match=said) as refused:
        _open(home)

    assert str(tmp_path / "home") in str(refused.value)
    assert refused.value.remedy


@pytest.mark.parametrize("name", ["100%", "a%b", "[red]", "a b", "ä", "a#b", "a'b", "~x"])
def test_an_odd_name_is_no_obstacle(name: str, tmp_path: Path) -> None:
    _open(tmp_path / name)

    assert (tmp_path / name / "history" / "runs.db").exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"not a database, and long enough to be read as one" * 200),
        lambda path: path.write_bytes(path.read_bytes()[:6000]),
        lambda path: (path.unlink(), path.mkdir()),
    ],
    ids=["garbage", "cut off", "a folder"],
)
@pytest.mark.parametrize("file", ["history/runs.db", "history/runs/index.db"])
def test_a_damaged_history_is_named_with_what_to_do(damage, file: str, good_run: Settings, tmp_path: Path) -> None:
    home = shutil.copytree(good_run.home, tmp_path / "home")
    damage(home / file)

    with pytest.raises(HistoryUnusable, match=r"history in .* cannot be") as refused:
        _open(home)

    assert str(home) in str(refused.value)
    assert "run again" in refused.value.remedy


def test_a_run_with_a_bad_home_ends_with_2_and_no_traceback(
    liq, run_options, exchange, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "a%20b"))

    done = liq("run", *run_options(exchange, tmp_path / "data"))

    assert done.code == 2
    assert str(tmp_path / "a%20b") in done.err
    assert "Traceback" not in done.err
