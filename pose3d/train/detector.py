"""Train a detector: what makes ``checkpoints/compact.safetensors``, and fine-tunes public weights.

Reads top to bottom: recipe, network, data, loop, save. One GPU or several (``torchrun``); every
random number comes from the seed and the step, so a resumed run and a run over several processes
go the same way as one that was never interrupted or split.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from pose3d.detect.base import choose_device
from pose3d.detect.load import load_detector
from pose3d.errors import PoseError, UsageError
from pose3d.evaluate.detector import DetectorScores, evaluate_detector
from pose3d.files import replacing
from pose3d.train import augment, keypoint_rcnn, losses, people
from pose3d.train.calibrate import calibrate, plot
from pose3d.train.initialise import BROUGHT, NO_CALIBRATION, Start, balance, begin, freeze
from pose3d.train.schedule import choose_half, described, ema, follow, resume, save_state, schedule


@dataclass(frozen=True)
class Kind:
    """How networks of one architecture are trained.

    Attributes
    ----------
    step
        Makes a module of network and losses.
    draws
        Random numbers that its losses use, a picture.
    body
        Parameters that get `Recipe.body_rate` begin so.
    compiled
        Parts that ``--compile`` fuses.
    saved
        Precision of the file.
    batch, canvas, rate
        What the recipe takes where it says nothing.
    """

    step: Callable[[Any], nn.Module]
    draws: int
    body: tuple[str, ...]
    compiled: tuple[str, ...]
    saved: torch.dtype
    batch: int
    canvas: int
    rate: float


KINDS = {
    "compact": Kind(
        losses.TrainingStep, losses.DRAWS, BROUGHT, ("body", "pyramid", "keypoint_head"),
        torch.float16, batch=128, canvas=384, rate=1e-3,
    ),
    "keypoint_rcnn": Kind(
        keypoint_rcnn.TrainingStep, keypoint_rcnn.DRAWS, ("backbone.body.",), ("backbone",),
        torch.float32, batch=16, canvas=640, rate=1e-4,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how a detector turns out, and where it goes.

    Attributes
    ----------
    annotations, images
        COCO `person_keypoints` file (may be gzipped) and pictures to train on.
    val_annotations, val_images
        The same to judge on; without them nothing is judged.
    out
        Folder of ``compact.safetensors`` (``keypoint_rcnn.safetensors`` of public weights) and of
        the state to resume from.
    sprites
        COCO file of cut-out people (RGBA pictures beside it) to lay over the pictures.
    init, dialect
        Weights to start from, see :func:`~pose3d.train.initialise.begin`: a detector's decide the
        network and how it is run, and without any it is a compact one.
    steps, batch
        Length of the schedule, and pictures a step over all processes.
    canvas
        Side of the pictures made, pixels, a multiple of 32.
    short_side
        Of the network's input once it is trained.
    rate, body_rate
        Peak learning rate, and the share of it that the body gets, and MoveNet's decoder and
        heatmaps. Of batch, canvas, short side and rate 0 is what suits the network.
    frozen_blocks
        The body's first blocks, with its stem, that stay as they are: nearly half the cost of a
        step lies there, and edges look the same in all pictures.
    precision
        ``bf16``, ``fp32``, or ``auto``: bf16 on a GPU, fp32 on a CPU.
    stop_after
        Minutes after which the state is saved and the call ends.
    """

    annotations: Path
    images: Path
    out: Path
    val_annotations: Path | None = None
    val_images: Path | None = None
    sprites: Path | None = None
    init: str | Path | None = None
    steps: int = 10_000
    batch: int = 0
    canvas: int = 0
    short_side: int = 0
    rate: float = 0.0
    body_rate: float = 0.5
    warmup: int = 300
    weight_decay: float = 0.02
    frozen_blocks: int = 0
    precision: str = "auto"
    seed: int = 0
    device: str = "auto"
    stop_after: float = float("inf")
    compile: bool = False
    limit: int | None = None
    report: int = 100
    dialect: str | None = None


