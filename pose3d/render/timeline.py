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
        return frame - self.frame[0]

    @classmethod
    def of(cls, recording: Recording) -> "Timeline":
        """The frames of a recording.

        Raises
        ------
        PoseError
            If its frames or times do not rise, or are too many.
        """
        source = recording.meta.get("source", {})
        total = int(_number(source.get("frames"), LONGEST) or 0)
        step = 1 / (_number(source.get("fps"), 1e4) or USUAL_FPS)
        start = _number(recording.meta.get("options", {}).get("start"), 1e9)
        frame, time = _seen(recording)
        if not len(frame):
            frame, time = np.array([round(start / step)]), np.array([start])
        span = int(frame[-1] - frame[0]) + 1
        if frame[0] < 0 or span > LONGEST:
            raise PoseError(f"the recording is damaged: it has frames {frame[0]} to {frame[-1]}")
        every = np.arange(frame[0], frame[-1] + 1)
        before = after = 0
        if total > span:
            before = min(max(round((time[0] - start) / step), 0), int(frame[0]), total - span)
            after = total - span - before
        return cls(
            np.arange(frame[0] - before, frame[-1] + 1 + after),
            np.concatenate(
                [
                    time[0] - step * np.arange(before, 0, -1),
                    np.interp(every, frame, time),
                    time[-1] + step * np.arange(1, after + 1),
                ]
            ),
        )


def _seen(recording: Recording) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Index and time of every frame that anybody is in."""
    people = [person.keypoints for person in recording.people]
    frame, first = np.unique(
        np.concatenate([np.zeros(0, np.int64), *(p.frame for p in people)]), return_index=True
    )
    time = np.concatenate([np.zeros(0), *(p.time for p in people)])[first]
    rising = all((np.diff(p.frame) > 0).all() for p in people) and (np.diff(time) > 0).all()
    if not rising or not np.isfinite(time).all():
        raise PoseError("the recording is damaged: its times do not rise from frame to frame")
    return frame, time


def _number(value: Any, most: float) -> float:
    """A number that a file gives, 0 if it is none or cannot be."""
    return float(value) if isinstance(value, int | float) and 0 <= value <= most else 0.0
