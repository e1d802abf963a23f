"""What a detector's training begins with: chance, MoveNet's body, or any detector's weights."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pose3d.detect import architectures
from pose3d.detect.compact import CompactRCNN, Limits
from pose3d.detect.detector import Detector
from pose3d.errors import PoseError, UsageError
from pose3d.weights import load, obtain, resolve, sha256

BROUGHT = ("body.", "pyramid.decoder.", "pyramid.prior.")  # what MoveNet's file holds
OUTPUTS = ("objectness", "deltas", "score", "heatmap", "nowhere")
MAX_MOVENET = 1 << 28  # bytes unpacked; the real one has 13 million numbers
NO_CALIBRATION = np.tile(np.array([1, 0], np.float32), (17, 1))


@dataclass(frozen=True)
class Start:
    """A network to train, and what its file shall say of where it is from.

    Attributes
    ----------
    network
        On the CPU, in training.
    architecture
        ``compact`` or ``keypoint_rcnn``.
    source
        The file's name or URL; empty for weights by chance.
    unbalanced
        Whether layers are new and want :func:`balance`.
    short_side
        Of the network's input in use, pixels.
    calibration
        (17, 2) of the compact network's keypoint scores.
    metadata
        For the trained file: ``config``, and of public weights family and dialect; of all that
        began as a whole detector ``fine_tuned_from``, the SHA-256 of that, and its licence.
    """

    network: nn.Module
    architecture: str
    source: str
    unbalanced: bool = False
    short_side: int = 384
    calibration: NDArray[np.float32] = field(default_factory=NO_CALIBRATION.copy)
    metadata: dict[str, str] = field(default_factory=lambda: {"config": "{}"})


def begin(init: str | Path | None, dialect: str | None = None) -> Start:
    """The network to train.

    Parameters
    ----------
    init
        A registered name, URL or file of any detector's weights, which decide the network; or
        MoveNet's ``.npz``, the body of a compact one; or None, for a compact one by chance.
    dialect
        As for :func:`pose3d.load_detector`.

    Raises
    ------
    PoseError
        If there are no such weights, or they are none of a detector.
    """
    if init is None:
        return Start(by_chance(), "compact", "", unbalanced=True)
    entry = resolve(init, "detector")
    path = obtain(entry)
    if path.suffix == ".npz":
        compact = by_chance()
        load_movenet(compact, path)
        return Start(compact, "compact", path.name, unbalanced=True)
    checkpoint = load(path, "detector", dialect or entry.dialect)
    source = entry.urls[0] if entry.urls else path.name
    notes = checkpoint.metadata
    if "fine_tuned_from" in notes:
        source = f"{source}, fine-tuned from {notes['fine_tuned_from']}"
    metadata = {
        "config": json.dumps(checkpoint.config),
        # Of what was only converted, the original.
        "fine_tuned_from": notes.get("source", source),
        "fine_tuned_from_sha256": notes.get("source_sha256") or sha256(path),
        "licence": notes.get("licence", entry.licence),
    }
    if checkpoint.architecture == "keypoint_rcnn":
        metadata |= {"family": checkpoint.family, "dialect": checkpoint.dialect, "kind": "detector"}
    try:
        finder = architectures.detector(checkpoint, device="cpu")
    except PoseError as error:
        raise PoseError(f"{init}: {error}") from error
    network = finder.network.train().requires_grad_(True)
    # Detectron stores this upsampling, but it is bilinear and was never learnt.
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not name.startswith("roi_heads.keypoint_predictor.kps_score."))
    calibration = NO_CALIBRATION
    if isinstance(finder, Detector):
        calibration = finder.calibration.numpy()
    short_side = finder.short_side  # type: ignore[attr-defined]
    return Start(network, checkpoint.architecture, source, False, short_side, calibration, metadata)


def by_chance() -> CompactRCNN:
    """A compact network as He et al. (ICCV 2015) begin where ReLUs follow."""
    network = architectures.build("compact")
    assert isinstance(network, CompactRCNN)
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if isinstance(module, nn.ConvTranspose2d):
                module.weight.data *= 2  # stride 2: every output sees a quarter of the kernel
            if name.rsplit(".")[-1] in OUTPUTS:
                nn.init.zeros_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    nn.init.constant_(network.rpn.objectness.bias, -4.0)  # type: ignore[arg-type]
    return network


def load_movenet(network: CompactRCNN, path: Path) -> None:
    """Put MoveNet's body, decoder and heatmap head into a compact network.

    Raises
    ------
    PoseError
        If the file is not MoveNet's.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            if sum(part.file_size for part in file.zip.infolist()) > MAX_MOVENET:
                raise PoseError(f"{path} is too large to be MoveNet's")
            start = {_movenet_name(k): torch.from_numpy(file[k]).float() for k in file.files}
    except (OSError, ValueError, TypeError, AttributeError, BadZipFile) as error:
        raise PoseError(f"{path} does not hold arrays of MoveNet's ({error})") from error
    start = {k: v for k, v in start.items() if not k.startswith("heads.")}  # unused ones
    try:
        missing, unknown = network.load_state_dict(start, strict=False)
    except RuntimeError:
        raise PoseError(f"{path} holds arrays of other shapes than MoveNet Thunder's") from None
    if wrong := unknown or [name for name in missing if name.startswith(BROUGHT)]:
        what = "holds weights of another network" if unknown else "lacks weights of MoveNet"
        raise PoseError(f"{path} {what}: {', '.join(wrong[:3])}")


def _movenet_name(name: str) -> str:
    if name.startswith("fpn."):
        return name.replace("fpn.", "pyramid.decoder.")
    if name.startswith("heads.kpt_heatmap."):
        return name.replace("heads.kpt_heatmap.", "pyramid.prior.")
    return name if name.startswith("heads.") else f"body.{name}"


@torch.no_grad()
def balance(network: nn.Module, pictures: Tensor) -> None:
    """Scale every new layer to outputs of unit variance (Mishkin & Matas, ICLR 2016).

    The body's maps are of any scale, and nothing here normalises them.
    """
    done: set[nn.Module] = set()

    def scale(layer: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if layer not in done:
            done.add(layer)
            factor = 1 / output.std().clamp(min=1e-3)
            layer.weight.mul_(factor)  # type: ignore[union-attr, operator]
            output = output * factor
        return output

    hooks = [
        module.register_forward_hook(scale)
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
        and not name.startswith(BROUGHT)
        and name.rsplit(".")[-1] not in OUTPUTS
    ]
    size = torch.tensor([pictures.shape[-2:]] * len(pictures), device=pictures.device)
    network(pictures, size, Limits(min_box_score=0, people=2))
    for hook in hooks:
        hook.remove()


def freeze(network: nn.Module, blocks: int) -> None:
    """Keep the body's stem and first blocks as they are; 0 keeps nothing.

    A block is MoveNet's inverted residual, or a ResNet's bottleneck.

    Raises
    ------
    UsageError
        If there are not so many.
    """
    stem: nn.Module
    if isinstance(network, CompactRCNN):
        stem, body = network.body.stem, list(network.body.blocks)
    else:
        resnet = network.get_submodule("backbone.body")
        stem = resnet.get_submodule("conv1")
        body = [
            block for n in range(4) for block in resnet.get_submodule(f"layer{n + 1}").children()
        ]
    if blocks > len(body):
        raise UsageError(f"the body has {len(body)} blocks: --frozen-blocks {blocks} is too many")
    if blocks:
        for part in (stem, *body[:blocks]):
            part.requires_grad_(False)
