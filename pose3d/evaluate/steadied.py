"""A lifter whose bodies keep their size, to be measured as one that does not."""

import numpy as np
from numpy.typing import NDArray

from pose3d.body import steady
from pose3d.lift.lifter import Lifter
from pose3d.world import root_path


class Steadied:
    """A lifter and the step `steady` after it, for `evaluate_lifter`.

    Parameters
    ----------
    lifter
        A ``person`` lifter.
    """

    def __init__(self, lifter: Lifter) -> None:
        self.lifter = lifter
        self.rate = lifter.rate

    def lift_even(
        self,
        keypoints: NDArray[np.floating],
        scores: NDArray[np.floating],
        size: tuple[int, int],
        intrinsics: NDArray[np.floating],
    ) -> NDArray[np.float32]:
        """As :meth:`Lifter.lift_even`."""
        joints = self.lifter.lift_even(keypoints, scores, size, intrinsics)
        times = np.arange(len(joints)) / self.rate
        rays = (keypoints - intrinsics[:2, 2]) / intrinsics[[0, 1], [0, 1]]
        root, _ = root_path(joints, rays, scores, times)
        directions = root / np.maximum(np.linalg.norm(root, axis=1, keepdims=True), 1e-9)
        return steady(joints, directions, times)
