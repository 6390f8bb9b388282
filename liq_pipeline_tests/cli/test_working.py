from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from liq_pipeline_tests.cluster.bucket import Bucket
from liq_pipeline_tests.conftest import Finished


def test_a_worker_without_a_bucket_is_refused(liq: Callable[..., Finished], tmp_path: Path) -> None:
    ended = liq("worker", "--data", tmp_path)

    assert ended.code == 2
    assert "LIQ_STORAGE is not set" in ended.err


def test_a_worker_without_a_queue_says_what_is_missing(
    bucket: Bucket, child_env: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    env = child_env(LIQ_STORAGE=bucket.address, LIQ_DATA_DIR=str(tmp_path))
    (tmp_path / "dagster_home").mkdir()
    (tmp_path / "dagster_home" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    ended = subprocess.run(
        [sys.executable, "-m", "liq_pipeline", "worker"],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ended.returncode == 1
    assert "names no queue. To do: copy deploy/cluster/dagster.yaml there" in ended.stderr
