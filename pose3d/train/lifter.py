"""Train the temporal lifter: what makes ``checkpoints/temporal.safetensors``.

Reads top to bottom: recipe, network, loop, depth, save. Motion, cameras and noise are drawn on the
device in whole batches; all chance comes from the seed and the step, so a resumed run is exact.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pose3d.detect.base import choose_device
from pose3d.evaluate.lifter import MEASURED, evaluate_lifter
from pose3d.lift import load_lifter, normalise
from pose3d.lift.lifter import Lifter
from pose3d.lift.network import TemporalModel
from pose3d.train import cameras, depth, motion
from pose3d.train.noise import HARD, NOISES, Noise, shake
from pose3d.train.schedule import choose_half, described, ema, follow, resume, save_state, schedule

# Sequences by which depths are fitted, so many at once, and frames of each.
DEPTH_SEQUENCES, DEPTH_BATCH, DEPTH_FRAMES = 2048, 128, 9


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how a lifter turns out, and where it goes.

    Attributes
    ----------
    archives
        Motion to train on.
    out
        Folder of ``temporal.safetensors`` and of the state to resume from.
    held_out
        An archive to judge on; without it nothing is judged.
    init
        A lifter of the same shape to start from, by name, URL or path; else from nothing.
    steps, batch
        Length of the schedule, and sequences a step.
    outputs
        Frames of each sequence that are lifted, a `TemporalModel.spacing` apart.
    rate
        Peak learning rate.
    stop_after
        Minutes after which the state is saved and the call ends.
    """

    archives: tuple[Path, ...]
    out: Path
    held_out: Path | None = None
    init: str | None = None
    filter_widths: tuple[int, ...] = (3, 3, 3, 5)
    channels: int = 768
    dropout: float = 0.0
    steps: int = 30_000
    batch: int = 1024
    outputs: int = 5
    rate: float = 1e-3
    warmup: int = 500
    weight_decay: float = 0.01
    precision: str = "auto"
    noise: Noise = HARD
    wrong_focal: float = 0.2
    seed: int = 0
    device: str = "auto"
    stop_after: float = float("inf")
    report: int = 500


