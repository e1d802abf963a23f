"""What batches promise, measured with the bundled weights on clips cut from a real one.

python benchmarks/batch.py clips VIDEO [--count 200]     # many clips, some broken; then once more
python benchmarks/batch.py kills VIDEO [--kills 20]      # killed again and again, and the result
python benchmarks/batch.py gpus [VIDEO] --device cuda:0,cuda:1 [--count 40]    # on one, on all
python benchmarks/batch.py split VIDEO --device cuda:0,cuda:1       # one video on one, on all

Without VIDEO it is the rendered clip. The last two print a line of JSON: seconds, how many times as
fast all devices are (without the start of the processes, too: frames a second from when every one
has done a video), and whether the recordings are equal.

The kills hit a batch whose detector is the tests' (squares are people) at 20 frames a second, or
with --networks the bundled one.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
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
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pose3d.encode import VideoWriter  # noqa: E402
from pose3d.frame import Frame  # noqa: E402
from pose3d.video import Video  # noqa: E402

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


def kills(video: Path, count: int, networks: bool, length: int, options: list[str]) -> None:
    """A batch that is killed at random moments, against one that is not."""
    chance = random.Random(0)
    code = "\n".join([OFTEN, "" if networks else STAND_INS, RUN])
    with tempfile.TemporaryDirectory() as place:
        undisturbed, killed = Path(place, "undisturbed"), Path(place, "killed")
        frames = frames_of(video, length + 20)
        for folder in (undisturbed, killed):
            (folder / "in").mkdir(parents=True)
            for n in range(3):
                path = folder / "in" / f"clip{n}.mp4"
                write(path, frames[10 * n : 10 * n + length]) if networks else squares(path)
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


TIMED = """
import json, sys, time
from pose3d import batch, infer_many

class Ear(batch.Listener):
    def __init__(self):
        self.places, self.first, self.ends = {}, {}, []

    def started(self, job, place=""):
        self.places[job.source] = place
        return super().started(job, place)

    def ended(self, job, outcome):
        now = time.perf_counter()
        self.first.setdefault(self.places.get(job.source, ""), now)
        self.ends.append((now, outcome.frames, outcome.status, outcome.reason))

if __name__ == "__main__":
    inputs, output, device, short = sys.argv[1:]
    if short:
        from pose3d.batch import devices
        devices.LONG = 0.0
    ear, since = Ear(), time.perf_counter()
    infer_many(inputs, output, device=device, listener=ear)
    wall = time.perf_counter() - since
    warm = max(ear.first.values())
    late = [frames for when, frames, _, _ in ear.ends if when > warm]
    seconds = ear.ends[-1][0] - warm
    failed = [reason for _, _, status, reason in ear.ends if status != "done"]
    print(json.dumps({
        "wall_s": wall, "videos": len(ear.ends), "frames": sum(end[1] for end in ear.ends),
        "warm_frames_per_s": sum(late) / seconds if late else None, "failed": failed,
    }))
"""


def timed(inputs: Path, output: Path, device: str, short: bool = False) -> dict[str, Any]:
    """How long a batch takes on a device, or on several."""
    words = [sys.executable, "-c", TIMED, str(inputs), str(output), device, "short" * short]
    done = subprocess.run(words, check=False, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        sys.exit(done.stderr)
    return {"device": device, **json.loads(done.stdout.splitlines()[-1])}


def machine(devices: list[str]) -> dict[str, Any]:
    """What the figures depend on."""
    import torch

    from pose3d.batch.seats import cores

    cards = [torch.cuda.get_device_name(d) for d in devices if d.startswith("cuda")]
    load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
    return {"cards": cards, "cores": cores(), "load": load}


def gpus(video: Path, device: str, count: int) -> None:
    """The same videos on the first device, and on all."""
    devices = device.split(",") if "," in device else [device] * 2
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "in").mkdir()
        for n in range(count):
            shutil.copy(video, folder / "in" / f"clip{n:04}{video.suffix}")
        runs = []
        for number, some in enumerate((devices[:1], devices)):
            out = folder / f"done{number}" / "out"
            runs.append(timed(folder / "in", out, ",".join(some)))
        one, all_ = (digests(folder / f"done{n}") for n in range(2))
    rates = [run["warm_frames_per_s"] for run in runs]
    line = {
        "what": "gpus",
        "machine": machine(devices),
        "runs": runs,
        "times_as_fast": runs[0]["wall_s"] / runs[1]["wall_s"],
        "times_as_fast_warm": rates[1] / rates[0] if all(rates) else None,
        "equal": one == all_ and len(one) == count,
    }
    print(json.dumps(line))


def split(video: Path, device: str) -> None:
    """One video on the first device, and shared by all."""
    devices = device.split(",") if "," in device else [device] * 2
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        runs = []
        for n, some in enumerate((devices[:1], devices)):
            runs.append(timed(video, folder / f"done{n}" / "out", ",".join(some), short=True))
        one, all_ = (digests(folder / f"done{n}") for n in range(2))
    line = {
        "what": "split",
        "machine": machine(devices),
        "runs": runs,
        "times_as_fast": runs[0]["wall_s"] / runs[1]["wall_s"],
        "equal": one == all_ and len(one) == 1,
    }
    print(json.dumps(line))


def wait_for(process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until a batch is at work, or over."""
    while process.poll() is None and not (log.exists() and "started" in log.read_text("utf-8")):
        time.sleep(0.05)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["clips", "kills", "gpus", "split"])
    parser.add_argument("video", type=Path, nargs="?", default=ROOT / "data" / "rendered_walk.mp4")
    parser.add_argument("--count", type=int)
    parser.add_argument("--networks", action="store_true")
    parser.add_argument("--frames", type=int, default=24, help="of the clips that networks get")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--device", default="auto")
    chosen, rest = parser.parse_known_args()
    source = chosen.video.absolute()
    if chosen.what == "clips":
        clips(source, chosen.count or 200, ["--device", chosen.device, *rest])
    elif chosen.what == "kills":
        options = ["--device", chosen.device, *rest]
        kills(source, chosen.kills, chosen.networks, chosen.frames, options)
    elif chosen.what == "gpus":
        gpus(source, chosen.device, chosen.count or 40)
    else:
        split(source, chosen.device)
