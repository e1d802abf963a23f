"""Make `NAME.found.npz`: whom the bundled detector finds in a rendered clip, and who is where.

    python data/find_people.py rendered_crossing_alike.mp4 --short-side 256

The clip's truth is beside it. A test of tracking needs no more, and no video.
"""

import argparse
from pathlib import Path

import numpy as np

from pose3d import load_detector
from pose3d.pipeline import chunks
from pose3d.video import Video

DIGITS = 1  # after the point of a pixel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("--short-side", type=int, default=None, help="of the detector's input")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent)
    options = parser.parse_args()

    detector = load_detector(device="cpu", short_side=options.short_side)
    # A detector that looks where people were wants frames as `pose3d detect` gives them.
    find, size = getattr(detector, "follow", detector), getattr(detector, "chunk", None) or 8
    times, everyone = [], []
    for batch in chunks(Video(options.video), size):
        times += [frame.time for frame in batch]
        everyone += find([frame.image for frame in batch])
    with np.load(options.video.with_suffix(".truth.npz"), allow_pickle=False) as truth:
        box = truth["box"]
    fields = ("boxes", "scores", "keypoints", "keypoint_scores")
    found = {name: np.concatenate([vars(people)[name] for people in everyone]) for name in fields}
    np.savez_compressed(
        options.out / f"{options.video.stem}.found.npz",
        time=np.array(times),
        count=np.array([len(people) for people in everyone]),
        **{name: values.round(3 if "score" in name else DIGITS) for name, values in found.items()},
        true_box=box,
    )


if __name__ == "__main__":
    main()
