"""The frames that a recording covers, also those in which nobody is."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d.errors import PoseError
from pose3d.sequence import Recording

USUAL_FPS = 30.0  # where nothing says it
LONGEST = 10_000_000  # frames; four days at 30 a second


@dataclass(frozen=True)
class Timeline:
    """Every frame of the range that was looked at.

    Attributes
    ----------
    frame
        (N,) int64, rising by one: index of the frame in the file.
    time
        (N,) float64, seconds, rising. As measured where anybody is; between them in proportion to
        the index, outside at the source's mean rate.
    """

    frame: NDArray[np.int64]
    time: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def step(self) -> float:
        """Seconds from one frame to the next, usually."""
        return float(np.median(np.diff(self.time))) if len(self) > 1 else 1 / USUAL_FPS

    def rows(self, frame: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where a person's frames are in this timeline."""
        return frame - self.frame[0] if len(frame) else frame

    @classmethod
    def of(cls, recording: Recording) -> "Timeline":
        """The frames of a recording.

        Raises
        ------
        PoseError
            If its frames or times do not rise, or are too many.
        """
        people = [person.keypoints for person in recording.people]
        source = _table(recording.meta.get("source"))
        rate = source.get("fps")
        known = isinstance(rate, int | float) and 0 < rate < 1e4
        step = 1 / float(rate or 0) if known else 1 / USUAL_FPS
        total = source.get("frames")
        total = total if isinstance(total, int) else 0
        frame, first = np.unique(np.concatenate([np.zeros(0, np.int64), *(p.frame for p in people)]),
                                 return_index=True)  # fmt: skip
        time = np.concatenate([np.zeros(0), *(p.time for p in people)])[first]
        start = _table(recording.meta.get("options")).get("start")
        start = float(start) if isinstance(start, int | float) and 0 <= start < 1e9 else 0.0
        if not len(frame):
            frame, time = np.array([round(start / step)]), np.array([start])
        span = int(frame[-1]) - int(frame[0]) + 1
        if not np.isfinite(time).all() or (np.diff(time) <= 0).any():
            raise PoseError("the recording's times do not rise from frame to frame: detect it again")
        if max(span, total) > LONGEST or frame[0] < 0:
            raise PoseError(f"the recording says that it has {max(span, total)} frames: that is none")
        every = np.arange(frame[0], frame[-1] + 1)
        between = np.interp(every, frame, time)
        before = min(int((time[0] - start) / step + 0.5), int(frame[0])) if total > span else 0
        after = max(total - span - before, 0)
        return cls(
            np.arange(frame[0] - before, frame[-1] + 1 + after),
            np.concatenate(
                [
                    time[0] - step * np.arange(before, 0, -1),
                    between,
                    time[-1] + step * np.arange(1, after + 1),
                ]
            ),
        )


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
