"""What the tests of the recorder read from its folder."""

from datetime import timedelta

import pyarrow.parquet as pq

from liq_pipeline.exchange.recorded import read_orders
from liq_pipeline_tests.streaming import NOON

BOTH = ("BTCUSDT", "ETHUSDT")


def after(seconds):
    return NOON + timedelta(seconds=seconds)


def numbers(folder, symbol="BTCUSDT"):
    """The numbers of the steady orders that were recorded, 1 being the first."""
    return [round(quantity * 1000) for quantity in read_orders(folder, symbol)["quantity"].to_pylist()]


def rejects(folder):
    return [row for file in folder.glob("quarantine/*/*.parquet") for row in pq.read_table(file).to_pylist()]
