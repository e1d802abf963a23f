"""Places for workers: a device and a share of the cores each."""

import os
from dataclasses import dataclass

from pose3d.errors import UsageError


@dataclass(frozen=True)
class Seat:
    """A place for a worker: its name, its device, and how many threads it may use."""

    name: str
    device: str
    threads: int


def seats(device: str, workers: int | None) -> list[Seat]:
    """Places for workers.

    Parameters
    ----------
    device
        As of the options; ``cuda`` is every GPU that is visible, and several can be named with
        commas between them.
    workers
        How many; by default one for every device.

    Raises
    ------
    UsageError
        If there is no such device.
    """
    devices = device.split(",")
    if device == "cuda" or (device == "auto" and (workers or 1) > 1):
        import torch

        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
            devices = [device]
    if device == "cuda":
        devices = [f"cuda:{n}" for n in range(torch.cuda.device_count())] or ["cuda"]
    if len(devices) > 1 or device == "cuda":
        from pose3d.detect.base import choose_device

        for name in devices:
            choose_device(name)
    if workers is not None and workers < 1:
        raise UsageError(f"{workers} workers do nothing: give 1 or more")
    count = max(workers or 0, len(devices))
    threads = max(cores() // count, 1)
    chosen = [devices[n % len(devices)] for n in range(count)]
    return [Seat(f"{d.replace(':', '-')}.{n}", d, threads) for n, d in enumerate(chosen, 1)]


def cores() -> int:
    """Cores that this process may use: in containers and batch systems not all of them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
