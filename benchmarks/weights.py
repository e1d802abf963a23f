"""How long full-size public weights take to load, and how much memory.

    python benchmarks/weights.py [--folder DIR]

Writes files of random numbers with the shapes of the real ones, as Caffe2 Detectron (Python 2's
pickle) and detectron2 wrote theirs, loads each in a process of its own and compares with a process
that imports torch and torchvision and nothing else.
"""

import argparse
import json
import pickle
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pose3d.weights import caffe2, detectron2
from pose3d.weights.keypoint_rcnn import Plan

MAX_SECONDS, MAX_RATIO = 5.0, 2.5
WIDTHS = (256, 512, 1024, 2048)
NETWORKS = {
    "R-50": ((3, 4, 6, 3), (64, 128, 256, 512), 1),
    "R-101": ((3, 4, 23, 3), (64, 128, 256, 512), 1),
    "X-101-32x8d": ((3, 4, 23, 3), (256, 512, 1024, 2048), 32),
}
CFG = "MODEL: {BBOX_REG_WEIGHTS: [10., 10., 5., 5.]}\nRESNETS: {STRIDE_1X1: true}\n"

LOAD = """
import json, resource, sys, time
import torch, torchvision
torch.set_num_threads(2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
seconds = 0.0
if len(sys.argv) > 1:
    start = time.perf_counter()
    import pose3d
    pose3d.load_detector(sys.argv[1], device="cpu")
    seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"seconds": seconds, "before": before, "peak": peak}))
"""


def plan_of(name: str) -> Plan:
    """The architecture of a public network."""
    blocks, bottlenecks, groups = NETWORKS[name]
    return Plan(
        stem=64,
        blocks=blocks,
        widths=WIDTHS,
        bottlenecks=bottlenecks,
        groups=groups,
        pyramid=256,
        pooled=7,
        hidden=1024,
        keypoint_widths=(512,) * 8,
    )


def arrays_of(plan: Plan, family: str) -> dict[str, np.ndarray]:
    """Random numbers under the family's names."""
    layout = {"caffe2": caffe2.LAYOUT, "detectron2": detectron2.LAYOUT}[family]
    chance, arrays = np.random.default_rng(0), {}
    for name, shape in plan.shapes():
        if name.startswith("roi_heads.box_predictor.bbox_pred"):
            shape = (layout.box_rows, *shape[1:])
        if source := layout.source(name, plan.blocks):
            arrays[source] = 0.01 * chance.standard_normal(shape, np.float32)
    if family == "caffe2":
        arrays["kps_score_w"] = np.zeros((17, 17, 4, 4), np.float32)
        arrays["kps_score_b"] = np.zeros(17, np.float32)
    return arrays


def write_python2(file: BinaryIO, arrays: dict[str, np.ndarray], cfg: str) -> None:
    """``{'blobs': arrays, 'cfg': cfg}`` in the opcodes of Python 2's cPickle, protocol 2."""

    def text(value: str) -> bytes:
        raw = value.encode()
        return (
            b"U" + bytes([len(raw)]) if len(raw) < 256 else b"T" + struct.pack("<i", len(raw))
        ) + raw

    file.write(b"\x80\x02}(" + text("blobs") + b"}(")
    for name, array in arrays.items():
        file.write(text(name))
        file.write(b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t" + text("b"))
        file.write(b"tR(K\x01(" + b"".join(b"J" + struct.pack("<i", n) for n in array.shape) + b"t")
        file.write(b"cnumpy\ndtype\n(" + text("f4") + b"K\x00K\x01tR(K\x03" + text("<"))
        file.write(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89")
        file.write(b"T" + struct.pack("<i", array.nbytes) + array.tobytes() + b"tb")
    file.write(b"u" + text("cfg") + text(cfg) + b"u.")


def make(path: Path, name: str, family: str) -> None:
    """Write a file of weights."""
    arrays = arrays_of(plan_of(name), family)
    with open(path, "wb") as file:
        if family == "caffe2":
            write_python2(file, arrays, CFG)
        else:
            pickle.dump({"model": arrays, "__author__": "nobody"}, file, protocol=3)


def measure(*arguments: str) -> dict[str, float]:
    """Seconds and kilobytes of a process of its own."""
    command = [sys.executable, "-c", LOAD, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main() -> int:
    """Print a table; 1 if anything is beyond its bound."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where the files are written (1 GB)")
    folder = parser.parse_args().folder
    base, failed = measure()["peak"], 0
    with tempfile.TemporaryDirectory(dir=folder) as made:
        for name in NETWORKS:
            for family in ("caffe2", "detectron2"):
                path = Path(made) / "model_final.pkl"
                make(path, name, family)
                size = path.stat().st_size / 1024
                found = measure(str(path))
                ratio = (found["peak"] - base) / size
                bad = found["seconds"] > MAX_SECONDS or ratio > MAX_RATIO
                failed += bad
                print(
                    f"{name:12} {family:10} {size / 1024:4.0f} MiB  {found['seconds']:5.2f} s  "
                    f"{ratio:4.2f} x file size{'  BEYOND ITS BOUND' if bad else ''}"
                )
                path.unlink()
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
