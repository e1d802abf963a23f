"""How a recording is shown: which files there are to look at, and what they look like."""

from dataclasses import dataclass
from typing import Any

from pose3d.errors import UsageError
from pose3d.export import FORMATS

SUFFIXES = {name: f".pose3d.{name}" for name in ("mp4", "gif", "png", "html")}
WRITTEN = {name: form.ours for name, form in FORMATS.items()} | SUFFIXES  # all that --save knows
VIEWS = ("side-by-side", "overlay", "3d")


@dataclass(frozen=True)
class Look:
    """How a recording is shown.

    Attributes
    ----------
    view
        One of :data:`VIEWS`: keypoints on the frames at the left and skeletons in space at the
        right, or one of them alone.
    orbit
        Seconds in which the camera of the 3D view goes once around; None: it stands still.
    trail
        Whether the way of everyone's hips is drawn on the floor.
    audio
        Whether videos keep the sound of theirs.
    link
        Whether a page names the video beside it instead of holding a small copy.

    Raises
    ------
    UsageError
        If there is no such view, or nothing for it to do.
    """

    view: str = "side-by-side"
    orbit: float | None = None
    trail: bool = True
    audio: bool = False
    link: bool = False

    def __post_init__(self) -> None:
        if self.view not in VIEWS:
            raise UsageError(f"no view is called {self.view!r}: there are {', '.join(VIEWS)}")
        if self.orbit is not None and (self.view == "overlay" or self.orbit <= 0):
            raise UsageError("only a 3D view can orbit, in more than 0 s: see --view and --orbit")


def decisive(form: str, look: Look, film: bool) -> dict[str, Any]:
    """The choices that decide how something of :data:`SUFFIXES` looks, by their names.

    `film` is whether there is a video to be shown.
    """
    if form == "html":
        video = "left out" if not film else "linked" if look.link else "copied"
        return {"video": video, "audio": look.audio and video == "copied"}
    chosen = {"view": look.view, "orbit": look.orbit, "trail": look.trail}
    return chosen | {"audio": look.audio} if form == "mp4" else chosen


def needs_video(form: str, look: Look) -> bool:
    """Whether something of :data:`SUFFIXES` cannot be made from the recording alone."""
    return form != "html" and look.view != "3d"
