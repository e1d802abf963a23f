"""The last step of training a lifter: depths as large as they should be.

Errors are least where an answer is the middle of all poses that a picture allows, and such middles
are flat: bones that point along the view come out too short, those across it do not. People whose
height is given are then placed too far away. One factor for all depths mends that; it goes into the
network's last layer, whose form stays.
"""

import torch
from torch import Tensor

from pose3d.lift.lifter import flipped_joints, flipped_keypoints
from pose3d.lift.network import TemporalModel
from pose3d.skeleton import H36M_PARENTS, SHARED_JOINTS

LIKELY = (0.8, 1.5)  # a factor beyond has other reasons: nothing was learnt yet
HALVINGS = 12  # of that, down to 0.0002
SHARED = [joint for joint, _ in SHARED_JOINTS]  # what `world.path` places people by
LEGS, TRUNK = (1, 2, 4, 5), (6, 7, 8, 9)  # bones that `body.stature` counts


def fitted_factor(predicted: Tensor, truth: Tensor) -> float:
    """What depths are to be multiplied by for bones and picture to tell the same size.

    Both are measured as they are of a recording: by the medians of bone lengths, as
    `body.stature` does, and by what is seen across the view, of which `world.path` makes how far
    away somebody is. Their ratio is to be 1 for the middle one of all sequences: sequences with
    hidden or exchanged limbs, which are far off, then decide no more than others.

    Parameters
    ----------
    predicted, truth
        (B, N, 17, 3) joints of B sequences, the network's frame, z forward; any origin and scale.

    Returns
    -------
    float
        1 where none of :data:`LIKELY` would do.
    """
    flat, true = (x[:, :, SHARED, :2] for x in (predicted, truth))
    flat, true = (x - x.mean(2, keepdim=True) for x in (flat, true))
    # Least squares with the truth, of which rays are made, as what is given.
    seen = (flat * true).sum((1, 2, 3)) / (true**2).sum((1, 2, 3))
    tall = _stature(truth)

    def ratio(factor: float) -> float:
        deep = predicted * predicted.new_tensor([1, 1, factor])
        return float((_stature(deep) / tall / seen).median())

    low, high = LIKELY
    if not ratio(low) < 1 < ratio(high):
        return 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if ratio(middle) < 1 else (low, middle)
    return (low + high) / 2


def _stature(joints: Tensor) -> Tensor:
    """Ankles to head along the bones (B,), each as long as its median."""
    bones = joints[:, :, 1:] - joints[:, :, list(H36M_PARENTS[1:])]
    length = bones.norm(dim=-1).median(1).values
    return length[:, LEGS].sum(1) / 2 + length[:, TRUNK].sum(1)


def lifted(network: TemporalModel, inputs: Tensor) -> Tensor:
    """Joints (B, N, 17, 3) of :meth:`TemporalModel.strided`, both mirror images' mean.

    A :class:`~pose3d.lift.Lifter` takes that mean too, and it is flatter than either.
    """
    features = inputs.shape[-1] // 17
    both = network.strided(torch.cat([inputs, flipped_keypoints(inputs, features)]))
    plain, mirrored = both.chunk(2)
    return (plain + flipped_joints(mirrored)) / 2


def deepened(weights: dict[str, Tensor], factor: float) -> dict[str, Tensor]:
    """Weights of a `TemporalModel` that answers with all depths times `factor`."""
    new = dict(weights)
    for name in ("shrink.weight", "shrink.bias"):
        new[name] = weights[name].clone()
        new[name][2::3] *= factor  # x, y and z of every joint in turn
    return new