def train(recipe: Recipe, log: Callable[[str], None] = print) -> None:
    """Train, resuming where ``out`` holds a state."""
    started = time.monotonic()
    device = choose_device(recipe.device)
    torch.set_float32_matmul_precision("high")
    recipe.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    config = {
        "inputs": 17, "features": 3, "outputs": 17, "filter_widths": recipe.filter_widths,
        "channels": recipe.channels, "causal": False,
    }  # fmt: skip
    network = TemporalModel(**config, dropout=recipe.dropout).to(device)  # type: ignore[arg-type]
    if recipe.init:
        network.load_state_dict(load_lifter(recipe.init, "cpu").network.state_dict())
    average = {k: v.detach().clone() for k, v in network.state_dict().items()}
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=recipe.rate, weight_decay=recipe.weight_decay, fused=True
    )
    first = resume(recipe.out / "state.pt", network, average, optimizer, device)
    half = choose_half(recipe.precision, device)
    bank = motion.load_motion(list(recipe.archives), device)
    log(f"{len(bank.points)} frames on {device} after {time.monotonic() - started:.0f} s")

    total, since, counted = torch.zeros((), device=device), time.monotonic(), 0
    for step in range(first, recipe.steps):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * schedule(step, recipe.steps, recipe.warmup)
        chance = torch.Generator(device).manual_seed(recipe.seed * 1_000_003 + step)
        with torch.no_grad():
            inputs, target = draw_batch(bank, recipe, chance)
        network.train()
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            predicted = network.strided(inputs).flatten(0, 1).float()
        loss = pose_loss(predicted, target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        follow(average, network.state_dict(), ema(step, recipe.steps))
        total += (predicted.detach() - target).norm(dim=-1).mean()
        counted += 1
        late = time.monotonic() - started > recipe.stop_after * 60
        if (step + 1) % recipe.report == 0 or late or step + 1 == recipe.steps:
            speed = counted / (time.monotonic() - since)
            error = 1000 * total.item() / counted
            log(f"{step + 1:6d}/{recipe.steps}  {error:.1f} mm  {speed:.1f} steps/s")
            total, since, counted = torch.zeros((), device=device), time.monotonic(), 0
            save_state(recipe.out / "state.pt", step + 1, network, average, optimizer)
        if late:
            break

    network.load_state_dict(average)
    factor = depth_factor(network, bank, recipe)
    log(f"depths times {factor:.3f}")
    deep = depth.deepened(average, factor)
    weights = {k: v.half().cpu() for k, v in deep.items() if "num_batches" not in k}
    metadata = {
        "architecture": "temporal",
        "config": json.dumps(
            {**config, "normalisation": "person", "rate": motion.FRAMES_PER_SECOND}
        ),
        "recipe": described(recipe),
        "depths_times": f"{factor:.4f}",
    }
    save_file(weights, recipe.out / "temporal.safetensors", metadata)
    if recipe.held_out:
        network.load_state_dict({k: v.float() for k, v in weights.items()}, strict=False)
        lifter = Lifter(network, "person", motion.FRAMES_PER_SECOND, str(device))
        for name, noise in NOISES.items():
            scores = evaluate_lifter(lifter, recipe.held_out, noise)
            log(f"noise {name}: {scores.all}, limbs {scores.limbs:.1f} mm")


def draw_batch(
    bank: motion.MotionBank, recipe: Recipe, chance: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Network inputs (B, T, 51) and joints (B * outputs, 17, 3) of the frames that come out."""
    reach, margin = prod(recipe.filter_widths), normalise.SIZE_FRAMES
    apart = prod(recipe.filter_widths[:-1])
    frames = reach + 2 * margin + (recipe.outputs - 1) * apart
    points = motion.draw(bank, recipe.batch, frames, chance)
    seen = cameras.look(points, chance)
    keypoints, scores = shake(seen.keypoints, seen.depth, recipe.noise, chance)
    # The camera's focal length is often a guess.
    guess = torch.randn(len(points), generator=chance, device=points.device) * recipe.wrong_focal
    inputs, rotation = normalise.person(keypoints * guess.exp()[:, None, None, None], scores)
    middle = margin + reach // 2 + apart * torch.arange(recipe.outputs, device=points.device)
    joints = seen.joints[:, middle] - seen.joints[:, middle, :1]
    target = torch.einsum("btij,btkj->btki", rotation[:, middle], joints)
    return inputs[:, margin:-margin], target.flatten(0, 1)


@torch.inference_mode()
def depth_factor(network: TemporalModel, bank: motion.MotionBank, recipe: Recipe) -> float:
    """What this network's depths are to be multiplied by, of motion as it was trained on.

    The motion is varied: a lifter is surer of what it knows as it was recorded. The noise is our
    detector's, and the focal length known, as where it is asked how far away somebody is.
    """
    chance = torch.Generator(bank.points.device).manual_seed(recipe.seed)
    ahead = replace(recipe, batch=DEPTH_BATCH, outputs=DEPTH_FRAMES, noise=MEASURED, wrong_focal=0)
    predicted, truth = [], []
    network.eval()
    for _ in range(DEPTH_SEQUENCES // DEPTH_BATCH):
        inputs, target = draw_batch(bank, ahead, chance)
        predicted.append(depth.lifted(network, inputs))
        truth.append(target.unflatten(0, (-1, DEPTH_FRAMES)))
    return depth.fitted_factor(torch.cat(predicted), torch.cat(truth))


def pose_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean distance of the joints (B, 17, 3), plus that after the best similarity transform.

    The transform is taken as given: nothing is learned through it.
    """
    plain = (predicted - target).norm(dim=-1).mean()
    middle, goal = predicted.mean(1, keepdim=True), target.mean(1, keepdim=True)
    rotation = _turn(predicted.detach() - middle.detach(), target - goal)
    turned = torch.einsum("bij,bkj->bki", rotation, predicted - middle)
    factor = (turned * (target - goal)).sum((1, 2)) / (turned**2).sum((1, 2)).clamp(min=1e-6)
    placed = turned * factor.detach()[:, None, None]
    return plain + (placed - (target - goal)).norm(dim=-1).mean()


def _turn(points: Tensor, goal: Tensor) -> Tensor:
    """Rotations (B, 3, 3) that bring centred points (B, 17, 3) nearest to the goal: Kabsch."""
    u, _, v = torch.linalg.svd(torch.einsum("bki,bkj->bij", goal, points))
    handed = torch.ones_like(u[:, 0])
    handed[:, 2] = torch.linalg.det(u @ v)
    return (u * handed[:, None]) @ v
