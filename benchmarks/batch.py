"""What batches promise, measured with the bundled weights on clips cut from a real one.

python benchmarks/batch.py clips VIDEO [--count 200]     # many clips, some broken; then once more
python benchmarks/batch.py kills VIDEO [--kills 20]      # killed again and again, and the result

The kills hit a batch whose detector is the tests' (squares are people) at 20 frames a second, or
with --networks the bundled one.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import wave
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pose3d.video import Frame, Video, VideoWriter  # noqa: E402

LONGEST = 12.0  # seconds of stand-ins' work before a kill, on machines that are busy otherwise
WIDTH = 480  # of the clips: what is measured is the batch, not the detector
RUN = "from pose3d.cli import main; main(prog_name='pose3d')"
OFTEN = "import pose3d.journal; pose3d.journal.FLUSH_SECONDS = 0.5"
STAND_INS = f"""
import sys, time
sys.path.insert(0, {str(ROOT / "tests")!r})
from conftest import find_squares, upright
from pose3d import pipeline

def slowly(pictures):
    time.sleep(0.05 * len(pictures))
    return find_squares(pictures)

pipeline.loaded_detector = lambda options: slowly
pipeline.loaded_lifter = lambda options: upright
"""


def frames_of(video: Path, count: int) -> list[Frame]:
    """The first frames, made small."""
    import cv2

    frames = list(islice(Video(video), count))
    height, width = frames[0].image.shape[:2]
    size = (WIDTH, round(WIDTH * height / width / 2) * 2)
    return [Frame(cv2.resize(f.image, size), f.index, f.time) for f in frames]  # type: ignore[arg-type]


def write(path: Path, frames: list[Frame]) -> None:
    """A clip."""
    with VideoWriter(path) as sink:
        for frame in frames:
            sink.write(frame.image, frame.time)


def sound(path: Path) -> None:
    """A second of silence under the name of a video."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16000))


def cut(path: Path, frames: list[Frame]) -> None:
    """A clip without its index, as of a camera whose battery died."""
    write(path, frames)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"moov") - 4] + content[content.index(b"mdat") - 4 :])


BROKEN: dict[str, Callable[[Path, list[Frame]], object]] = {
    "empty": lambda path, _: path.write_bytes(b""),
    "text": lambda path, _: path.write_text("Dear diary " * 200),
    "noise": lambda path, _: path.write_bytes(random.Random(1).randbytes(20000)),
    "no index": cut,
    "only sound": lambda path, _: sound(path),
    "one frame": lambda path, frames: write(path, frames[:1]),
}


def infer(folder: Path, *options: str, code: str = RUN) -> list[str]:
    """The command that works through a folder."""
    words = ["infer", str(folder / "in"), "-o", str(folder / "out"), "--save", "npz", *options]
    return [sys.executable, "-c", code, *words]


