"""What decides how a video is treated."""

import re
from dataclasses import dataclass

from pose3d.body import parse_heights
from pose3d.camera import check_camera
from pose3d.camera_file import calibration
from pose3d.choices import DECODERS, ENGINES, PRECISIONS, SHORT_SIDES, STEPS
from pose3d.errors import PoseError, UsageError
from pose3d.weights import default

# Options that change where and how fast, but not what comes out.
WITHOUT_EFFECT = ("device", "engine", "decoder", "batch_size")
# Options that only stage 2 heeds.
LIFTING = ("lifter", "fov", "focal_length", "camera", "camera_up", "height", "skip")
DEVICE = re.compile(r"auto|(cpu|cuda|mps|xpu)(:\d+)?")


@dataclass(frozen=True)
class Options:
    """What decides how a video is treated.

    Attributes
    ----------
    detector, lifter
        Weights by name, URL or file; None for the default ones.
    dialect
        How weights of a file are to be run that does not say it, such as ``detectron2-d1``.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:1``.
    precision
        Of the detector: ``auto`` (half on a GPU, single on a CPU), ``fp32``, ``fp16``, ``bf16``.
    engine
        What runs the detector: ``auto`` (OpenVINO on a CPU and Triton on a GPU, where they are
        installed), ``torch``, ``openvino``, ``triton``.
    decoder
        What decodes videos for a GPU: ``cpu``, ``gpu`` (NVIDIA's, where it knows the format) or
        ``auto``, the CPU where there are many cores. Both give the same pictures.
    short_side
        Of the detector's input, pixels; None for a size that follows the people (our own weights)
        or 800 (public ones).
    batch_size
        Frames that the detector sees at once.
    start, end
        Seconds of the video to use; None for all.
    people
        Whom to keep: ``all``, ``main`` (who is on screen longest and largest) or a number.
    person
        The only one to keep, by id; None for whom `people` says.
    min_track
        Seconds that somebody must be seen to count.
    min_score
        Of a detected person, in [0, 1].
    max_people
        At most so many in one frame.
    fov, focal_length, camera
        The camera: field of view over the longer side in degrees, focal length in pixels, or a
        file, see :func:`pose3d.camera.choose_camera`; at most one of them.
    camera_up
        Which way is up for the camera: ``auto``, ``image`` or ``X,Y,Z``.
    height
        How tall people are: ``1.78m``, or ``1=1.78m,2=165cm`` by id; kept in metres.
    skip
        Steps of :data:`~pose3d.choices.STEPS` to leave out; kept in their order.

    Raises
    ------
    UsageError
        If one of them cannot mean anything, whatever the video, or two say the same.

    Notes
    -----
    What has several spellings is kept in one, so that files can tell by it what made them.
    """

    detector: str | None = None
    lifter: str | None = None
    dialect: str | None = None
    device: str = "auto"
    precision: str = "auto"
    engine: str = "auto"
    decoder: str = "auto"
    short_side: int | None = None
    batch_size: int = 8
    start: float | None = None
    end: float | None = None
    people: str | int = "all"
    person: int | None = None
    min_track: float = 0.5
    min_score: float = 0.2
    max_people: int = 20
    fov: float | None = None
    focal_length: float | None = None
    camera: str | None = None
    camera_up: str = "auto"
    height: str | None = None
    skip: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_numbers(self)
        _check_words(self)
        _check_camera(self)
        if self.height is not None:
            self._keep("height", _height(str(self.height)))
        self._keep("camera_up", _up(self.camera_up))
        self._keep("skip", tuple(step for step in STEPS if step in self.skip))

    def _keep(self, name: str, value: object) -> None:
        """Put the one spelling of an option in the place of the given one."""
        object.__setattr__(self, name, value)  # as frozen dataclasses have it in __post_init__

    def weights(self, kind: str) -> str:
        """Name, URL or file of the ``detector`` or ``lifter``."""
        return str(getattr(self, kind) or default(kind))  # type: ignore[arg-type]

    def dialect_of(self, kind: str) -> str | None:
        """The dialect, if it is one of a ``detector`` or ``lifter``; only VideoPose3D's lift."""
        lifts = (self.dialect or "").startswith("videopose3d")
        return self.dialect if lifts == (kind == "lifter") else None


