"""What the camera does: whether it cuts to another scene, and whether it moves.

Both are seen in small copies of the frames, while they stream by. A cut is a frame that is like the
one before neither in brightness nor in pattern, where those before were. A camera moves if what is
fixed moves: corners outside of people's boxes are followed (Lucas and Kanade, 1981), and the
similarity that most of them agree upon (RANSAC) is added up.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d.frame import Frame

CUT_WIDTH, MOTION_WIDTH = 96, 320  # pixels of the small copies
DIFFERENT = 14.0  # grey levels, mean over the picture, from which a cut is possible
UNLIKE = 0.5  # correlation of two frames, up to which one is
SUDDEN = 3.0  # times the usual difference
USUAL = 12  # frames that say what is usual

LOOK_EVERY = 0.1  # seconds between looks for motion
CORNERS, ENOUGH = 120, 12  # that are followed; that are needed
AGREEING = 0.5  # share of the corners that must move alike
MOVED = 0.012  # of the picture's width, from where a camera has moved
PEOPLE_MARGIN = 0.1  # of a box's size around it in which nothing is taken for fixed


@dataclass
class Scene:
    """One take: its first frame, and how far its picture moved, as a share of the width."""

    frame: int
    motion: float = 0.0

    @property
    def still(self) -> bool:
        """Whether the camera stood still."""
        return self.motion < MOVED


@dataclass
class Watch:
    """Sees cuts and camera motion; call :meth:`see` for every frame in order.

    Attributes
    ----------
    scenes
        So far, in order.
    """

    scenes: list[Scene] = field(default_factory=list)
    _before: NDArray[np.uint8] | None = None
    _usual: deque[float] = field(default_factory=lambda: deque(maxlen=USUAL))
    _grey: NDArray[np.uint8] | None = None
    _corners: NDArray[np.float32] | None = None
    _origin: NDArray[np.float32] | None = None
    _so_far: NDArray[np.float64] = field(default_factory=lambda: np.eye(3))
    _looked: float = -np.inf

    def see(self, frame: Frame, boxes: NDArray[np.floating]) -> bool:
        """Look at the next frame.

        Parameters
        ----------
        frame
            It.
        boxes
            (P, 4) of the people in it, pixels.

        Returns
        -------
        Whether a new scene begins with it; not for the first frame.
        """
        width, _ = frame.size
        step = max(width // MOTION_WIDTH, 1)
        cut = self._is_cut(_resized(frame.grey(step), CUT_WIDTH))
        if cut or not self.scenes:
            self.scenes.append(Scene(frame.index))
            self._grey = self._corners = None
            self._so_far, self._looked = np.eye(3), -np.inf
        if frame.time - self._looked >= LOOK_EVERY:
            self._looked = frame.time
            grey = _resized(frame.grey(max(step // 2, 1)), MOTION_WIDTH)
            self._follow(grey, boxes * (grey.shape[1] / width))
        return cut

    def _is_cut(self, grey: NDArray[np.uint8]) -> bool:
        import cv2

        before, self._before = self._before, grey
        if before is None or before.shape != grey.shape:
            return False
        difference = cv2.norm(grey, before, cv2.NORM_L1) / grey.size
        # In most frames nothing happens, which is seen at once.
        usual = np.median(self._usual) if difference > DIFFERENT and self._usual else 0.0
        sudden = difference > max(DIFFERENT, SUDDEN * usual)
        cut = sudden and _alike(grey, before) < UNLIKE
        if cut:
            self._usual.clear()
        else:
            self._usual.append(difference)
        return cut

    def _follow(self, grey: NDArray[np.uint8], boxes: NDArray[np.floating]) -> None:
        import cv2

        before, self._grey = self._grey, grey
        if before is not None and self._corners is not None and self._origin is not None:
            corners, found, _ = cv2.calcOpticalFlowPyrLK(  # type: ignore[call-overload]
                before, grey, self._corners, None
            )
            kept = found[:, 0] == 1
            corners, origin = corners[kept], self._origin[kept]
            self._corners, self._origin = corners, origin
            shift = _similarity(origin, corners) if len(corners) >= ENOUGH else None
            if shift is not None:
                height, width = grey.shape
                edges = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1.0]])
                moved = edges @ (shift @ self._so_far).T - edges
                share = float(np.linalg.norm(moved[:, :2], axis=1).mean()) / width
                self.scenes[-1].motion = max(self.scenes[-1].motion, share)
            if len(corners) > CORNERS / 2:
                return
            # Too few are left: go on from here with new ones.
            if shift is not None:
                self._so_far = shift @ self._so_far
        mask = np.full(grey.shape, 255, np.uint8)
        for x0, y0, x1, y1 in boxes:
            dx, dy = PEOPLE_MARGIN * (x1 - x0), PEOPLE_MARGIN * (y1 - y0)
            rows = slice(max(int(y0 - dy), 0), max(int(y1 + dy), 0))
            mask[rows, max(int(x0 - dx), 0) : max(int(x1 + dx), 0)] = 0
        corners = cv2.goodFeaturesToTrack(grey, CORNERS, 0.01, 6, mask=mask)
        self._corners = self._origin = corners  # type: ignore[assignment]


def _alike(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Correlation of two pictures; 0 where one is of one colour."""
    spread = max(float(a.std() * b.std()), 1e-3)
    return float(((a - a.mean()) * (b - b.mean())).mean()) / spread


def _similarity(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """Turn, scale and shift (3, 3) that most points agree upon; None if there is none."""
    import cv2

    matrix, inliers = cv2.estimateAffinePartial2D(a, b, ransacReprojThreshold=1.0)
    if matrix is None or inliers.mean() < AGREEING:
        return None
    return np.vstack([matrix, [0, 0, 1]])


def _resized(grey: NDArray[Any], width: int) -> NDArray[np.uint8]:
    import cv2

    height = max(round(width * grey.shape[0] / grey.shape[1]), 2)
    return cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]
