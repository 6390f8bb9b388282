"""The `liq` command. Here, not in `cli`: Ctrl-C is one line even while that is being loaded."""

from __future__ import annotations

from liq_pipeline.system.interrupts import interruptible


def main() -> None:
    """Run the command."""
    with interruptible():
        from liq_pipeline.cli.main import main as run

        run()


if __name__ == "__main__":
    main()
