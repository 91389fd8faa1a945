"""Plain CellProfiler, forked: this file runs inside CellProfiler's own Python.

    plain_server.py

Reads a JSON object a line (`argv`, `cwd`, `log`) and prints the exit code of each. A
run is a process of its own in which CellProfiler's `main` runs those arguments, as the
command does; it is forked after the imports, which are most of the time that a start
takes, and before Java. Python 3.8 and the standard library only.
"""

# mypy: disable-error-code="import-not-found"
from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable


def boot() -> Callable[[], int | None]:
    """Import what each run needs."""
    from cellprofiler_core import preferences

    preferences.set_awt_headless(True)
    preferences.set_headless()
    import cellprofiler_core.modules  # noqa: F401 (it loads all that there are)
    from cellprofiler.__main__ import main

    return main  # type: ignore[no-any-return]


def run(main: Callable[[], int | None], argv: list[str], cwd: str, log: str) -> None:
    """Run one command line in this process, and end it."""
    code: object = 1
    try:
        os.chdir(cwd)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(out, 1)
        os.dup2(out, 2)
        sys.argv = argv
        code = main()
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code & 255 if isinstance(code, int) else bool(code))


def serve() -> None:
    """Run what is asked for until there is no more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    main = boot()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(main, **json.loads(line))
        _, status = os.waitpid(child, 0)
        ended = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1
        answers.write(f"{ended}\n")
        answers.flush()


if __name__ == "__main__":
    serve()
