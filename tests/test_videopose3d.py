"""VideoPose3D's checkpoints, against a plain implementation of the paper that knows no torch.nn."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from weight_files import lifter_state

import pose3d
from pose3d.errors import PoseError, UsageError
from pose3d.lift.load import HUMANEVA, SKELETONS
from pose3d.weights import convert

SIZE = (1280, 720)
# What the six public files hold: widths, keypoints in, numbers each, joints out, dialect.
FILES = {
    "pretrained_h36m_detectron_coco": ((3, 3, 3, 3, 3), 17, 2, 17, None),
    "pretrained_h36m_cpn": ((3, 3, 3, 3, 3), 17, 2, 17, "videopose3d-h36m"),
    "pretrained_humaneva15_detectron": ((3, 3, 3), 17, 2, 15, None),
    "cpn-pt-243": ((3, 3, 3, 3, 3), 17, 2, 17, None),
    "d-pt-243": ((3, 3, 3, 3, 3), 17, 3, 17, None),
    "cpn-ft-243-dbb-causal": ((3, 3, 3, 3, 3), 17, 2, 17, "videopose3d-h36m-causal"),
    "15 joints in and out": ((3, 5), 15, 2, 15, None),
    "scores, causal": ((3, 1, 3), 17, 3, 17, "videopose3d-causal"),
}
# Left and right of COCO's, Human3.6M's and HumanEva's joints, as VideoPose3D's data sets say.
SIDES = {
    "coco": ([1, 3, 5, 7, 9, 11, 13, 15], [2, 4, 6, 8, 10, 12, 14, 16]),
    "h36m": ([4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]),
    "humaneva": ([2, 3, 4, 8, 9, 10], [5, 6, 7, 11, 12, 13]),
}


def plain(state: dict, widths: tuple, x: NDArray, causal: bool) -> NDArray:
    """Joints (J, 3) of one window (receptive field, numbers), by the paper's formulae alone.

    Section 3 and figure 2: every block looks through a window of its width, dilated by the product
    of the widths before it, and adds the input of the window's middle frame, or of its last.
    """
    w = {name: value.double().numpy() for name, value in state.items()}

    def active(y: NDArray, norm: str) -> NDArray:
        spread = np.sqrt(w[f"{norm}.running_var"] + 1e-5)
        y = (y - w[f"{norm}.running_mean"]) / spread * w[f"{norm}.weight"] + w[f"{norm}.bias"]
        return np.maximum(y, 0)

    def look(frames: dict, layer: str, at: int, taps: int, step: int) -> NDArray:
        kernel = w[f"{layer}.weight"]
        return sum(kernel[:, :, k] @ frames[at + k * step] for k in range(taps))

    frames = dict(enumerate(x))
    y = {
        t: active(look(frames, "expand_conv", t, widths[0], 1), "expand_bn")
        for t in range(len(x) - widths[0] + 1)
    }
    step = widths[0]
    for n, taps in enumerate(widths[1:]):
        z = {}
        for t in range(len(y) - (taps - 1) * step):
            inner = active(look(y, f"layers_conv.{2 * n}", t, taps, step), f"layers_bn.{2 * n}")
            inner = w[f"layers_conv.{2 * n + 1}.weight"][:, :, 0] @ inner
            kept = y[t + (taps - 1 if causal else taps // 2) * step]
            z[t] = kept + active(inner, f"layers_bn.{2 * n + 1}")
        y, step = z, step * taps
    assert len(y) == 1
    return (w["shrink.weight"][:, :, 0] @ y[0] + w["shrink.bias"]).reshape(-1, 3)


def expected(
    state: dict, widths: tuple, keypoints: NDArray, scores: NDArray | None, causal: bool, of: tuple
) -> NDArray:
    """Joints (T, J, 3) as VideoPose3D evaluates: ends repeated, the mirror image averaged in."""
    takes, gives = of
    width, height = SIZE
    x = keypoints / width * 2 - np.array([1, height / width])
    if scores is not None:
        x = np.concatenate([x, scores[..., None]], -1)
    field = int(np.prod(widths))
    before = field - 1 if causal else (field - 1) // 2
    x = np.pad(x, ((before, field - 1 - before), (0, 0), (0, 0)), mode="edge")
    left, right = SIDES[takes]
    mirrored = x.copy()
    mirrored[..., 0] *= -1
    mirrored[:, left + right] = mirrored[:, right + left]
    answers = []
    for t in range(len(keypoints)):
        a, b = (
            plain(state, widths, v[t : t + field].reshape(field, -1), causal) for v in (x, mirrored)
        )
        left, right = SIDES[gives]
        b[:, 0] *= -1
        b[left + right] = b[right + left]
        answers.append((a + b) / 2)
    joints = np.stack(answers)
    return joints - joints[:, :1]


def walk(frames: int, keypoints: int) -> tuple[NDArray, NDArray]:
    chance = np.random.default_rng(5)
    steps = chance.normal(0, 6, (frames, keypoints, 2)).cumsum(0)
    return steps + chance.uniform(300, 700, (1, keypoints, 2)), chance.random((frames, keypoints))


@pytest.mark.parametrize("name", FILES)
def test_a_lifter_gives_what_the_paper_says(name: str, tmp_path: Path) -> None:
    widths, keypoints, inputs, joints, dialect = FILES[name]
    state = lifter_state(widths, keypoints, inputs, joints)
    path = tmp_path / f"{name}.bin"
    torch.save({"epoch": 80, "lr": 1e-4, "model_pos": state}, path)
    gives = "humaneva" if joints == 15 else "h36m"
    takes = "humaneva" if keypoints == 15 else "h36m" if "h36m" in (dialect or "") else "coco"
    options = {"device": "cpu", "keypoints": takes, "joints": gives}
    lifter = pose3d.load_lifter(str(path), dialect=dialect, **options)
    assert lifter.rate == (60 if joints == 15 else 50)

    points, scores = walk(9, keypoints)
    want = expected(
        state,
        widths,
        points,
        scores if inputs == 3 else None,
        (dialect or "").endswith("causal"),
        (takes, gives),
    )
    got = lifter(points, scores, np.arange(9) / lifter.rate, SIZE)
    assert got.shape == (9, joints, 3)
    np.testing.assert_allclose(got, want, atol=1e-5)

    converted = convert(path, tmp_path / "lifter.safetensors", dialect=dialect)
    again = pose3d.load_lifter(str(converted), **options)
    assert np.array_equal(again(points, scores, np.arange(9) / lifter.rate, SIZE), got)


def test_a_causal_lifter_does_not_look_ahead(tmp_path: Path) -> None:
    path = tmp_path / "causal.bin"
    torch.save({"model_pos": lifter_state((3, 3), 17, 2, 17)}, path)
    lifters = {
        causal: pose3d.load_lifter(str(path), "cpu", dialect=dialect)
        for causal, dialect in ((True, "videopose3d-causal"), (False, "videopose3d"))
    }
    points, scores = walk(20, 17)
    later = points.copy()
    later[10:] += 50
    for causal, lifter in lifters.items():
        before, after = (lifter(v, scores, np.arange(20) / 50, SIZE) for v in (points, later))
        assert np.array_equal(before[:10], after[:10]) == causal


def test_other_frame_rates_are_brought_to_50_hz(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    torch.save({"model_pos": lifter_state((3, 3, 3), 17, 2, 17)}, path)
    lifter = pose3d.load_lifter(str(path), "cpu")
    points, scores = walk(41, 17)
    fast = np.arange(41) / 50
    slow = fast[::2]
    # At 25 Hz the frames between are the means of their neighbours.
    between = points.copy()
    between[1::2] = (points[:-1:2] + points[2::2]) / 2
    want = lifter(between, scores, fast, SIZE)[::2]
    np.testing.assert_allclose(lifter(points[::2], scores[::2], slow, SIZE), want, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pretrained_h36m_cpn", "lifts Human3.6M's 17 and would be given COCO's 17 keypoints"),
        ("pretrained_humaneva15_detectron", "gives HumanEva's 15 joints, where Human3.6M's 17"),
        ("15 joints in and out", "lifts HumanEva's 15 and would be given COCO's 17"),
    ],
)
def test_lifters_for_other_keypoints_are_refused(name: str, message: str, tmp_path: Path) -> None:
    widths, keypoints, inputs, joints, dialect = FILES[name]
    path = tmp_path / "model.bin"
    torch.save({"model_pos": lifter_state(widths, keypoints, inputs, joints)}, path)
    with pytest.raises(UsageError, match=message) as caught:
        pose3d.load_lifter(str(path), dialect=dialect)
    assert "--lifter videopose3d" in str(caught.value)


def test_skeletons() -> None:
    with pytest.raises(UsageError, match="no skeleton is called 'mpii'"):
        pose3d.load_lifter("temporal", keypoints="mpii")
    for name, (left, right) in SIDES.items():
        assert (SKELETONS[name].left, SKELETONS[name].right) == (tuple(left), tuple(right))
    for a, b in zip(HUMANEVA.left, HUMANEVA.right, strict=True):
        assert HUMANEVA.names[a][1:] == HUMANEVA.names[b][1:]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ('{"rate": 50}', "normalisation"),
        ('{"rate": 0, "normalisation": "person"}', "at 0.0 Hz"),
        ('{"rate": 50, "normalisation": "none"}', "normalisation is 'none'"),
        ('{"rate": 50, "normalisation": "image", "filter_widths": [999, 999]}', "no lifter's"),
        (
            '{"rate": 50, "normalisation": "image", "channels": 16, "filter_widths": [3]}',
            "size mismatch",
        ),
        ('{"rate": 50, "normalisation": "image", "colour": 16}', "colour"),
    ],
)
def test_our_own_files_that_do_not_fit(config: str, message: str, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    from pose3d.lift.network import TemporalModel

    path = tmp_path / "own.safetensors"
    network = TemporalModel(filter_widths=(3,), channels=8, features=3)
    save_file(network.state_dict(), path, {"architecture": "temporal", "config": config})
    with pytest.raises(PoseError, match="does not fit its architecture") as caught:
        pose3d.load_lifter(str(path))
    assert message in str(caught.value)
