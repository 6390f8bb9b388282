"""Tables compared row by row: what a full run derives from bars."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from liq_pipeline.warehouse.schema import LEVEL_TABLES
from liq_pipeline.warehouse.warehouse import Warehouse
from liq_pipeline_tests.exchange.reused_ticker import SYMBOL
from liq_pipeline_tests.once import once

DERIVED = ("position_cohorts", "position_survival", *LEVEL_TABLES)


def same_rows(one: Warehouse, other: Warehouse, tables: tuple[str, ...] = DERIVED) -> None:
    for name in tables:
        query = f"SELECT * FROM {name} WHERE symbol = $symbol ORDER BY ALL"
        assert_close(once(one).sql(query, symbol=SYMBOL), once(other).sql(query, symbol=SYMBOL), name)


def assert_close(one: pa.Table, other: pa.Table, name: str) -> None:
    assert one.num_rows == other.num_rows > 0, name
    for column in one.column_names:
        if pa.types.is_floating(one.schema.field(column).type):
            np.testing.assert_allclose(one[column], other[column], rtol=1e-9, err_msg=f"{name}.{column}")
        else:
            assert one[column].equals(other[column]), f"{name}.{column}"
