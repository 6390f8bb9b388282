"""Published files in a bucket (LIQ_STORAGE), and the local copy that every reader of this machine reads.

A symbol's files have names of their own in each edition; one small object, written last, names those that count now.
It is written on the condition that nobody else wrote it since this work began: a late result is refused.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from liq_pipeline.errors import LateResult, PublishedDamaged
from liq_pipeline.published.journal import locked, replacing
from liq_pipeline.published.layout import published_folders
from liq_pipeline.published.pointer import FILES, POINTERS, Edition, EditionFile, pointer_of, sound_edition
from liq_pipeline.system.objects import Changed, Objects, objects_at
from liq_pipeline.system.storage import sync_folders, write_whole, writing

STATE = ".editions"  # of the local copy: what it holds
SIDE = "validation"  # its files are written where they lie, not published
_KEPT = timedelta(hours=1)  # a reader may still fetch what was replaced
_SWEEP_EVERY = 8  # editions: a listing costs as much as a write
_LOOKS = 5
_SYMBOL = re.compile(r"[^\W_][\w-]{0,60}")

log = logging.getLogger("liq.published")


@dataclass(frozen=True)
class _State:
    """An edition, and the tag of the object that names it; None: nobody ever wrote one."""

    tag: str | None
    edition: Edition


class Editions:
    """What is published in a bucket, and its copy in a local folder.

    Args:
        objects: the bucket.
        root: the local published folder.
    """

    def __init__(self, objects: Objects, root: Path) -> None:
        self.objects, self.root = objects, root
        self._bases: dict[str, _State] = {}  # what the work that is under way began with

    def symbols(self) -> dict[str, str]:
        """Return the symbols that the bucket knows, with a tag that changes with each edition."""
        found = self.objects.list(POINTERS)
        names = {key.removeprefix(POINTERS).removesuffix(".json"): listed.tag for key, listed in found.items()}
        return {symbol: tag for symbol, tag in sorted(names.items()) if _SYMBOL.fullmatch(symbol)}

    def fetch(self, wanted: Iterable[str] | None = None) -> list[str]:
        """Bring the local copy up to the newest editions; return the symbols that changed.

        Args:
            wanted: symbols; None: all. Of those that the bucket does not know nothing is changed.
        """
        listed = self.symbols()
        changed = []
        for symbol in listed if wanted is None else [one for one in wanted if one in listed]:
            state = self._local(symbol)
            if state and state.tag == listed[symbol] and not self._lacking(state.edition, state.edition):
                continue
            changed += [symbol] * self._bring(symbol)[1]
        return changed

    def begin(self, symbol: str) -> None:
        """Bring a symbol's local copy up to date; from now on only what follows on this edition can be published."""
        self._bases[symbol] = self._bring(symbol)[0]

    def name_of(self, symbol: str) -> str:
        """Return the name of the edition that `begin` found, or that was committed since."""
        return self._bases[symbol].edition.name

    def end(self, symbol: str) -> None:
        """Forget what `begin` remembered."""
        self._bases.pop(symbol, None)

    def commit(self, symbol: str, given: Mapping[Path, bytes]) -> None:
        """Publish these files of a symbol beside its others. The caller then puts them into the local folder.

        Raises:
            LateResult: somebody else published the symbol meanwhile; nothing was changed.
        """
        base = self._bases.get(symbol) or self._local(symbol) or _State(None, Edition(symbol=symbol))
        contents = self._beside(symbol, base.edition) | dict(given)
        number = base.edition.number + 1
        name = f"{number:06d}-{secrets.token_hex(4)}"
        files = {path: file for path, file in base.edition.files.items() if not path.startswith(f"{SIDE}/")}
        uploads: list[tuple[str, bytes]] = []
        for place, content in contents.items():
            path = place.relative_to(self.root).as_posix()
            sha256 = hashlib.sha256(content).hexdigest()
            old = base.edition.files.get(path)
            if old and old.sha256 == sha256:
                files[path] = old
                continue
            files[path] = EditionFile(object=f"{FILES}{symbol}/{name}/{path}", sha256=sha256, size=len(content))
            uploads.append((files[path].object, content))
        if files == base.edition.files:
            return
        self.objects.each(lambda one: self.objects.put(*one), uploads)
        self._turn(symbol, base, Edition(symbol=symbol, number=number, name=name, files=files))

    def withdraw(self, symbol: str) -> None:
        """Publish that nothing is published of a symbol.

        Raises:
            LateResult: as `commit`.
        """
        found = self._remote(symbol)
        if found.edition.files:
            number = found.edition.number + 1
            name = f"{number:06d}-{secrets.token_hex(4)}"
            self._turn(symbol, found, Edition(symbol=symbol, number=number, name=name))

    def settle(self, symbol: str) -> None:
        """Note that the local folder holds the edition that was committed last. The caller holds the folder's lock."""
        if base := self._bases.get(symbol):
            self._note(symbol, base)

    def _turn(self, symbol: str, base: _State, edition: Edition) -> None:
        """Let another edition count, if that on which it follows still does."""
        try:
            tag = self.objects.swap(pointer_of(symbol), edition.model_dump_json(indent=1).encode(), base.tag)
        except Changed:
            newest = self._remote(symbol).edition
            raise LateResult(
                f"{symbol}: edition {edition.number} is refused: edition {newest.name} was published meanwhile",
                expected=f"edition {base.edition.number} to be the newest still",
                remedy="nothing: what was published meanwhile stays; the next run follows on it",
            ) from None
        self._bases[symbol] = _State(tag, edition)
        if edition.number % _SWEEP_EVERY == 0:
            self._sweep(symbol, edition)

    def _sweep(self, symbol: str, edition: Edition) -> None:
        """Remove objects that no edition names any more, or never did: their writer was killed, or refused."""
        named = {file.object for file in edition.files.values()}
        found = self.objects.list(f"{FILES}{symbol}/")
        if not found:
            return
        now = max(listed.modified for listed in found.values())
        self.objects.delete(key for key, one in found.items() if key not in named and now - one.modified > _KEPT)

    def _beside(self, symbol: str, edition: Edition) -> dict[Path, bytes]:
        """Return files of a symbol that lie in the local folder, and that nobody hands over to be published."""
        folders = [self.root / SIDE / symbol]
        if not edition.number:  # published before there was a bucket
            folders += published_folders(self.root, symbol)
        found = {path for folder in folders for path in folder.rglob("[!.]*") if path.is_file()}
        return {path: path.read_bytes() for path in sorted(found)}

    def _bring(self, symbol: str) -> tuple[_State, bool]:
        """Bring the local copy of a symbol up to date; return what is there now, and whether that was another."""
        for _ in range(_LOOKS):
            state = self._local(symbol)
            newest = self._remote(symbol)
            if newest.tag is None:
                return newest, False
            lacking = self._lacking(newest.edition, state.edition if state else None)
            if state and state.tag == newest.tag and not lacking:
                return newest, False
            contents = self._contents(lacking)
            if contents is not None and self._put_in_place(symbol, newest, contents):
                return newest, True
        raise PublishedDamaged(
            f"{symbol}: files that edition {newest.edition.name} names are missing in {self.objects.address}, "
            "or are not what it says",
            remedy="publish again: liq run",
        )

    def _lacking(self, edition: Edition, here: Edition | None) -> dict[str, EditionFile]:
        """Return those of an edition's files that the local folder does not hold."""
        known = here.files if here else {}
        return {path: file for path, file in edition.files.items() if not self._holds(path, file, known.get(path))}

    def _holds(self, path: str, file: EditionFile, known: EditionFile | None) -> bool:
        try:
            size = (self.root / path).stat().st_size
        except OSError:
            return False
        if size != file.size:
            return False
        if known:
            return known.sha256 == file.sha256
        return hashlib.sha256((self.root / path).read_bytes()).hexdigest() == file.sha256

    def _contents(self, lacking: Mapping[str, EditionFile]) -> dict[Path, bytes] | None:
        """Return the contents of files; None where one of them is not what its edition says."""
        found: dict[Path, bytes] = {}

        def read(path: str) -> None:
            got = self.objects.get(lacking[path].object)
            if got and hashlib.sha256(got[0]).hexdigest() == lacking[path].sha256:
                found[self.root / path] = got[0]

        self.objects.each(read, lacking)
        return found if len(found) == len(lacking) else None

    def _put_in_place(self, symbol: str, newest: _State, contents: Mapping[Path, bytes]) -> bool:
        """Let the local folder hold an edition, if it still is the newest now that nobody else may write there."""
        with writing(self.root), locked(self.root):
            if self._remote(symbol).tag != newest.tag:
                return False
            state = self._local(symbol)
            with replacing(self.root) as stage:
                for path, content in contents.items():
                    stage(path, content)
            gone = (state.edition.files.keys() if state else set()) - newest.edition.files.keys()
            for name in gone:
                (self.root / name).unlink(missing_ok=True)
            self._remove_empty({(self.root / name).parent for name in gone})
            self._note(symbol, newest)
        return True

    def _remove_empty(self, folders: set[Path]) -> None:
        for folder in sorted(folders, reverse=True):
            if folder != self.root and folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
                sync_folders([folder.parent])

    def _remote(self, symbol: str) -> _State:
        found = self.objects.get(pointer_of(symbol))
        if found is None:
            return _State(None, Edition(symbol=symbol))
        return _State(found[1], sound_edition(symbol, found[0], self.objects.address))

    def _local(self, symbol: str) -> _State | None:
        """Return what the local folder holds of a symbol; None where nobody noted it, or the note is damaged."""
        try:
            tag, _, text = (self.root / STATE / f"{symbol}.json").read_text(encoding="utf-8").partition("\n")
            return _State(tag, sound_edition(symbol, text.encode(), STATE))
        except (OSError, ValueError, PublishedDamaged):
            return None

    def _note(self, symbol: str, state: _State) -> None:
        text = f"{state.tag}\n{state.edition.model_dump_json()}"
        write_whole(self.root / STATE / f"{symbol}.json", text.encode())


def editions_at(storage: str, published: Path) -> Editions | None:
    """Return what is published at an address of a bucket; None where there is none (LIQ_STORAGE is empty)."""
    return Editions(objects_at(storage), published) if storage else None
