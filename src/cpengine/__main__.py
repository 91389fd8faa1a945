"""The program, as the command `cpengine` and `python -m cpengine` start it.

Importing all of it takes most of a second. Whoever presses Ctrl-C meanwhile is answered
in a line: nothing has been begun yet.
"""

import os
import signal

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def main() -> None:
    """Import the command line, and run it."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # as a shell has it for what is not in front
            signal.signal(number, _stop)
    from cpengine.cli import main as run

    for number, handler in before.items():
        signal.signal(number, handler)
    run()


def _stop(number: int, frame: object) -> None:
    """End at once; an exception could come out of an import as another one."""
    os.write(2, b"stopped: nothing was begun\n")
    os._exit(130)


if __name__ == "__main__":
    main()
