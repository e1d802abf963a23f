"""Who wants to know how far a run is, and where its time goes."""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class Progress:
    """Hears how far a run is and adds up the time of its stages; shows nothing by itself.

    Attributes
    ----------
    seconds
        Time by stage. ``decode`` is how long the other stages waited for frames.
    """

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def advance(self, stage: str, done: int, total: int | None = None) -> None:
        """Hear that `done` of `total` frames, if that is known, are through `stage`."""

    @property
    def total(self) -> float:
        """Seconds of all stages."""
        return sum(self.seconds.values())

    def shares(self) -> str:
        """The stages' shares of the time, the longest first, such as ``detect 81 %, lift 9 %``."""
        order = sorted(self.seconds.items(), key=lambda stage: -stage[1])
        parts = [(name, 100 * spent / self.total) for name, spent in order]
        return ", ".join(f"{name} {share:.0f} %" for name, share in parts if share >= 0.5)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what happens inside as time of a stage."""
        since = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - since

    def waiting(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """Pass `items` on, and count the wait for each as time of a stage."""
        source = iter(items)
        while True:
            with self.stage(name):
                try:
                    item = next(source)
                except StopIteration:
                    return
            yield item
