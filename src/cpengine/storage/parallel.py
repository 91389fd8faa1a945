"""Do the same with several things at a time, for what mostly waits for storage."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def each(do: Callable[[T], R], items: Iterable[T], at_once: int = 16) -> list[R]:
    """Give what `do` gives for each item, in order.

    The first failure is raised; what has not begun by then is left undone.
    """
    items = list(items)
    if min(len(items), at_once) < 2:  # threads would only cost time
        return list(map(do, items))
    with ThreadPoolExecutor(at_once, getattr(do, "__name__", "each")) as pool:
        doing = [pool.submit(do, item) for item in items]
        try:
            return [future.result() for future in doing]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
