"""What decides how a video is treated."""

from dataclasses import dataclass

from pose3d.errors import UsageError
from pose3d.weights import default

# Options that change where and how fast, but not what comes out.
WITHOUT_EFFECT = ("device", "engine", "batch_size")
# Options that only stage 2 heeds.
LIFTING = ("lifter", "fov", "focal_length", "camera", "camera_up", "height", "skip")


# Steps of stage 2 that can be skipped, see :mod:`pose3d.recipe`.
STEPS = ("clean", "steady", "world", "feet")


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
        What runs the detector: ``auto`` (OpenVINO on a CPU, where it is installed), ``torch``,
        ``openvino``.
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
        How tall people are: ``1.78m``, or ``1=1.78m,2=165cm`` by id.
    skip
        Steps of :data:`STEPS` to leave out.
    """

    detector: str | None = None
    lifter: str | None = None
    dialect: str | None = None
    device: str = "auto"
    precision: str = "auto"
    engine: str = "auto"
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
        count(self.people)
        if self.batch_size < 1:
            raise UsageError(f"a batch of {self.batch_size} frames is none: give 1 or more")
        if self.end is not None and self.end <= (self.start or 0):
            raise UsageError(
                f"nothing lies between {self.start or 0} s and {self.end} s: end it later"
            )
        if self.min_track < 0:
            raise UsageError(f"nobody is seen for {self.min_track} s: give 0 or more")
        if unknown := set(self.skip) - set(STEPS):
            raise UsageError(f"{min(unknown)!r} is no step to skip: there are {', '.join(STEPS)}")

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
