"""Detectors' networks as ONNX, for other runtimes.

Of ``compact`` one file holds all: RGB in, people out. A public Keypoint R-CNN becomes three, the
learnt parts with RoIAlign in them; what lies between them chooses and does not learn (ranking,
suppression, the heatmaps' maxima), depends on every picture's own size, and stays outside.
"""

import logging
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torchvision.ops import roi_align

from pose3d.detect import boxes as geometry
from pose3d.detect import heatmaps
from pose3d.detect.base import PeopleFinder
from pose3d.detect.compact import KEYPOINT_MARGIN, Limits
from pose3d.detect.detector import Detector, calibrated
from pose3d.detect.keypoint_rcnn import KeypointRCNN
from pose3d.detect.keypoint_rcnn.boxes import pyramid_levels
from pose3d.detect.keypoint_rcnn.network import KEYPOINT_REGION, STRIDES
from pose3d.detect.load import load_detector
from pose3d.errors import PoseError, UsageError
from pose3d.files import replacing

OPSET = 18
SIZES = {"compact": (640, 384), "keypoint_rcnn": (1344, 800)}  # width, height


class Part(NamedTuple):
    """What becomes one file."""

    suffix: str  # of the file's name
    module: nn.Module
    inputs: dict[str, Tensor]  # by name, of the sizes that the file shall take
    outputs: list[str]
    free: dict[str, Any]  # by input, the sides whose size is not fixed