def train(recipe: Recipe, log: Callable[[str], None] = print) -> DetectorScores | None:
    """Train, resuming where ``out`` holds a state; returns the figures of the finished detector."""
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    device = _start_process(recipe.device, world)
    recipe.out.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()

    torch.manual_seed(recipe.seed)
    start = begin(recipe.init, recipe.dialect)
    network, kind = start.network, KINDS[start.architecture]
    recipe = filled(recipe, start)
    freeze(network, recipe.frozen_blocks)
    network.to(device).to(memory_format=torch.channels_last)
    bank = people.load_bank(recipe.annotations, recipe.images, device, recipe.limit)
    sprites = None
    if recipe.sprites:
        sprites = people.load_bank(recipe.sprites, recipe.sprites.parent, device)
    if licence := start.metadata.get("licence"):
        log(f"fine-tunes {start.source}, whose licence holds for what comes out: {licence}")
    log(f"{len(bank)} pictures on {device} after {time.monotonic() - started:.0f} s")
    if start.unbalanced:
        balance(network, draw(0, recipe, kind.draws, bank, sprites, device)[0].pictures)
    average = {k: v.detach().clone() for k, v in network.state_dict().items()}
    step_module = kind.step(network).to(device)
    if world > 1:
        step_module = DistributedDataParallel(step_module)
    optimizer = torch.optim.AdamW(
        [
            {"params": _parameters(network, kind.body, True), "share": recipe.body_rate},
            {"params": _parameters(network, kind.body, False), "share": 1.0},
        ],
        lr=recipe.rate, betas=(0.9, 0.98), weight_decay=recipe.weight_decay, fused=True,
    )  # fmt: skip
    try:
        first = resume(recipe.out / "state.pt", network, average, optimizer, device)
    except (RuntimeError, ValueError) as error:
        raise PoseError(
            f"{recipe.out / 'state.pt'} is of another network or recipe: give another --out"
        ) from error
    half = choose_half(recipe.precision, device)
    if recipe.compile:
        _compile(network, kind.compiled)

    sums, since, counted = torch.zeros(5, device=device), time.monotonic(), 0
    for step in range(first, recipe.steps):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * group["share"] * schedule(step, recipe.steps, recipe.warmup)
        batch, u = draw(step, recipe, kind.draws, bank, sprites, device, rank, world)
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            parts = step_module(
                batch.pictures.contiguous(memory_format=torch.channels_last),
                batch.boxes, batch.keypoints, batch.ignore, u,
            )  # fmt: skip
        optimizer.zero_grad(set_to_none=True)
        sum(parts).backward()  # type: ignore[union-attr]
        nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()
        follow(average, network.state_dict(), ema(step, recipe.steps))
        sums += torch.stack([part.detach() for part in parts])
        counted += 1
        late = _anybody(time.monotonic() - started > recipe.stop_after * 60, device)
        if counted == recipe.report or step + 1 == recipe.steps or late:
            seconds = time.monotonic() - since
            log(_line(step + 1, recipe, mean_over_processes(sums / counted), counted, seconds))
            sums, since, counted = torch.zeros(5, device=device), time.monotonic(), 0
            if rank == 0:
                save_state(recipe.out / "state.pt", step + 1, network, average, optimizer)
        if late:
            break

    scores = None
    if rank == 0:
        scores = _finish(recipe, start, average, device, log)
    if world > 1:
        dist.barrier()
        dist.destroy_process_group()
    return scores


def filled(recipe: Recipe, start: Start) -> Recipe:
    """The recipe with what suits the network where it says nothing."""
    kind = KINDS[start.architecture]
    recipe = replace(
        recipe,
        batch=recipe.batch or kind.batch,
        canvas=recipe.canvas or kind.canvas,
        short_side=recipe.short_side or start.short_side,
        rate=recipe.rate or kind.rate,
    )
    if recipe.canvas % 32:
        raise UsageError(f"a canvas of {recipe.canvas} pixels is no multiple of 32")
    return recipe


def draw(
    step: int,
    recipe: Recipe,
    draws: int,
    bank: people.PictureBank,
    sprites: people.PictureBank | None,
    device: torch.device,
    rank: int = 0,
    world: int = 1,
) -> tuple[augment.Batch, Tensor]:
    """A process's share of a step's pictures, and of the `draws` numbers that the losses use."""
    chance = torch.Generator(device).manual_seed(recipe.seed * 1_000_003 + step)
    rows = torch.randint(len(bank), (recipe.batch, 4), generator=chance, device=device)
    u = torch.rand(recipe.batch, augment.DRAWS + draws, generator=chance, device=device)
    share = recipe.batch // world
    mine = slice(rank * share, (rank + 1) * share)
    batch = augment.draw_batch(bank, rows[mine], u[mine, : augment.DRAWS], recipe.canvas, sprites)
    return batch, u[mine, augment.DRAWS :]


