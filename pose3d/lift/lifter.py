"""Stage 2: one person's keypoints over time to joints in space."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pose3d.detect.base import choose_device
from pose3d.errors import UsageError
from pose3d.heap import give_back_memory
from pose3d.lift import normalise
from pose3d.lift.gpu import Products
from pose3d.lift.network import TemporalModel
from pose3d.skeleton import COCO, H36M, Skeleton

DEFAULT_FIELD_OF_VIEW = 60.0  # degrees over the longer side: between a phone's and a webcam's
MAX_GAP = 0.5  # seconds without a keypoint that are bridged; longer ones part a sequence
CHUNK = 4096  # frames lifted at once on a CPU
GPU_CHUNK = 1 << 15  # and on a GPU, where they take 2 GB


def default_intrinsics(size: tuple[int, int]) -> NDArray[np.float64]:
    """(3, 3) of a camera with :data:`DEFAULT_FIELD_OF_VIEW` over the picture's longer side."""
    width, height = size
    focal = max(size) / 2 / np.tan(np.radians(DEFAULT_FIELD_OF_VIEW) / 2)
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])


class Lifter:
    """A temporal model with all that it declares about its input.

    Parameters
    ----------
    network
        The model.
    normalisation
        ``person`` or ``image``, see :mod:`pose3d.lift.normalise`.
    rate
        Frames a second that the model was trained at.
    device
        Where to run.
    keypoints, joints
        What it takes and what it gives.
    """

    def __init__(
        self,
        network: TemporalModel,
        normalisation: str,
        rate: float,
        device: str = "auto",
        *,
        keypoints: Skeleton = COCO,
        joints: Skeleton = H36M,
    ) -> None:
        self.keypoints, self.joints = keypoints, joints
        self.device = choose_device(device)
        self.network = network.eval().to(self.device)
        self.normalisation = normalisation
        self.rate = rate
        gpu = self.device.type == "cuda"
        self.chunk = GPU_CHUNK if gpu else CHUNK
        self._held = 0  # bytes, when memory was last given back
        self._run: Callable[[Tensor], Tensor] = Products(self.network) if gpu else self.network

    def __call__(
        self,
        keypoints: NDArray[np.floating],
        scores: NDArray[np.floating],
        times: NDArray[np.floating],
        size: tuple[int, int],
        intrinsics: NDArray[np.floating] | None = None,
    ) -> NDArray[np.float32]:
        """Lift one person's sequence.

        Parameters
        ----------
        keypoints
            (T, K, 2) in the order of ``self.keypoints``, which is COCO's 17 unless another was
            asked for; pixels, NaN where missing.
        scores
            (T, K) in [0, 1]; 0 where missing.
        times
            (T,) seconds, rising.
        size
            Width and height of the picture.
        intrinsics
            (3, 3) of the camera, pixels; a field of view of 60 degrees over the longer side where
            it is not known.

        Returns
        -------
        (T, J, 3) float32
            ``self.joints``, Human3.6M's 17 unless others were asked for; metres, camera frame,
            relative to the hip; NaN where the person is missing for more than half a second.

        Raises
        ------
        UsageError
            If shapes do not agree or times do not rise.
        """
        keypoints, scores = np.asarray(keypoints), np.asarray(scores)
        times = np.asarray(times, np.float64)
        _check(keypoints, scores, times, len(self.keypoints))
        if intrinsics is None:
            intrinsics = default_intrinsics(size)
        if self.device.type == "cpu":  # a detector's maps leave much behind
            self._held = give_back_memory(self._held)
        sure = (scores > 0) & ~np.isnan(keypoints).any(-1)
        joints = np.full((len(times), len(self.joints), 3), np.nan, np.float32)
        for piece in _pieces(sure.any(1), times):
            seen = _Course(keypoints[piece], scores[piece], sure[piece], times[piece])
            self._lift_piece(seen, size, intrinsics, joints[piece])
        return joints

    def _lift_piece(
        self,
        seen: "_Course",
        size: tuple[int, int],
        intrinsics: NDArray[np.floating],
        joints: NDArray[np.float32],
    ) -> None:
        """Fill `joints` (T, J, 3) from what is seen without gaps, so many frames at once."""
        even = self._even_times(seen.times)
        # Each row lies between an even time and the next.
        at = np.clip(np.searchsorted(even, seen.times, side="right") - 1, 0, max(len(even) - 2, 0))
        for start in range(0, len(even), self.chunk):
            rows = slice(*np.searchsorted(at, [start, start + self.chunk]))
            if rows.start == rows.stop:
                continue
            # The last row of a chunk also needs the first even time of the next.
            stop = min(start + self.chunk + 1, len(even))
            low, high = self._around(start, stop, len(even))
            points, certain = seen.at(even[low:high])
            lifted = self._lift_some(points, certain, size, intrinsics)[start - low : stop - low]
            joints[rows] = _interpolated(lifted, even[start:stop], seen.times[rows])

    def _around(self, start: int, stop: int, count: int) -> tuple[int, int]:
        """First and last of the frames that lifting some of them heeds."""
        reach = normalise.SIZE_FRAMES if self.normalisation == "person" else 0
        reach += max(self.network.padding)
        return max(start - reach, 0), min(stop + reach, count)

    def lift_even(
        self,
        keypoints: NDArray[np.floating],
        scores: NDArray[np.floating],
        size: tuple[int, int],
        intrinsics: NDArray[np.floating],
    ) -> NDArray[np.float32]:
        """Lift a sequence (T, K, 2) without gaps at the model's own rate; joints (T, J, 3)."""
        answers = []
        for start in range(0, len(keypoints), self.chunk):
            stop = min(start + self.chunk, len(keypoints))
            low, high = self._around(start, stop, len(keypoints))
            lifted = self._lift_some(keypoints[low:high], scores[low:high], size, intrinsics)
            answers.append(lifted[start - low : stop - low])
        return np.concatenate(answers)

    @torch.inference_mode()
    def _lift_some(
        self,
        keypoints: NDArray[np.floating],
        scores: NDArray[np.floating],
        size: tuple[int, int],
        intrinsics: NDArray[np.floating],
    ) -> NDArray[np.float32]:
        """As `lift_even`, all at once."""
        points = torch.from_numpy(keypoints).float().to(self.device)
        certain = torch.from_numpy(scores).float().to(self.device)
        lifted = self._lift(points, certain, size, torch.from_numpy(intrinsics).to(points))
        return lifted.cpu().numpy()

    def _lift(self, points: Tensor, scores: Tensor, size: tuple[int, int], k: Tensor) -> Tensor:
        """Joints (T, J, 3) of keypoints in pixels, both ends padded with themselves."""
        features = self.network.expand_conv.in_channels // len(self.keypoints)
        if self.normalisation == "image":
            inputs, rotation = normalise.image(points, *size)[None], None
            if features == 3:
                inputs = torch.cat([inputs, scores[None, ..., None]], -1)
            inputs = inputs.flatten(-2)
        else:
            inputs, rotation = normalise.person(normalise.rays(points, k)[None], scores[None])
        before, after = self.network.padding
        padded = torch.cat(
            [inputs[:, :1].expand(-1, before, -1), inputs, inputs[:, -1:].expand(-1, after, -1)], 1
        )
        mirrored = flipped_keypoints(padded, features, self.keypoints)
        both = self._run(torch.cat([padded, mirrored]))
        joints = (both[:1] + flipped_joints(both[1:], self.joints)) / 2
        joints = joints - joints[:, :, :1]
        if rotation is not None:
            joints = torch.einsum("btji,btkj->btki", rotation, joints)
        return joints[0]

    def _even_times(self, times: NDArray[np.floating]) -> NDArray[np.float64]:
        count = int(np.ceil((times[-1] - times[0]) * self.rate - 1e-6)) + 1
        return times[0] + np.arange(count) / self.rate


