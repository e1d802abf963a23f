"""Constant rates, for formats that have no time of their own for every frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from pose3d.export.space import Motion

# Containers that count in milliseconds are off by half of one to both sides; that is the same
# constant rate.
ROUNDED = 0.0012  # seconds between the one that is most early and the one that is most late
USUAL = (24, 25, 30, 48, 50, 60, 90, 100, 120, 240)  # and those of NTSC, 1000/1001 of some
ON_TIME = 1e-6  # frames that a time may be off and still be that of the frame


@dataclass(frozen=True)
class Clock:
    """Times at a constant rate.

    Attributes
    ----------
    rate
        Frames a second.
    start
        Time of frame 0, seconds of the recording.
    first
        The recording's frame at `start`.
    count
        How many frames there are.
    resampled
        Whether the recording's own times are others, so that joints are interpolated.
    """

    rate: float
    start: float
    first: int
    count: int
    resampled: bool

    def sample(self, motion: Motion) -> NDArray[np.float64]:
        """(count, 17, 3) joints at the clock's times; NaN where the person is not there."""
        joints = np.full((self.count, *motion.joints.shape[1:]), np.nan)
        if not self.resampled:
            joints[motion.frame - self.first] = motion.joints
            return joints
        at = (motion.time - self.start) * self.rate
        low = max(int(np.ceil(at[0] - ON_TIME)), 0)
        high = min(int(np.floor(at[-1] + ON_TIME)), self.count - 1)
        wanted = np.clip(np.arange(low, high + 1, dtype=float), at[0], at[-1])
        row = np.clip(np.searchsorted(at, wanted, "right") - 1, 0, max(len(at) - 2, 0))
        after = np.minimum(row + 1, len(at) - 1)
        share = (wanted - at[row]) / np.maximum(at[after] - at[row], ON_TIME)
        share = share[:, None, None]
        between = motion.joints[row] * (1 - share) + motion.joints[after] * share
        # Next to a gap, a time that a frame lies on has that frame's joints.
        between = np.where(share < ON_TIME, motion.joints[row], between)
        joints[low : high + 1] = np.where(share > 1 - ON_TIME, motion.joints[after], between)
        return joints


def clock(motions: Sequence[Motion], fps: float | None = None) -> Clock:
    """The constant rate that the times of all these people follow, or one near to it.

    Parameters
    ----------
    motions
        With at least one frame between them.
    fps
        What the source's file says of its rate, if it does.
    """
    frames = np.concatenate([motion.frame for motion in motions])
    times = np.concatenate([motion.time for motion in motions])
    order = np.argsort(frames)
    frames, times = frames[order], times[order]
    first, start = int(frames[0]), float(times[0])
    steps, seconds = frames - first, times - start
    if not seconds[-1] > 0:
        return Clock(fps or 30.0, start, first, int(steps[-1]) + 1, resampled=False)
    for rate in _candidates(float(steps[-1] / seconds[-1]), fps):
        if np.ptp(seconds - steps / rate) <= ROUNDED:
            return Clock(rate, start, first, int(steps[-1]) + 1, resampled=False)
    moved = np.diff(frames) > 0
    usual = float(np.median(np.diff(times)[moved] / np.diff(frames)[moved]))
    rate = next(iter(_candidates(1 / usual, None)))
    return Clock(
        rate, start, first, int(np.floor(seconds[-1] * rate + ON_TIME)) + 1, resampled=True
    )


def _candidates(measured: float, fps: float | None) -> list[float]:
    """Rates to try: what the file says, the usual one next to the one measured, and that one."""
    usual = [float(n) for n in USUAL] + [float(Fraction(n * 1000, 1001)) for n in (24, 30, 60, 120)]
    nearest = min(usual, key=lambda rate: abs(rate - measured))
    near = [nearest] if abs(nearest / measured - 1) < 0.001 else []
    return [*([fps] if fps and fps > 0 else []), *near, measured]
