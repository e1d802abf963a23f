"""What engine and precision do to the keypoints of the compact network.

python benchmarks/precision.py ANNOTATIONS.json IMAGES [--every 10] [--short-side PX] [--json FILE]

On labelled pictures in COCO's format, beside torch in single precision: OKS-AP, how many people of
score 0.2 and more are found again, how far their keypoints of score 0.3 and more move, and
processor time of a picture, all of it.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pose3d.bench import machine  # noqa: E402
from pose3d.detect import load_detector  # noqa: E402
from pose3d.evaluate.detector import coco_results, score  # noqa: E402
from pose3d.likeness import overlap  # noqa: E402
from pose3d.pictures import read_picture  # noqa: E402
from pose3d.sequence import People  # noqa: E402
from pose3d.train.people import read_annotations  # noqa: E402

WAYS = (("torch", "fp32"), ("openvino", "fp32"), ("openvino", "auto"), ("torch", "bf16"))
SURE, SEEN = 0.2, 0.3  # scores of people and keypoints that are compared
SAME_BOX = 0.8  # overlap


@dataclass(frozen=True)
class Row:
    """One way to run; `found` of `people`, shift in pixels of the picture."""

    engine: str
    precision: str
    ap: float
    ap50: float
    found: int
    people: int
    median_shift: float
    cpu_ms: float


def shifts(before: People, now: People) -> list[np.ndarray]:
    """How far the keypoints of everyone who is found again have moved."""
    answers = []
    for person in range(len(before)):
        if before.scores[person] < SURE or not len(now):
            continue
        shared = overlap(before.boxes[person], now.boxes)
        if shared.max() < SAME_BOX:
            continue
        moved = np.linalg.norm(now.keypoints[shared.argmax()] - before.keypoints[person], axis=-1)
        answers.append(moved[before.keypoint_scores[person] >= SEEN])
    return answers


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("annotations", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--short-side", type=int, help="of the input; follows the people if absent")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    coco = read_annotations(chosen.annotations)
    pictures = coco["images"][:: chosen.every]
    detectors = [
        load_detector(
            device="cpu",
            precision=precision,
            engine=engine,
            min_score=0.01,
            short_side=chosen.short_side,
        )
        for engine, precision in WAYS
    ]
    results: list[list[dict]] = [[] for _ in WAYS]
    moved: list[list[np.ndarray]] = [[] for _ in WAYS]
    seconds = np.zeros(len(WAYS))
    people = 0
    for picture in pictures:
        image = read_picture(chosen.images / picture["file_name"])
        found = []
        for n, detector in enumerate(detectors):
            since = time.process_time()
            found += detector([image])
            seconds[n] += time.process_time() - since
            results[n] += coco_results(picture["id"], found[n])
            moved[n] += shifts(found[0], found[n])
        people += int((found[0].scores >= SURE).sum())
    ids = [picture["id"] for picture in pictures]
    rows = []
    for n, (engine, precision) in enumerate(WAYS):
        if precision == "auto":
            precision = getattr(detectors[n].parts, "precision", precision)  # type: ignore[attr-defined]
        scores = score(coco, results[n], ids)
        shift = float(np.median(np.concatenate(moved[n]))) if moved[n] else float("nan")
        cost = 1e3 * seconds[n] / len(pictures)
        figures = (scores.ap, scores.ap50, len(moved[n]), people, shift, cost)
        rows.append(Row(engine, precision, *figures))
    about = machine()
    print(f"{len(pictures)} pictures; {about['processor']}, {about['threads']} threads\n")
    print(f"{'':26}{'AP':>7}{'AP50':>8}{'found again':>13}{'shift px':>10}{'CPU ms a picture':>18}")
    for row in rows:
        print(
            f"{row.engine + ' ' + row.precision:26}{row.ap:7.4f}{row.ap50:8.4f}"
            f"{row.found:6} of {row.people:3}{row.median_shift:10.3f}{row.cpu_ms:18.0f}"
        )
    if chosen.json:
        content = {"machine": about, "rows": [asdict(row) for row in rows]}
        chosen.json.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