def clips(video: Path, count: int, options: list[str]) -> None:
    """Many clips, two broken in each way; run twice."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        frames = frames_of(video, 120)
        broken = [way for way in BROKEN for _ in range(2)]
        for n in range(count):
            path = folder / "in" / f"{n % 10}" / f"clip{n:04}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            start = 7 * n % (len(frames) - 6)
            some = frames[start : start + 6]
            if n % (count // len(broken)) == 0 and n // (count // len(broken)) < len(broken):
                BROKEN[broken[n // (count // len(broken))]](path, some)
            else:
                write(path, some)
        for name in ("first", "second"):
            since = time.perf_counter()
            done = subprocess.run(
                infer(folder, *options), capture_output=True, text=True, check=False, cwd=ROOT
            )
            seconds = time.perf_counter() - since
            lines = (folder / "out" / "report.jsonl").read_text("utf-8").splitlines()
            some = [json.loads(line) for line in lines[-count:]]
            kinds = dict(Counter(line["status"] for line in some))
            print(f"{name} run: exit code {done.returncode}, {seconds:.1f} s, {kinds}", flush=True)
        for line in some:
            if line["status"] == "failed":
                print(f"  {Path(line['input']).name}: {line['reason'].split(': ', 1)[-1]}")
        print(f"files beside results and reports: {leftovers(folder) or 'none'}")


def digests(folder: Path) -> dict[str, str]:
    """A hash of all arrays of every recording."""
    found = {}
    for path in sorted((folder / "out").rglob("*.npz")):
        digest = hashlib.sha256()
        with np.load(path, allow_pickle=False) as file:
            for name in sorted(set(file.files) - {"meta"}):
                digest.update(name.encode() + str(file[name].dtype).encode() + file[name].tobytes())
        found[str(path.relative_to(folder))] = digest.hexdigest()
    return found


def leftovers(folder: Path) -> list[str]:
    """Files that are neither results nor reports."""
    files = [path for path in (folder / "out").rglob("*") if path.is_file()]
    ours = (".pose3d.npz", ".jsonl", ".log")
    return [
        path.name for path in files if path.name.startswith(".") or not path.name.endswith(ours)
    ]


def squares(path: Path) -> None:
    """A clip of two squares that walk across."""
    sys.path.insert(0, str(ROOT / "tests"))
    from conftest import write_clip

    ways = (lambda n: (20 + 2 * n, 60), lambda n: (130 - n, 30))
    write_clip(path, frames=60, squares=ways)


def kills(video: Path, count: int, networks: bool, options: list[str]) -> None:
    """A batch that is killed at random moments, against one that is not."""
    chance = random.Random(0)
    code = "\n".join([OFTEN, "" if networks else STAND_INS, RUN])
    with tempfile.TemporaryDirectory() as place:
        undisturbed, killed = Path(place, "undisturbed"), Path(place, "killed")
        frames = frames_of(video, 60)
        for folder in (undisturbed, killed):
            (folder / "in").mkdir(parents=True)
            for n in range(3):
                path = folder / "in" / f"clip{n}.mp4"
                write(path, frames[10 * n : 10 * n + 24]) if networks else squares(path)
        command = infer(undisturbed, *options, code=code)
        log = Path(place, "log")
        command += ["--log-file", str(log)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        wait_for(process, log)
        since = time.perf_counter()
        process.wait()
        whole = time.perf_counter() - since
        print(f"undisturbed: {whole:.1f} s of work", flush=True)
        whole = whole if networks else min(whole, LONGEST)
        done, expected, equal, rounds, journals = 0, digests(undisturbed), 0, 0, 0
        command = [*infer(killed, *options, code=code), "--log-file", str(log)]
        while done < count:
            log.unlink(missing_ok=True)
            process = subprocess.Popen(
                command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            if chance.random() < 0.8:  # the others are hit while they begin
                wait_for(process, log)
            try:
                process.wait(chance.uniform(0, whole))
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                done += 1
                journals += any((killed / "out").glob("*.journal"))
                print(f"kill {done}: {len(digests(killed))} recordings", flush=True)
            if process.returncode == 0 or done == count:  # whole: compare, and begin anew
                subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
                rounds += 1
                equal += digests(killed) == expected
                left = leftovers(killed)
                print(f"after {done} kills: equal {equal}/{rounds}, left {left or 'nothing'}")
                for path in (killed / "out").rglob("*.*"):
                    path.unlink()
        print(f"{done} kills, {journals} with a journal, {equal} of {rounds} batches equal")


def wait_for(process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until a batch is at work, or over."""
    while process.poll() is None and not (log.exists() and "started" in log.read_text("utf-8")):
        time.sleep(0.05)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["clips", "kills"])
    parser.add_argument("video", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--networks", action="store_true")
    parser.add_argument("--kills", type=int, default=20)
    chosen, rest = parser.parse_known_args()
    if chosen.what == "clips":
        clips(chosen.video.absolute(), chosen.count, rest)
    else:
        kills(chosen.video.absolute(), chosen.kills, chosen.networks, rest)
