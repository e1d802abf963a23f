"""Train the compact detector: what makes ``checkpoints/compact.safetensors``.

Reads top to bottom: recipe, network, data, loop, save. One GPU or several (``torchrun``); every
random number comes from the seed and the step, so a resumed run and a run over several processes
go the same way as one that was never interrupted or split.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from pose3d.detect import architectures
from pose3d.detect.compact import Limits
from pose3d.detect.detector import Detector, choose_device
from pose3d.errors import PoseError
from pose3d.evaluate.detector import DetectorScores, evaluate_detector
from pose3d.train import losses, people
from pose3d.train.calibrate import calibrate, plot
from pose3d.train.schedule import choose_half, described, ema, follow, resume, save_state, schedule

BROUGHT = ("body.", "pyramid.decoder.", "pyramid.prior.")  # what MoveNet's file holds
OUTPUTS = ("objectness", "deltas", "score", "heatmap", "nowhere")


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
        Folder of ``compact.safetensors`` and of the state to resume from.
    sprites
        COCO file of cut-out people (RGBA pictures beside it) to lay over the pictures.
    init
        Weights to start from: MoveNet's ``.npz`` (body and decoder) or an earlier checkpoint.
    steps, batch
        Length of the schedule, and pictures a step over all processes.
    canvas
        Side of the pictures made, pixels.
    short_side
        Of the network's input once it is trained.
    rate, body_rate
        Peak learning rate, and the share of it that the body, its decoder and its heatmaps get.
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
    init: Path | None = None
    steps: int = 10_000
    batch: int = 128
    canvas: int = 384
    short_side: int = 384
    rate: float = 1e-3
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


def train(recipe: Recipe, log: Callable[[str], None] = print) -> DetectorScores | None:
    """Train, resuming where ``out`` holds a state; returns the figures of the finished detector."""
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    device = _start_process(recipe.device, world)
    recipe.out.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()

    torch.manual_seed(recipe.seed)
    network = architectures.build("compact")
    initialise(network, recipe.init)
    freeze(network, recipe.frozen_blocks)
    network.to(device).to(memory_format=torch.channels_last)
    bank = people.load_bank(recipe.annotations, recipe.images, device, limit=recipe.limit)
    sprites = None
    if recipe.sprites:
        sprites = people.load_bank(recipe.sprites, recipe.sprites.parent, device)
    log(f"{len(bank)} pictures on {device} after {time.monotonic() - started:.0f} s")
    if not _is_ours(recipe.init):
        balance(network, draw(0, recipe, bank, sprites, device)[0].pictures)
    average = {k: v.detach().clone() for k, v in network.state_dict().items()}
    step_module: nn.Module = losses.TrainingStep(network)  # type: ignore[arg-type]
    if world > 1:
        step_module = DistributedDataParallel(step_module)
    optimizer = torch.optim.AdamW(
        [
            {"params": _parameters(network, known=True), "share": recipe.body_rate},
            {"params": _parameters(network, known=False), "share": 1.0},
        ],
        lr=recipe.rate, betas=(0.9, 0.98), weight_decay=recipe.weight_decay, fused=True,
    )  # fmt: skip
    first = resume(recipe.out / "state.pt", network, average, optimizer, device)
    half = choose_half(recipe.precision, device)
    if recipe.compile:
        _compile(network)

    sums, since, counted = torch.zeros(5, device=device), time.monotonic(), 0
    for step in range(first, recipe.steps):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * group["share"] * schedule(step, recipe.steps, recipe.warmup)
        batch, u = draw(step, recipe, bank, sprites, device, rank, world)
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
        scores = _finish(recipe, average, device, log)
    if world > 1:
        dist.barrier()
        dist.destroy_process_group()
    return scores


def draw(
    step: int,
    recipe: Recipe,
    bank: people.PictureBank,
    sprites: people.PictureBank | None,
    device: torch.device,
    rank: int = 0,
    world: int = 1,
) -> tuple[people.Batch, Tensor]:
    """A process's share of a step's pictures, and of the chance that the losses use."""
    chance = torch.Generator(device).manual_seed(recipe.seed * 1_000_003 + step)
    rows = torch.randint(len(bank), (recipe.batch, 4), generator=chance, device=device)
    u = torch.rand(recipe.batch, people.DRAWS + losses.DRAWS, generator=chance, device=device)
    share = recipe.batch // world
    mine = slice(rank * share, (rank + 1) * share)
    batch = people.draw_batch(bank, rows[mine], u[mine, : people.DRAWS], recipe.canvas, sprites)
    return batch, u[mine, people.DRAWS :]


def _compile(network: nn.Module) -> None:
    """Fuse what is many small kernels; a minute's wait for about twice the speed."""
    for part in (network.body, network.pyramid, network.keypoint_head):
        part.compile(dynamic=False)  # type: ignore[union-attr, operator]
    for module, name in (
        (people, "sample"),
        (people, "paste"),
        (people, "recolour"),
        (people, "cover"),
        (losses, "proposal_losses"),
    ):
        setattr(module, name, torch.compile(getattr(module, name), dynamic=False))


