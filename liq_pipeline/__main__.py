"""The `liq` command. Here, not in `cli`: Ctrl-C is one line even while that is being loaded."""

from __future__ import annotations

import sys

from liq_pipeline.errors import INTERRUPTED, INTERRUPTED_LINE


def main() -> None:
    """Run the command."""
    try:
        from liq_pipeline.cli import main as run
    except KeyboardInterrupt:
        sys.stderr.write(f"{INTERRUPTED_LINE}\n")
        sys.exit(INTERRUPTED)
    run()


if __name__ == "__main__":
    main()
