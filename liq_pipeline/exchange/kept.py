"""A symbol's raw files in a bucket (LIQ_STORAGE): a worker that starts anew has all of them.

The bucket holds what `data/raw` holds of a symbol. `sync` trusts no file by its name: the manifest, written last, says
which sha256 each must have. A half that a killed worker left costs a second fetch from the exchange, nothing else.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path, PurePosixPath

from liq_pipeline.exchange.brackets import FILE
from liq_pipeline.exchange.keys import ArchiveDataset
from liq_pipeline.system.objects import Listed, Objects
from liq_pipeline.system.storage import write_whole

RAW = "raw/"
SHARED = f"{RAW}shared/"  # by all symbols
STATE = ".kept"  # of the local copy: the tag, size and time of each file as it is in the bucket

_Known = dict[str, list[object]]


class KeptRaw:
    """Raw files in a bucket, and the local copy of them.

    Args:
        objects: the bucket.
        raw_dir: `data/raw`.
        datasets: of the archive.
    """

    def __init__(self, objects: Objects, raw_dir: Path, datasets: tuple[ArchiveDataset, ...]) -> None:
        self.objects, self.raw_dir, self.datasets = objects, raw_dir, datasets

    def fetch(self, symbol: str) -> int:
        """Bring the local files of a symbol up to those of the bucket; return how many were fetched."""
        prefix, known = f"{RAW}{symbol}/", self._known(symbol)
        wanted: list[str] = []
        for key, listed in self.objects.list(prefix).items():
            path = key.removeprefix(prefix)
            if self._is_ours(symbol, path) and not self._is_current(path, listed, known):
                wanted.append(path)

        def get(path: str) -> None:
            if found := self.objects.get(prefix + path):
                write_whole(self.raw_dir / path, found[0])
                known[path] = [found[1], *_stamp(self.raw_dir / path)]

        self.objects.each(get, wanted)
        if wanted:
            self._note(symbol, known)
        return len(wanted)

    def store(self, symbol: str) -> int:
        """Put into the bucket what has changed here, manifests last; return how many files."""
        prefix, known = f"{RAW}{symbol}/", self._known(symbol)
        paths = [path for folder in self._folders(symbol) for path in self._files(folder)]
        changed = [path for path in paths if known.get(path, [])[1:] != _stamp(self.raw_dir / path)]

        def put(path: str) -> None:
            stamp = _stamp(self.raw_dir / path)
            tag = self.objects.put(prefix + path, (self.raw_dir / path).read_bytes())
            known[path] = [tag, *stamp]

        manifests = [path for path in changed if path.startswith("manifest/")]
        self.objects.each(put, [path for path in changed if path not in manifests])
        self.objects.each(put, manifests)
        if changed:
            self._note(symbol, known)
        return len(changed)

    def _folders(self, symbol: str) -> list[str]:
        """Return where files of a symbol lie; manifests last."""
        data = [dataset.prefix(symbol) for dataset in self.datasets]
        return [*data, f"rest/symbol={symbol}/", f"manifest/symbol={symbol}/"]

    def _files(self, folder: str) -> list[str]:
        found = (self.raw_dir / folder).glob("[!.]*")
        return sorted(
            path.relative_to(self.raw_dir).as_posix()
            for path in found
            if path.suffix not in (".part", ".lock") and path.is_file()
        )

    def _is_ours(self, symbol: str, path: str) -> bool:
        """Tell whether `store` would put there what a listing names: it may say anything."""
        pure = PurePosixPath(path)
        return f"{pure.parent.as_posix()}/" in self._folders(symbol) and not pure.name.startswith(".")

    def _is_current(self, path: str, listed: Listed, known: _Known) -> bool:
        return (self.raw_dir / path).exists() and known.get(path) == [listed.tag, *_stamp(self.raw_dir / path)]

    def _known(self, symbol: str) -> _Known:
        with suppress(OSError, ValueError):
            found = json.loads((self.raw_dir / STATE / f"{symbol}.json").read_bytes())
            if isinstance(found, dict):
                return found
        return {}

    def _note(self, symbol: str, known: _Known) -> None:
        write_whole(self.raw_dir / STATE / f"{symbol}.json", json.dumps(known).encode())


def fetch_shared(objects: Objects, raw_dir: Path) -> None:
    """Bring the imported margin brackets here."""
    if found := objects.get(SHARED + FILE):
        write_whole(raw_dir / FILE, found[0])


def store_shared(objects: Objects, raw_dir: Path) -> None:
    """Put the imported margin brackets into the bucket."""
    objects.put(SHARED + FILE, (raw_dir / FILE).read_bytes())


def _stamp(path: Path) -> list[object]:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return []
    return [stat.st_size, stat.st_mtime_ns]
