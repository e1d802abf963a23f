"""How much memory a video takes by its length: `pose3d infer` on a clip repeated.

python benchmarks/memory.py [VIDEO] [--minutes 1 10] [--short-side PX] [--device cpu] [--json FILE]

The clip is repeated without being encoded anew. Beside each run's peak there is what its result
takes, which grows with the video and is meant to: "the rest" must not.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pose3d.bench import machine  # noqa: E402

MIB = 2**20


@dataclass(frozen=True)
class Row:
    """One length; memory in MiB."""

    minutes: float
    frames: int
    people: int
    seconds: float
    peak: float
    result: float

    @property
    def rest(self) -> float:
        """What is not the result."""
        return self.peak - self.result


def repeated(video: Path, minutes: float, out: Path) -> int:
    """Write a video's packets again and again until it is so long; says how many frames it has."""
    import av

    frames, offset, last = 0, 0, 0
    with av.open(str(out), "w") as target:
        stream = None
        while True:
            with av.open(str(video)) as source:
                given = source.streams.video[0]
                if stream is None:
                    stream = target.add_stream_from_template(given)
                for packet in source.demux(given):
                    if packet.dts is None:
                        continue
                    end = packet.pts + (packet.duration or 1)
                    packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                    last = max(last, end + offset)
                    packet.stream = stream
                    target.mux(packet)
                    frames += 1
                offset = last
                if float(offset * given.time_base) >= 60 * minutes:
                    return frames


def measured(video: Path, minutes: float, options: list[str]) -> Row:
    """Peak memory of a process that does it all."""
    with tempfile.TemporaryDirectory() as scratch:
        clip = Path(scratch) / f"clip{video.suffix}"
        frames = repeated(video, minutes, clip)
        command = [sys.executable, "-m", "pose3d", "infer", str(clip), "--save", "npz", "--quiet"]
        since = time.perf_counter()
        run = subprocess.Popen([*command, *options], cwd=ROOT)
        _, status, usage = os.wait4(run.pid, 0)
        seconds = time.perf_counter() - since
        if status:
            raise SystemExit(f"pose3d infer ended with status {status}")
        size = people = 0
        with np.load(clip.with_suffix(".pose3d.npz"), allow_pickle=False) as arrays:
            for name in arrays.files:
                size += arrays[name].nbytes
                people += name.endswith("/frame")
    kib = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return Row(minutes, frames, people, seconds, kib / 1024, size / MIB)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    walk = ROOT / "data" / "rendered_walk.mp4"
    parser.add_argument("video", nargs="?", type=Path, default=walk)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1.0, 10.0])
    parser.add_argument("--short-side", type=int, help="of the input; follows the people if absent")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    side = chosen.short_side
    options = ["--device", chosen.device, *(["--short-side", str(side)] if side else [])]
    rows = [measured(chosen.video.absolute(), minutes, options) for minutes in chosen.minutes]
    about = machine()
    print(f"{chosen.video.name} repeated; {about['processor']}, {about['cores']} cores\n")
    names = (
        "minutes",
        "frames",
        "people",
        "s",
        "peak MiB",
        "result MiB",
        "the rest",
        "of the first",
    )
    print("".join(f"{name:>13}" for name in names))
    for row in rows:
        share = row.rest / rows[0].rest
        print(
            f"{row.minutes:13g}{row.frames:13,}{row.people:13}{row.seconds:13.0f}"
            f"{row.peak:13.0f}{row.result:13.1f}{row.rest:13.0f}{share:12.2f}x"
        )
    if chosen.json:
        content = {"machine": about, "rows": [asdict(row) | {"rest": row.rest} for row in rows]}
        chosen.json.write_text(json.dumps(content, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
