"""Readers at full speed, while the files are replaced under them: every answer is whole, and none fails."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq
import requests

from liq_pipeline.published.layout import dataset_path
from liq_pipeline.published.manifests import read_manifest
from liq_pipeline.published.publish import PublishedDataset, Publisher


def test_no_answer_is_torn_while_files_are_replaced(own_service, published) -> None:
    path = dataset_path(published, "liquidation_levels", "BTCUSDT", "7d")
    rows, manifest = pq.read_table(path, partitioning=None), read_manifest(path)
    place = rows.schema.get_field_index("contracts")
    service = own_service(folder=published)
    publisher, stop, editions = Publisher(folder=str(published)), threading.Event(), [0]

    def publish() -> None:
        while not stop.is_set():
            editions[0] += 1
            # Each edition carries its number in every row and in its manifest: a mixture would show.
            marked = rows.set_column(place, "contracts", pa.array([float(editions[0])] * rows.num_rows))
            facts = {name: manifest[name] for name in ("as_of", "open_interest_contracts")}
            publisher.publish(
                [
                    PublishedDataset(
                        "liquidation_levels", "BTCUSDT", marked, facts | {"current_price": float(editions[0])}, "7d"
                    )
                ]
            )
            time.sleep(0.01)

    def read(_: int) -> set[float]:
        seen = set()
        with requests.Session() as session:
            for _ in range(40):
                answer = session.get(f"{service.url}/liquidations/levels?symbol=BTCUSDT&timeframe=7d", timeout=20)
                assert answer.status_code == 200
                found = json.loads(answer.content)
                levels = found["long_liquidations"] + found["short_liquidations"]
                assert len(levels) == rows.num_rows
                marks = {level["contracts"] for level in levels}
                assert len(marks) == 1
                if marks == {found["current_price"]}:
                    seen |= marks
                else:
                    assert found["current_price"] == manifest["current_price"]  # before the first edition
        return seen

    writer = threading.Thread(target=publish)
    writer.start()
    time.sleep(0.1)
    try:
        with ThreadPoolExecutor(8) as pool:
            seen = set().union(*pool.map(read, range(8)))
    finally:
        stop.set()
        writer.join()

    assert len(seen) > 3  # new files were picked up on the way