def initialise(network: nn.Module, path: Path | None) -> None:
    """He's initialisation where ReLUs follow, and weights from a file where it has them."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if isinstance(module, nn.ConvTranspose2d):
                module.weight.data *= 2  # stride 2: every output sees a quarter of the kernel
            if name.rsplit(".")[-1] in OUTPUTS:
                nn.init.zeros_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    nn.init.constant_(network.rpn.objectness.bias, -4.0)  # type: ignore[union-attr, arg-type]
    if path is None:
        return
    if not _is_ours(path):
        with np.load(path, allow_pickle=False) as file:
            start = {_movenet_name(k): torch.from_numpy(file[k]).float() for k in file.files}
        start = {k: v for k, v in start.items() if not k.startswith("heads.")}  # unused ones
    else:
        start = {k: v.float() for k, v in load_file(path).items()}
    unknown = network.load_state_dict(start, strict=False).unexpected_keys
    if unknown:
        raise PoseError(f"{path} holds weights of another network: {', '.join(unknown[:3])} …")


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


def _is_ours(path: Path | None) -> bool:
    """Whether weights to start from are a whole detector's, not MoveNet's ``.npz`` or none."""
    return path is not None and path.suffix != ".npz"


def _movenet_name(name: str) -> str:
    if name.startswith("fpn."):
        return name.replace("fpn.", "pyramid.decoder.")
    if name.startswith("heads.kpt_heatmap."):
        return name.replace("heads.kpt_heatmap.", "pyramid.prior.")
    return name if name.startswith("heads.") else f"body.{name}"


def freeze(network: nn.Module, blocks: int) -> None:
    """Keep the body's stem and first blocks as they are."""
    if blocks:
        for part in (network.body.stem, *network.body.blocks[:blocks]):  # type: ignore[union-attr, index]
            part.requires_grad_(False)


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


def _parameters(network: nn.Module, known: bool) -> list[nn.Parameter]:
    """Those that MoveNet brings along, or all others."""
    return [
        p for name, p in network.named_parameters()
        if p.requires_grad and name.startswith(BROUGHT) == known
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
    recipe: Recipe, average: dict[str, Tensor], device: torch.device, log: Callable[[str], None]
) -> DetectorScores | None:
    """Write the averaged weights, and where there is something to judge by, calibrate and score."""
    calibration = np.tile(np.array([1, 0], np.float32), (17, 1))
    weights = {k: v.half().cpu().contiguous() for k, v in average.items()}
    _save(weights, calibration, recipe)
    if recipe.val_annotations is None or recipe.val_images is None:
        return None
    network = architectures.build("compact")
    network.load_state_dict({k: v.float() for k, v in weights.items()})
    options = {"short_side": recipe.short_side, "device": str(device), "precision": "fp32"}
    judged = recipe.val_annotations, recipe.val_images
    plain = Detector(network, calibration, min_score=0.01, **options)  # type: ignore[arg-type]
    calibration, honest = calibrate(plain, *judged)
    _save(weights, calibration, recipe)
    plot(honest, recipe.out / "reliability.png")
    log(f"keypoint scores: expected calibration error {honest.error:.4f}")
    detector = Detector(network, calibration, min_score=0.01, **options)  # type: ignore[arg-type]
    scores = evaluate_detector(*judged, detector)
    log(f"OKS-AP {scores.ap:.4f} on {scores.images} pictures: {scores}")
    return scores


def _save(weights: dict[str, Tensor], calibration: NDArray[np.float32], recipe: Recipe) -> None:
    metadata = {
        "architecture": "compact",
        "config": "{}",
        "calibration": json.dumps(calibration.tolist()),
        "short_side": str(recipe.short_side),
        "recipe": described(recipe),
    }
    save_file(weights, recipe.out / "compact.safetensors", metadata)
