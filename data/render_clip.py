"""Make `rendered_walk.mp4` and `rendered_walk.truth.npz`: a walk whose skeleton is known exactly.

    python data/render_clip.py --motion ../shared/data/motion/cmu.npz

Needs the PyPI package anny (0.6.2) beside pose3d's own dependencies. See README.md in this folder.
"""

import argparse
from pathlib import Path

import numpy as np
from body import Body, Dressed, Outfit
from film import Actor, Film, camera_before, fitted, hall, meta, middle, moved, turned

HERE = Path(__file__).resolve().parent
CLIP, SECONDS = "cmu_09_12", (0.4, 8.4)
SIZE = (1280, 720)
CAMERA_DISTANCE, YAW = 6.9, -np.radians(115)
PHENOTYPE = {"gender": 0.12, "age": 0.66, "height": 0.38, "weight": 0.47, "muscle": 0.55}
OUTFIT = {
    "shirt": (0.42, 0.5, 0.58), "trousers": (0.045, 0.05, 0.065), "shoes": (0.1, 0.045, 0.02),
    "sleeve": 0.55, "waist": 0.02, "loose": 0.018, "hair": 0.017,
}  # fmt: skip
HEAD_RAISED = np.radians(12)  # the walker of this clip watches his feet
CRF = 19


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--motion", type=Path, required=True, help="cmu.npz")
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--stills", type=int, default=0, help="only every n-th frame, as PNG")
    options = parser.parse_args()

    person = Dressed(Body(**PHENOTYPE), Outfit(**OUTFIT))
    posed = fitted(person, options.motion, CLIP, SECONDS, HEAD_RAISED)
    posed = turned(moved(posed, -middle(posed)), YAW)
    place = -posed.h36m[0, 0] * [1, 0, 1]
    actor = Actor(person, moved(posed, place), CLIP, SECONDS)
    film = Film([actor], hall(place), camera_before(place, CAMERA_DISTANCE, SIZE))
    if options.stills:
        film.stills(options.out, options.stills)
        return
    times = film.write(options.out / "rendered_walk.mp4", CRF)
    np.savez_compressed(
        options.out / "rendered_walk.truth.npz",
        time=times,
        **film.truth(0),
        **film.view(),
        meta=meta(actor.facts),
    )


if __name__ == "__main__":
    main()
