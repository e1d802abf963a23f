"""Where the time of a video goes, stage by stage, on this machine."""

import os
import platform
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import wraps
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from pose3d import pipeline
from pose3d.batch.seats import cores
from pose3d.export import write
from pose3d.options import Options
from pose3d.progress import Progress

SECONDS = 10.0  # of a video, where no end is given
STAGES = ("decode", "detect", "track", "lift", "save")


@dataclass(frozen=True)
class Timing:
    """How long something took that was done `calls` times.

    Attributes
    ----------
    calls
        How often.
    median, low, high
        Of one call, and the 10th and 90th percentile; milliseconds.
    a_frame
        All calls, shared by all frames; milliseconds.
    """

    calls: int
    median: float
    low: float
    high: float
    a_frame: float

    @classmethod
    def of(cls, seconds: Sequence[float], frames: int) -> "Timing":
        """Of the calls' seconds."""
        low, median, high = 1e3 * np.percentile(seconds, [10, 50, 90])
        return cls(len(seconds), median, low, high, 1e3 * float(np.sum(seconds)) / frames)


@dataclass(frozen=True)
class Report:
    """What a video's run took.

    Attributes
    ----------
    video, machine, run
        What was measured, where, and how: name and size; processor, cores and versions; weights,
        device, engine and precision.
    load
        Seconds to load networks and answer once, before the first frame.
    decoding
        Frames alone, one by one.
    stages
        By name, in order: ``decode`` is the wait for frames, which are decoded meanwhile, and
        ``detect`` the wait for people, who are looked for while those before are tracked.
    detection
        The detector's work on a chunk of frames, waited for or not.
    parts
        Of ``detection``; where several threads do them at once, each one's share of a frame.
    """

    video: dict[str, Any]
    machine: dict[str, Any]
    run: dict[str, Any]
    load: float
    decoding: Timing
    stages: dict[str, Timing]
    detection: Timing
    parts: dict[str, Timing]

    @property
    def frame_rate(self) -> float:
        """Frames a second of all stages together, what happens once left out."""
        return 1e3 / sum(timing.a_frame for timing in self.stages.values())

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"frames_per_second": self.frame_rate}


class Laps(Progress):
    """Every single duration of every stage."""

    def __init__(self) -> None:
        super().__init__()
        self.laps: defaultdict[str, list[float]] = defaultdict(list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Note what happens inside as one lap."""
        since = time.perf_counter()
        try:
            with super().stage(name):
                yield
        finally:
            self.laps[name].append(time.perf_counter() - since)


def bench(path: str | PathLike[str], progress: Progress | None = None, **chosen: Any) -> Report:
    """Run all stages on a video and say what each took; nothing is kept.

    Parameters
    ----------
    path
        A video file; its first :data:`SECONDS` are used unless ``end`` is given.
    progress
        Hears how far the run is.
    chosen
        As in :class:`~pose3d.options.Options`.

    Raises
    ------
    PoseError
        If the video cannot be read, has fewer than two frames, or weights cannot be had.
    """
    from pose3d.video import Video

    options = Options(**chosen)
    if options.end is None:
        options = replace(options, end=(options.start or 0) + SECONDS)
    settings = asdict(options)
    video = Video(path, start=options.start, end=options.end)
    alone = Laps()
    first, frames = None, 0
    for frame in alone.waiting("decode", video):
        first = frame if first is None else first
        frames += 1
    assert first is not None  # or Video would have said so
    since = time.perf_counter()
    detector: Any = pipeline.loaded_detector(options)
    pipeline.loaded_lifter(options)
    detector([first.image])  # the first answer takes longer than all others
    load = time.perf_counter() - since
    whole, inside = _Heard(progress), Laps()
    at_once = getattr(getattr(detector, "parts", None), "streams", 1)
    with ExitStack() as stack:
        for owner, method, name in [(detector, "follow", "detection"), *parts_of(detector)]:
            stack.enter_context(timed(owner, method, name, inside, detector.device))
        recording = pipeline.detect(path, progress=whole, **settings)
    recording = pipeline.lift(recording, progress=whole, **settings)
    with tempfile.TemporaryDirectory() as folder, whole.stage("save"):
        write(recording, Path(folder) / "recording.pose3d.npz", form="npz")
    return Report(
        video={"name": Path(path).name, "size": [video.info.width, video.info.height]}
        | {"frames": frames, "people": len(recording)},
        machine=machine(),
        run=run_of(detector, options),
        load=load,
        # The last lap only finds the end.
        decoding=Timing.of(alone.laps["decode"][:frames], frames),
        stages={n: Timing.of(whole.laps[n], frames) for n in STAGES if n in whole.laps},
        detection=Timing.of(inside.laps.pop("detection"), frames),
        parts={n: Timing.of(laps, frames * at_once) for n, laps in inside.laps.items()},
    )


class _Heard(Laps):
    """Laps of a run of which somebody else wants to know how far it is."""

    def __init__(self, listener: Progress | None) -> None:
        super().__init__()
        self._listener = listener or Progress()

    def advance(self, stage: str, done: int, total: int | None = None) -> None:
        self._listener.advance(stage, done, total)


def parts_of(detector: Any) -> list[tuple[Any, str, str]]:
    """The methods that a detector's parts are: whose, which, and what it is called here."""
    from pose3d.detect import Detector
    from pose3d.detect.compact import Regions

    own = isinstance(detector, Detector)  # whose network an engine may run
    network = detector.parts if own else detector.network
    parts = dict(Regions.parts) | {"keypoints": "locate"}
    parts = dict(network.parts) if own else parts
    resize = [(detector, "resize", "resize")] if hasattr(detector, "resize") else []
    return [*resize, *((network, method, name) for name, method in parts.items())]


@contextmanager
def timed(owner: Any, method: str, name: str, laps: Laps, device: Any) -> Iterator[None]:
    """Count the calls of an object's method as laps, while inside."""
    inner, own = getattr(owner, method), method in vars(owner)

    @wraps(inner, updated=())
    def outer(*args: Any, **kwargs: Any) -> Any:
        with laps.stage(name):
            answer = inner(*args, **kwargs)
            if device.type == "cuda":  # it is still at work when the call returns
                import torch

                torch.cuda.synchronize(device)
            return answer

    setattr(owner, method, outer)
    try:
        yield
    finally:
        if own:
            setattr(owner, method, inner)
        else:
            delattr(owner, method)


def run_of(detector: Any, options: Options) -> dict[str, Any]:
    """With what and how a detector runs."""
    parts = getattr(detector, "parts", None)
    precision = getattr(parts, "precision", None) or {
        "torch.float32": "fp32",
        "torch.float16": "fp16",
        "torch.bfloat16": "bf16",
    }.get(str(detector.dtype))
    return {
        "detector": options.weights("detector"),
        "lifter": options.weights("lifter"),
        "device": str(detector.device),
        "engine": getattr(parts, "engine", "torch"),
        "precision": precision,
    }


def machine() -> dict[str, Any]:
    """What figures depend on: processor, cores, who else was at work, versions."""
    import torch

    found: dict[str, Any] = {
        "processor": _processor(),
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in ("pose3d", "torch", "openvino", "av")},
    }
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    return found


def _processor() -> str:
    """The processor's name; Linux says it in one place only."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        text = ""
    names = [line.split(":", 1)[1] for line in text.splitlines() if line.startswith("model name")]
    return names[0].strip() if names else platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
