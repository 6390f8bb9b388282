"""The gates of issue 5 on the two real sets in ../shared. Numbers to reach, not to tune to."""

from pathlib import Path

import pytest

from liq_pipeline.validation.command import run_validation

SHARED = Path(__file__).parents[2].parent / "shared"
ARCHIVE = SHARED / "archive" / "btc-15m-2026-03"
HOURLY = SHARED / "truth" / "btcusdt_1h_2025-12_2026-06.csv"

pytestmark = [
    pytest.mark.shared,
    pytest.mark.slow,
    pytest.mark.skipif(not ARCHIVE.is_dir(), reason="../shared is not here"),
]

SETS = {
    "BTC 2026-03, 15m": (ARCHIVE, ARCHIVE, SHARED / "truth" / "btcusdt_30m_2026-02_2026-05.csv", "15m"),
    "BTC 2025-12..2026-05, 15m": (SHARED / "market" / "BTCUSDT-15m.parquet", HOURLY, HOURLY, "15m"),
    "BTC 2025-12..2026-02, 5m": (SHARED / "market" / "BTCUSDT-5m.parquet", HOURLY, HOURLY, "5m"),
}


@pytest.mark.parametrize("name", SETS)
def test_every_gate_holds(name):
    klines, interest, truth, bar = SETS[name]
    found = run_validation(klines, interest, truth, bar, "BTCUSDT")
    assert any("name the start" in note for note in found.notes if note.startswith("truth")), found.notes
    assert not [gate for gate in found.gates if not gate.passed]
    assert found.shuffled_truth.rows["walk"].alone.value < 0.01
