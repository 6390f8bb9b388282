"""Published files as they lie: ranges, conditional requests and HEAD by Starlette; and a list of them."""

from __future__ import annotations

import mimetypes
import os
from pathlib import Path
from typing import Any

from starlette.staticfiles import StaticFiles

from liq_pipeline.model.timeframes import TIMEFRAMES
from liq_pipeline.published.damage import published_files
from liq_pipeline.published.layout import HISTORY, SCHEMA_VERSION, dataset_path
from liq_pipeline.published.manifests import read_manifest
from liq_pipeline.published.schemas import SCHEMAS
from liq_pipeline.server.store import Store

mimetypes.add_type("application/vnd.apache.parquet", ".parquet")


class PublishedFiles(StaticFiles):
    """Files below the published folder; those whose name begins with a dot are the writer's own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder, check_dir=False)
        self.config_checked = True  # there may be nothing yet

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """Return a file's place and state; nothing for one that is not published."""
        if any(part.startswith(".") for part in Path(path).parts):
            return "", None
        return super().lookup_path(path)


def index(store: Store) -> dict[str, Any]:
    """Return every published file of rows: where it is, what is in it; and the columns of each dataset."""
    files = []
    for symbol in store.symbols():
        for (dataset, timeframe), manifest in published_files(store.folder, symbol).manifests.items():
            if dataset in SCHEMAS:
                path = dataset_path(store.folder, dataset, symbol, timeframe or None)
                files.append(_entry(store.folder, path, manifest))
        for path in sorted((store.folder / HISTORY / symbol).glob("*.parquet")):
            if entry := read_manifest(path):
                files.append(_entry(store.folder, path, entry))
    schemas = {name: {field.name: str(field.type) for field in schema} for name, schema in SCHEMAS.items()}
    return {"schema_version": SCHEMA_VERSION, "files": files, "columns": schemas}


def _entry(folder: Path, path: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    return {
        "url": f"/files/{path.relative_to(folder).as_posix()}",
        "dataset": path.parts[-3],
        "symbol": path.parts[-2],
        "timeframe": path.stem if path.stem in TIMEFRAMES else None,
        "as_of": manifest["as_of"],
        "row_count": manifest.get("row_count"),
        "sha256": manifest["sha256"],
    }
