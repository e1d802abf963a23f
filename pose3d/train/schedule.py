"""How a run goes, whatever is trained: learning rate, precision, averaged weights, resuming."""

import json
from dataclasses import asdict
from math import cos, pi
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


def schedule(step: int, steps: int, warmup: int) -> float:
    """Share of the peak learning rate: linear warm-up, then half a cosine down to a hundredth."""
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(steps - warmup, 1)
    return 0.01 + 0.99 * (0.5 + 0.5 * cos(pi * min(done, 1.0)))


def ema(step: int, steps: int) -> float:
    """Decay of the averaged weights: over a twentieth of the schedule, over less at the start."""
    return min(1 - 20 / max(steps, 40), (step + 1) / (step + 10))


def follow(average: dict[str, Tensor], current: dict[str, Tensor], decay: float) -> None:
    """One step of the exponential moving average of weights and norms."""
    names = [name for name, value in average.items() if value.is_floating_point()]
    torch._foreach_lerp_([average[n] for n in names], [current[n] for n in names], 1 - decay)


def choose_half(precision: str, device: torch.device) -> bool:
    """Whether to train in bf16; ``auto`` does on a GPU."""
    return device.type == "cuda" if precision == "auto" else precision == "bf16"


def described(recipe: Any) -> str:
    """A recipe as JSON for a checkpoint's metadata; files by their names alone."""

    def plain(value: Any) -> Any:
        if isinstance(value, Path):
            return value.name
        return [plain(v) for v in value] if isinstance(value, tuple) else str(value)

    return json.dumps({name: plain(value) for name, value in asdict(recipe).items()})


def save_state(
    path: Path,
    step: int,
    network: nn.Module,
    average: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
) -> None:
    """Write all that a run needs to go on."""
    state = {
        "step": step,
        "network": network.state_dict(),
        "average": average,
        "optimizer": optimizer.state_dict(),
    }
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def resume(
    path: Path,
    network: nn.Module,
    average: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    device: torch.device,
) -> int:
    """Load the state if there is one; returns the step to go on with."""
    if not path.exists():
        return 0
    state = torch.load(path, map_location=device, weights_only=True)
    network.load_state_dict(state["network"])
    average.update(state["average"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])
