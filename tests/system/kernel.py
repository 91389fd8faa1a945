"""A proc file system that says in which cgroups we are, as the kernel would."""

from pathlib import Path

MOUNTS = """\
23 1 254:0 / / rw,relatime - ext4 /dev/root rw
31 23 0:28 / {tmp} rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / {tmp}/cpu rw,relatime - cgroup cgroup rw,cpu
"""
V1 = "35 31 0:32 {root} {tmp}/memory rw,relatime - cgroup cgroup rw,memory\n"
V2 = "41 31 0:38 {root} {tmp} rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"


def proc(tmp: Path, cgroup: str, mounts: str, root: str = "/") -> Path:
    """Write it below a folder, in which the cgroups are, too."""
    proc = tmp / "proc"
    (proc / "self").mkdir(parents=True)
    (proc / "self/cgroup").write_text(cgroup)
    (proc / "self/mountinfo").write_text((MOUNTS + mounts).format(tmp=tmp, root=root))
    (proc / "vmstat").write_text("nr_free_pages 5\noom_kill 7\nnuma_hit 2\n")
    return proc


def files(folder: Path, **contents: str | int) -> None:
    """Write a cgroup's files; `__` in a name stands for its dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name.replace("__", ".")).write_text(f"{content}\n")
