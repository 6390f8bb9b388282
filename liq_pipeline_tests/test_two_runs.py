"""Two runs at once, as two people or a schedule and a person would start them."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_two_runs_on_one_data_folder_both_finish_and_publish_what_one_would(
    exchange, good_run, run_options, bytes_below, child_env, tmp_path: Path
) -> None:
    liq = Path(sys.executable).with_name("liq")
    command = [liq, "run", *run_options(exchange, tmp_path / "data", pictures=True)]
    started = [
        subprocess.Popen(command, env=child_env(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=240)[0] for process in started]

    assert [process.returncode for process in started] == [0, 0], "\n".join(outputs)
    # Two folders may fetch in any order, but no file twice.
    fetched = [int(output.strip().splitlines()[-2].split()[0]) for output in outputs]
    assert sum(fetched) == 20
    assert bytes_below(tmp_path / "data" / "published") == bytes_below(good_run.published_dir)
