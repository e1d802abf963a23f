"""Our network beside torchvision's own, with the same weights, at full size.

    python benchmarks/weights_torchvision.py PICTURE...

Weights are random, from torchvision's constructor with a fixed seed, saved as ``.pth`` and read
back. For every picture: detections, the largest difference of boxes and scores, the share of
keypoints within 0.01 px, and seconds of both.
"""

import sys
import tempfile
import time
from pathlib import Path

import torch
from torchvision.models.detection import keypointrcnn_resnet50_fpn

from pose3d.detect.keypoint_rcnn import build
from pose3d.pictures import read_picture
from pose3d.weights import load


def main(pictures: list[str]) -> int:
    """Print a line a picture; 1 if anything differs by more than 0.01 px."""
    torch.manual_seed(0)
    theirs = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None).eval()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "keypointrcnn.pth"
        torch.save(theirs.state_dict(), path)
        ours = build(load(path, "detector"))
    failed = 0
    for name in pictures:
        picture = read_picture(Path(name))
        with torch.inference_mode():
            start = time.perf_counter()
            [want] = theirs([torch.from_numpy(picture).permute(2, 0, 1) / 255])
            middle = time.perf_counter()
            [got] = ours([picture])
            end = time.perf_counter()
        if len(want["boxes"]) != len(got.boxes):
            print(f"{name}: {len(want['boxes'])} and {len(got.boxes)} detections")
            failed += 1
            continue
        box = float((want["boxes"] - got.boxes).abs().amax())
        score = float((want["scores"] - got.scores).abs().amax())
        off = (want["keypoints"][..., :2] - got.keypoints).abs().amax(-1)
        within = float((off <= 0.01).float().mean())
        failed += box > 0.01 or within < 0.99
        print(
            f"{name}: {len(got.boxes)} detections, boxes {box:.2g} px, scores {score:.2g}, "
            f"keypoints {100 * within:.2f} % within 0.01 px, "
            f"{middle - start:.1f} s theirs, {end - middle:.1f} s ours"
        )
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
