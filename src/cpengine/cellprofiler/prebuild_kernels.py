"""Compile the kernels for the machines that a release's wheel serves.

`make wheel` runs it, with ziglang: one compiler for both, and for a glibc of 2012, so
that the wheel serves every Linux of today. Both were compiled by that; those for arm64
have never run here, and are used there only after their self-test.
"""

import os
import shutil
import sys

from cpengine.cellprofiler.build_kernels import (
    PREBUILT,
    compile_into,
    prebuilt_folder,
)

TARGETS = {
    "linux-x86_64": "x86_64-linux-gnu.2.17",
    "linux-aarch64": "aarch64-linux-gnu.2.17",
}
"""Zig's name of each kind of machine, by that of its folder in the wheel."""


def prebuild() -> None:
    """Compile all anew.

    Raises CellProfilerError when the compiler fails.
    """
    shutil.rmtree(PREBUILT, ignore_errors=True)
    for machine, target in TARGETS.items():
        folder = prebuilt_folder(machine)
        folder.mkdir(parents=True)
        zig = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-s"]
        compile_into(folder, zig, os.environ)
        print(folder)


if __name__ == "__main__":
    prebuild()