def flipped_keypoints(inputs: Tensor, features: int, skeleton: Skeleton = COCO) -> Tensor:
    """Normalised keypoints (B, T, K * features) of the mirror image."""
    x = inputs.unflatten(-1, (len(skeleton), features))[..., skeleton.mirror.tolist(), :].clone()
    x[..., 0] *= -1
    return x.flatten(-2)


def flipped_joints(joints: Tensor, skeleton: Skeleton = H36M) -> Tensor:
    """Joints (..., J, 3) of the mirror image."""
    away = torch.tensor([-1.0, 1, 1], device=joints.device)
    return joints[..., skeleton.mirror.tolist(), :] * away


def _check(
    keypoints: NDArray[np.floating],
    scores: NDArray[np.floating],
    times: NDArray[np.floating],
    k: int,
) -> None:
    count = len(times)
    if keypoints.shape != (count, k, 2) or scores.shape != (count, k):
        raise UsageError(
            f"keypoints (T, {k}, 2), scores (T, {k}) and times (T,) must agree: got "
            f"{keypoints.shape}, {scores.shape}, {times.shape}"
        )
    if (np.diff(times) <= 0).any():
        raise UsageError("times must rise from frame to frame")


def _pieces(found: NDArray[np.bool_], times: NDArray[np.floating]) -> Iterator[slice]:
    """Stretches without a gap of more than :data:`MAX_GAP`."""
    rows = np.flatnonzero(found)
    if not len(rows):
        return
    for piece in np.split(rows, np.flatnonzero(np.diff(times[rows]) > MAX_GAP) + 1):
        yield slice(piece[0], piece[-1] + 1)


@dataclass(frozen=True)
class _Course:
    """What is seen of somebody: keypoints (T, K, 2), their scores, whether known, times (T,)."""

    keypoints: NDArray[np.floating]
    scores: NDArray[np.floating]
    known: NDArray[np.bool_]
    times: NDArray[np.floating]

    def at(self, even: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Keypoints and scores at other times; missing ones lie between neighbours, score 0."""
        points = np.zeros((len(even), *self.keypoints.shape[1:]))
        certain = np.zeros(points.shape[:2])
        first, last = np.searchsorted(self.times, [even[0], even[-1]])
        here = slice(max(first - 1, 0), last + 1)
        scores = np.where(self.known[here], self.scores[here], 0)
        for k in range(points.shape[1]):
            known = np.flatnonzero(self.known[:, k])
            if len(known):
                # Those before and after count however far they are.
                first, last = np.searchsorted(known, [here.start, here.stop])
                known = known[max(first - 1, 0) : last + 1]
                for axis in (0, 1):
                    values = self.keypoints[known, k, axis]
                    points[:, k, axis] = np.interp(even, self.times[known], values)
                certain[:, k] = np.interp(even, self.times[here], scores[:, k])
        return points, certain


def _interpolated(
    joints: NDArray[np.float32], even: NDArray[np.float64], times: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Joints (T, J, 3) at `times`, linear between the even ones."""
    if len(even) == 1:
        return np.repeat(joints, len(times), 0)
    at = np.clip(np.searchsorted(even, times, side="right") - 1, 0, len(even) - 2)
    share = ((times - even[at]) / (even[at + 1] - even[at]))[:, None, None]
    return (joints[at] * (1 - share) + joints[at + 1] * share).astype(np.float32)