def export_onnx(
    name: str,
    out: Path | str,
    *,
    size: tuple[int, int] | None = None,
    dialect: str | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write a detector's network as ONNX.

    Parameters
    ----------
    name, dialect
        As for :func:`~pose3d.detect.load_detector`.
    out
        ``NAME.onnx``; the parts of a public network are called ``NAME.onnx``,
        ``NAME-boxes.onnx`` and ``NAME-keypoints.onnx``.
    size
        Width and height of the network's input, multiples of 32.
    overwrite
        Whether files of these names may exist.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    PoseError
        If the weights cannot be had, a file exists or cannot be written, or onnx is missing.
    UsageError
        If the size is none.
    """
    try:
        import onnxscript  # noqa: F401
    except ImportError:
        raise PoseError(
            'ONNX needs more packages: pip install "pose3d[export]" and run again'
        ) from None
    out = Path(out)
    detector = load_detector(name, device="cpu", precision="fp32", dialect=dialect)
    compact = isinstance(detector, Detector)
    width, height = size or SIZES["compact" if compact else "keypoint_rcnn"]
    if width % 32 or height % 32:
        raise UsageError(f"a size of {width} x {height} is no multiple of 32")
    parts = parts_of(detector, torch.rand(1, 3, height, width) * 255)
    written = [out.with_name(f"{out.stem}{part.suffix}.onnx") for part in parts]
    for path in written:
        if path.exists() and not overwrite:
            raise PoseError(f"{path} exists: give another name, or --overwrite")
    for path, part in zip(written, parts, strict=True):
        with replacing(path) as temporary:
            write(temporary, part)
    return written


def parts_of(detector: PeopleFinder, pictures: Tensor) -> list[Part]:
    """What becomes a file each, of a network that takes pictures of this size."""
    if isinstance(detector, Detector):
        names = ["boxes", "scores", "keypoints", "keypoint_scores"]
        return [Part("", WholeCompact(detector), {"pictures": pictures}, names, {"pictures": None})]
    assert isinstance(detector.network, KeypointRCNN)
    return _keypoint_rcnn_parts(detector.network, pictures)


class WholeCompact(nn.Module):
    """The compact network with a fixed number of people, absent ones of score 0.

    Parameters
    ----------
    detector
        With its network and calibration.
    """

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.network = detector.network
        self.calibration = nn.Buffer(detector.calibration)
        self.limits = Limits()

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Boxes (P, 4), scores (P,), keypoints (P, 17, 2) and their scores (P, 17).

        Of pictures (1, 3, H, W), RGB in [0, 255].
        """
        net: Any = self.network
        limits = self.limits
        maps = net.dense(pictures)
        sizes = torch.tensor([[pictures.shape[3], pictures.shape[2]]])
        regions, valid = net.propose(maps, sizes, limits)
        logits, deltas = net.classify(maps, regions)
        found = geometry.clip(geometry.decode(deltas * net.box_step, regions), sizes)
        scores, order = torch.where(valid, logits.sigmoid(), 0).sort(dim=1, descending=True)
        found = found.gather(1, order[..., None].expand(-1, -1, 4))
        keep = geometry.suppress(found, limits.box_iou) & (scores > limits.min_box_score)
        scores, order = torch.where(keep, scores, 0).topk(limits.people, dim=1)
        found = found.gather(1, order[..., None].expand(-1, -1, 4))[0]
        areas = geometry.enlarge(found, KEYPOINT_MARGIN)
        picture = torch.zeros(limits.people, dtype=torch.int64)
        points, mass = heatmaps.decode(net.heatmaps(maps, picture, areas), areas)
        return found, scores[0], points, calibrated(mass, self.calibration)


class Dense(nn.Module):
    """From normalised pictures to the pyramid and what the RPN says of every anchor."""

    def __init__(self, network: KeypointRCNN) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """P2 to P5, logits (B, N) and deltas (B, N, 4), anchors from fine to coarse levels."""
        maps, raw = self.network.dense(pictures)
        logits, deltas = (torch.cat(parts, 1) for parts in zip(*raw, strict=True))
        return (*maps[:4], logits, deltas)


class RegionHead(nn.Module):
    """RoIAlign from the right level, and a head."""

    def __init__(self, network: KeypointRCNN, side: int, keypoints: bool) -> None:
        super().__init__()
        self.heads = network.roi_heads
        self.dialect = network.dialect
        self.side = side
        self.keypoints = keypoints

    def forward(
        self, p2: Tensor, p3: Tensor, p4: Tensor, p5: Tensor, regions: Tensor
    ) -> tuple[Tensor, ...]:
        """Of one picture's maps and regions (R, 4) in pixels of the network's input."""
        d = self.dialect
        level = pyramid_levels(regions, d.extent, *d.level_guard)[:, None, None, None]
        rows = torch.cat([torch.zeros_like(regions[:, :1]), regions], 1)
        pooled = [
            # A graph without branches reads every region from every level, and keeps one.
            roi_align(x, rows, self.side, 1 / stride, d.sampling, d.aligned) * (level == n)
            for n, (x, stride) in enumerate(zip((p2, p3, p4, p5), STRIDES[:4], strict=True))
        ]
        x = torch.stack(pooled).sum(0)
        return (self.heads.keypoints(x),) if self.keypoints else self.heads.boxes(x)


def _keypoint_rcnn_parts(network: KeypointRCNN, pictures: Tensor) -> list[Part]:
    """Body to RPN, box head, keypoint head."""
    levels = ["p2", "p3", "p4", "p5"]
    dense, height, width = Dense(network), *pictures.shape[2:]
    maps = {
        name: torch.rand(1, network.plan.pyramid, height // stride, width // stride)
        for name, stride in zip(levels, STRIDES, strict=False)
    }
    corners = torch.rand(7, 4) * torch.tensor([width / 2, height / 2, width / 2, height / 2])
    regions = corners + torch.tensor([0.0, 0.0, width / 2, height / 2])
    inputs = {**maps, "regions": regions}
    some = torch.export.Dim("regions", min=1, max=4096)
    free: dict[str, Any] = {**dict.fromkeys(levels), "regions": {0: some}}
    names = ["logits", "deltas"]
    box_head = RegionHead(network, network.plan.pooled, keypoints=False)
    keypoint_head = RegionHead(network, KEYPOINT_REGION, keypoints=True)
    return [
        Part("", dense, {"pictures": pictures}, [*levels, *names], {"pictures": None}),
        Part("-boxes", box_head, inputs, names, free),
        Part("-keypoints", keypoint_head, inputs, ["heatmaps"], free),
    ]


def write(path: Path, part: Part) -> None:
    """Write one file."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            part.module.eval(),
            (),
            path,
            kwargs=part.inputs,
            input_names=list(part.inputs),
            output_names=part.outputs,
            dynamic_shapes=part.free,
            opset_version=OPSET,
            external_data=False,
            dynamo=True,
            verbose=False,
        )
