"""Make `rendered_crossing.mp4` and its truth: two people who pass in front of each other.

    python data/render_crossing.py --motion ../shared/data/motion/cmu.npz

They cross three times; the first and second time another one is in front. With `--alike` both wear
the same clothes, which is harder. Needs anny, as `render_clip.py` does.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from body import Body, Dressed, Outfit
from film import Actor, Film, camera_before, fitted, hall, meta, middle, moved, turned

HERE = Path(__file__).resolve().parent
SIZE = (960, 540)
CAMERA_DISTANCE = 6.1
LENGTH = 8.4  # seconds
CRF = 25


@dataclass(frozen=True)
class Role:
    """Who walks as in `clip` from `start` s on, turned by `yaw`, the head `raised` (degrees)."""

    clip: str
    start: float
    yaw: float
    raised: float
    phenotype: dict[str, float]
    outfit: dict[str, Any]


ROLES = (
    Role(
        "cmu_09_12", 5.0, 60, 12,
        {"gender": 0.1, "age": 0.7, "height": 0.44, "weight": 0.6, "muscle": 0.6},
        {"shirt": (0.3, 0.05, 0.05), "trousers": (0.05, 0.07, 0.13), "sleeve": 0.6,
         "hair": 0.014, "skin": (0.42, 0.25, 0.16)},
    ),
    Role(
        "cmu_06_13", 2.0, 270, 0,
        {"gender": 0.9, "age": 0.66, "height": 0.36, "weight": 0.42, "muscle": 0.45},
        {"shirt": (0.5, 0.47, 0.36), "trousers": (0.03, 0.03, 0.035), "sleeve": 1.9,
         "hair": 0.024, "long_hair": True, "hair_colour": (0.16, 0.09, 0.05), "seed": 4},
    ),
)  # fmt: skip


def acted(role: Role, outfit: dict[str, Any], archive: Path) -> Actor:
    """A role played in the middle of the world."""
    person = Dressed(Body(**role.phenotype), Outfit(**outfit))
    seconds = (role.start, role.start + LENGTH)
    posed = fitted(person, archive, role.clip, seconds, np.radians(role.raised))
    posed = turned(posed, np.radians(role.yaw))
    return Actor(person, moved(posed, -middle(posed)), role.clip, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--motion", type=Path, required=True, help="cmu.npz")
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--alike", action="store_true", help="both in the same clothes")
    parser.add_argument("--stills", type=int, default=0, help="only every n-th frame, as PNG")
    options = parser.parse_args()

    outfits = [ROLES[0].outfit if options.alike else role.outfit for role in ROLES]
    actors = [
        acted(role, outfit, options.motion) for role, outfit in zip(ROLES, outfits, strict=True)
    ]
    place = np.zeros(3)
    film = Film(actors, hall(place), camera_before(place, CAMERA_DISTANCE, SIZE))
    if options.stills:
        film.stills(options.out, options.stills)
        return
    name = "rendered_crossing" + ("_alike" if options.alike else "")
    times = film.write(options.out / f"{name}.mp4", CRF)
    everyone = [film.truth(n) for n in range(len(actors))]
    stored = ("keypoints_2d", "visibility", "box", "joints_camera")
    np.savez_compressed(
        options.out / f"{name}.truth.npz",
        time=times,
        **{key: np.stack([truth[key] for truth in everyone]) for key in stored},
        shown=film.shown,
        **film.view(),
        meta=meta({"people": [actor.facts for actor in actors]}),
    )


if __name__ == "__main__":
    main()
