"""What all commands have in common."""

from __future__ import annotations

import subprocess
import sys

FAULT = """
from liq_pipeline.cli.main import main
from liq_pipeline.cli.app import app

@app.command("faulty")
def faulty() -> None:
    secret_address = "discord://a-webhook-and-its-token"
    1 / 0

main()
"""


def test_a_fault_of_ours_is_told_as_python_tells_it_without_the_values_of_variables(child_env) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FAULT, "faulty"], env=child_env(), capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert done.stderr.startswith("Traceback (most recent call last):\n")
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")
    assert "a-webhook-and-its-token" not in done.stderr