def _compile(network: nn.Module, parts: tuple[str, ...]) -> None:
    """Fuse what is many small kernels; a minute's wait for about twice the speed."""
    for part in parts:
        network.get_submodule(part).compile(dynamic=False)
    for module, name in (
        (augment, "sample"),
        (augment, "paste"),
        (augment, "recolour"),
        (augment, "cover"),
        (losses, "proposal_losses"),
    ):
        setattr(module, name, torch.compile(getattr(module, name), dynamic=False))


def mean_over_processes(values: Tensor) -> Tensor:
    """The mean of a tensor over all processes."""
    if dist.is_initialized():
        dist.all_reduce(values)
        values = values / dist.get_world_size()
    return values


def _start_process(name: str, world: int) -> torch.device:
    """The process's device; joins the others where there are any (``torchrun``)."""
    device = choose_device(name)
    if world > 1:
        if device.type == "cuda":
            device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = False
    return device


def _parameters(network: nn.Module, body: tuple[str, ...], inside: bool) -> list[nn.Parameter]:
    """Those of the body that learn, or all others."""
    return [
        p for name, p in network.named_parameters()
        if p.requires_grad and name.startswith(body) == inside
    ]  # fmt: skip


def _anybody(flag: bool, device: torch.device) -> bool:
    """Whether the flag is set on any process: clocks differ, and all must stop at one step."""
    if not dist.is_initialized():
        return flag
    value = torch.tensor(float(flag), device=device)
    dist.all_reduce(value)
    return bool(value > 0)


def _line(step: int, recipe: Recipe, parts: Tensor, counted: int, seconds: float) -> str:
    named = zip(losses.Losses._fields, parts.tolist(), strict=True)
    text = "  ".join(f"{name} {value:.4f}" for name, value in named)
    return f"{step:6d}/{recipe.steps}  {text}  {counted * recipe.batch / seconds:.0f} pictures/s"


def _finish(
    recipe: Recipe,
    start: Start,
    average: dict[str, Tensor],
    device: torch.device,
    log: Callable[[str], None],
) -> DetectorScores | None:
    """Write the averaged weights, and where there is something to judge by, calibrate and score."""
    saved = KINDS[start.architecture].saved
    weights = {k: v.to(saved).cpu().contiguous() for k, v in average.items()}
    file = _save(weights, start.calibration, start, recipe)
    if recipe.val_annotations is None or recipe.val_images is None:
        return None
    options = {"device": str(device), "precision": "fp32", "min_score": 0.01}
    judged = recipe.val_annotations, recipe.val_images
    if start.architecture == "compact":
        _save(weights, NO_CALIBRATION, start, recipe)
        plain = load_detector(file, **options)  # type: ignore[arg-type]
        calibration, honest = calibrate(plain, *judged)  # type: ignore[arg-type]
        _save(weights, calibration, start, recipe)
        plot(honest, recipe.out / "reliability.png")
        log(f"keypoint scores: expected calibration error {honest.error:.4f}")
    else:
        log("keypoint scores are the family's own, not calibrated")
    detector = load_detector(file, **options)  # type: ignore[arg-type]
    scores = evaluate_detector(*judged, detector)
    log(f"OKS-AP {scores.ap:.4f} on {scores.images} pictures: {scores}")
    return scores


def _save(
    weights: dict[str, Tensor], calibration: NDArray[np.float32], start: Start, recipe: Recipe
) -> str:
    """Write the weights for `load_detector`; returns the file."""
    metadata = {
        "architecture": start.architecture,
        **start.metadata,
        "recipe": described(replace(recipe, init=start.source or None)),
        "short_side": str(recipe.short_side),
    }
    if start.architecture == "compact":
        metadata["calibration"] = json.dumps(calibration.tolist())
    path = recipe.out.absolute() / f"{start.architecture}.safetensors"
    with replacing(path) as part:
        save_file(weights, part, metadata)
    return str(path)