def count(people: str | int) -> int | None:
    """How many people an option like ``main`` or 2 keeps; None for all.

    Raises
    ------
    UsageError
        If it is neither ``all``, ``main`` nor a number above 0.
    """
    named = {"all": None, "main": 1}
    if people in named:
        return named[str(people)]
    if str(people).isdecimal() and int(people) > 0:
        return int(people)
    raise UsageError(f"people can be all, main or a number above 0, not {people!r}")


def check_device(name: str) -> None:
    """Refuse what can be no device on any machine.

    Raises
    ------
    UsageError
        If it is none of ``auto``, ``cpu``, ``cuda``, ``cuda:1`` and the like.
    """
    if not DEVICE.fullmatch(name):
        raise UsageError(f"no device is called {name!r}: try auto, cpu, cuda or cuda:1")


def _check_numbers(options: Options) -> None:
    count(options.people)
    if options.batch_size < 1:
        raise UsageError(f"a batch of {options.batch_size} frames is none: give 1 or more")
    if options.end is not None and options.end <= (options.start or 0):
        raise UsageError(
            f"nothing lies between {options.start or 0} s and {options.end} s: end it later"
        )
    if not options.min_track >= 0:
        raise UsageError(f"nobody is seen for {options.min_track} s: give 0 or more")
    if not 0 <= options.min_score <= 1:
        raise UsageError(f"no score is {options.min_score:g}: --min-score is from 0 to 1")
    if options.max_people < 1:
        raise UsageError(f"{options.max_people} people are nobody: give 1 or more")
    if options.person is not None and options.person < 1:
        raise UsageError(f"no person has the number {options.person}: they count from 1")
    low, high = SHORT_SIDES
    if options.short_side is not None and not low <= options.short_side <= high:
        raise UsageError(f"a short side of {options.short_side} is not {low} to {high} pixels")


def _check_words(options: Options) -> None:
    check_device(options.device)
    if options.precision not in PRECISIONS:
        tried = ", ".join(PRECISIONS)
        raise UsageError(f"no precision is called {options.precision!r}: try {tried}")
    if options.engine not in ENGINES:
        raise UsageError(f"no engine is called {options.engine!r}: try {', '.join(ENGINES)}")
    if options.decoder not in DECODERS:
        raise UsageError(f"no decoder is called {options.decoder!r}: try {', '.join(DECODERS)}")
    if unknown := set(options.skip) - set(STEPS):
        raise UsageError(f"{min(unknown)!r} is no step to skip: there are {', '.join(STEPS)}")
    if options.dialect is not None:
        from pose3d.weights.formats import DIALECTS  # which needs torch

        known = [name for names in DIALECTS.values() for name in names]
        if options.dialect not in known:
            raise UsageError(f"no dialect is called {options.dialect!r}: try {', '.join(known)}")


def _check_camera(options: Options) -> None:
    """What can be said of a camera before the video's size is known."""
    check_camera(options.fov, options.focal_length, options.camera)
    if options.camera is not None:
        try:
            calibration(options.camera)
        except PoseError as error:
            raise UsageError(f"--camera {error}") from error


def _height(text: str) -> str:
    """Heights in metres, by id: the one spelling of ``178``, ``178cm`` and ``1.78m``."""
    heights = sorted(parse_heights(text).items(), key=lambda item: item[0] or 0)
    return ",".join(f"{height:g}m" if n is None else f"{n}={height:g}m" for n, height in heights)


def _up(text: str) -> str:
    """Which way is up, in the one spelling."""
    from pose3d.world import parse_up

    up = parse_up(text)
    return up if isinstance(up, str) else ",".join(f"{number + 0.0:.6g}" for number in up)
