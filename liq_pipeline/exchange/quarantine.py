"""Files that cannot be used: moved aside, each with a note of what is wrong. The next run fetches them anew."""

from __future__ import annotations

from pathlib import Path


def set_aside(folder: Path, path: Path, key: str, note: str, suffix: str) -> None:
    """Move a file below `folder` to its quarantine, with a note beside it.

    Args:
        folder: of the local copy.
        path: the file as it lies there now.
        key: its name in the archive, which it keeps.
        note: what is wrong with it.
        suffix: of the note's name, such as '.txt'.
    """
    target = folder / "quarantine" / key
    target.parent.mkdir(parents=True, exist_ok=True)
    path.replace(target)
    target.with_name(target.name + suffix).write_text(note, encoding="utf-8")
