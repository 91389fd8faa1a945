"""The program, as the command `cpengine` and `python -m cpengine` start it."""

from cpengine.system.early_signals import ending_at_once


def main() -> None:
    """Import the command line, and run it."""
    with ending_at_once():
        from cpengine.cli import main as run
    run()


if __name__ == "__main__":
    main()
