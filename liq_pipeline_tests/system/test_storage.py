"""A disk that refuses: full, read-only, a file in the way. Typed, with path and what to do; nothing good is lost."""

from __future__ import annotations

import errno
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from liq_pipeline.errors import OutOfMemory, SettingsError, StorageFailed
from liq_pipeline.settings import Settings
from liq_pipeline.system import storage
from liq_pipeline.system.storage import check_writable, writing, written_whole
from liq_pipeline.warehouse.warehouse import Warehouse
from liq_pipeline_tests.once import once


class TestWrittenWhole:
    def test_a_file_is_replaced_at_the_end_and_its_folder_is_made(self, tmp_path: Path) -> None:
        path = tmp_path / "made" / "file"
        for content in ("old", "new"):
            with written_whole(path) as draft:
                draft.write_text(content)
                assert not path.exists() or path.read_text() == "old"
            assert path.read_text() == content
        assert [found.name for found in path.parent.iterdir()] == ["file"]

    def test_an_error_leaves_the_old_file_and_no_draft(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("old")
        with suppress(KeyboardInterrupt), written_whole(tmp_path / "file") as draft:
            draft.write_text("half of the n")
            raise KeyboardInterrupt
        assert {found.name: found.read_text() for found in tmp_path.iterdir()} == {"file": "old"}

    def test_a_file_is_flushed_before_it_gets_its_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        done: list[str] = []
        sync, replace = storage.sync, Path.replace
        monkeypatch.setattr(storage, "sync", lambda path: (done.append(f"flushed {path.name}"), sync(path)))
        monkeypatch.setattr(Path, "replace", lambda path, to: (done.append(f"renamed {path.name}"), replace(path, to)))

        storage.write_whole(tmp_path / "file", b"new")

        assert done == ["flushed .file.tmp", "renamed .file.tmp"]

    def test_nobody_else_flushes_files_or_names_drafts(self) -> None:
        package = Path(storage.__file__).parents[1]
        texts = {str(path.relative_to(package)): path.read_text(encoding="utf-8") for path in package.rglob("*.py")}
        assert {name for name, text in texts.items() if "os.fsync" in text or '.tmp"' in text} == {
            "system/storage.py",
            "exchange/recorded.py",  # removes the drafts of a recorder that was killed
        }


class TestWriting:
    def test_a_full_disk_is_named_with_the_place_that_was_written(self) -> None:
        with (
            pytest.raises(
                StorageFailed, match=r"/data/raw cannot be used: the disk is full.*To do: make room"
            ) as failed,
            writing("/data/raw"),
            Path("/dev/full").open("wb") as full,
        ):
            full.write(b"x" * 100_000)
        assert isinstance(failed.value.__cause__, OSError)

    def test_a_file_in_the_way_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "raw").write_text("")

        said = f"{tmp_path}/raw/x cannot be used: a part of the path is a file"
        with pytest.raises(StorageFailed, match=said), writing(tmp_path):
            (tmp_path / "raw" / "x").mkdir()

    @pytest.mark.parametrize(
        "error", [ValueError("x"), ConnectionRefusedError(111, "refused"), OSError("of a library")]
    )
    def test_what_is_not_about_the_disk_stays_what_it_is(self, error: Exception) -> None:
        with pytest.raises(type(error)), writing("/x"):
            raise error


class TestCheckWritable:
    def test_where_no_folder_can_be_made_another_place_is_asked_for(self) -> None:
        with pytest.raises(
            SettingsError, match=r"/proc/x/y cannot be used: no folder can be made there.*another place"
        ):
            check_writable(Path("/proc/x/y"))

    def test_a_disk_that_is_full_before_a_file_is_there_is_said_to_be(self, tmp_path: Path, monkeypatch) -> None:
        def refuse(path: Path, content: bytes) -> None:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))

        monkeypatch.setattr(Path, "write_bytes", refuse)
        with pytest.raises(StorageFailed, match="full"):
            check_writable(tmp_path)

    def test_a_folder_is_made_and_left_empty(self, tmp_path: Path) -> None:
        check_writable(tmp_path / "a" / "b")

        assert not list((tmp_path / "a" / "b").iterdir())

    @pytest.mark.parametrize("name", ["file", "file/inside", "x" * 300, "loop"])
    def test_what_cannot_be_one_is_refused(self, name: str, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        (tmp_path / "loop").symlink_to(tmp_path / "loop")

        with pytest.raises(SettingsError, match=r"cannot be used: .*To do: choose another"):
            check_writable(tmp_path / name)

    @pytest.mark.parametrize("command", [["run"], ["recent"], ["demo"], ["ui"], ["ui", "--demo"], ["coin-m"]])
    def test_every_command_that_writes_asks_first(self, command: list[str], liq, tmp_path: Path, monkeypatch) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("LIQ_REST", "http://127.0.0.1:1")

        done = liq(*command, "--data", tmp_path / "file" / "data")

        assert done.code == 2
        assert f"{tmp_path}/file/data cannot be used: a part of the path is a file" in done.err
        assert len(done.err.splitlines()) == 1


class TestARunOnADiskThatRefuses:
    """A limit on the size of files stands for the disk: it needs no rights to be set up, and strikes every writer."""

    @pytest.mark.slow
    @pytest.mark.parametrize("kilobytes", [16, 300, 2000])
    def test_it_ends_with_1_and_tells_what_to_do(
        self, kilobytes: int, own_run: Settings, bytes_below, child_env
    ) -> None:
        before = bytes_below(own_run.published_dir)
        (own_run.raw_dir / "manifest").rename(own_run.raw_dir / "old")  # so that there is something to write
        ours = {k: v for k, v in own_run.as_environment().items() if k.startswith(("LIQ_", "DAGSTER_"))}

        def limit() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * 1000, kilobytes * 1000))

        done = subprocess.run(
            [sys.executable, "-m", "liq_pipeline", "run"], env=child_env(**ours), preexec_fn=limit, capture_output=True,
            text=True, check=False,
        )  # fmt: skip

        said = done.stdout + done.stderr
        assert done.returncode == 1, said
        assert "Traceback" not in said
        assert "To do: " in said
        assert str(own_run.data_dir) in said
        after = bytes_below(own_run.published_dir)
        assert {name: after[name] for name in before if name.endswith("levels.parquet")} == {
            name: data for name, data in before.items() if name.endswith("levels.parquet")
        }


def test_too_little_memory_is_named_with_the_setting(warehouse: Warehouse) -> None:
    small = warehouse.model_copy(update={"memory_limit": "10MB"})

    with pytest.raises(OutOfMemory, match="To do: raise LIQ_MEMORY_LIMIT"):
        once(small).sql("SELECT i, array_agg(range) FROM range(3000000), range(3) t(i) GROUP BY i")
