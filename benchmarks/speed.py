"""How fast a video becomes motion, beside other programs on the same frames of the same machine.

python benchmarks/speed.py [VIDEO] [--seconds 8] [--rounds 3] [--json FILE] [--plot FILE.png]

Every program runs in a process of its own, in turns, and is timed from its first frame to its last
with its networks loaded and warm. Beside frames a second there is the processor time of a frame,
which other work on the machine disturbs less. MediaPipe is installed into .venv/peers on first use;
its heavy model comes out of the npm package @mediapipe/pose.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "data"), str(ROOT / "benchmarks")]

from sample_clip import sample_clip  # noqa: E402
from table import Row, Run, lines, rows  # noqa: E402

from pose3d.bench import machine  # noqa: E402

PROGRAMS = Path(__file__).with_name("programs.py")
PEERS = ROOT / ".venv" / "peers"
MEDIAPIPE = "mediapipe==0.10.21"
HEAVY = "package/pose_landmark_heavy.tflite"  # in the npm package
OURS = "pose3d infer"
SLOW_FRAMES = 2  # of programs that take seconds for each


@dataclass(frozen=True)
class Program:
    """What runs: `python programs.py NAME VIDEO SECONDS ...`."""

    label: str
    name: str
    python: Path = Path(sys.executable)
    frames: int = 10**9  # at most

    def run(self, video: Path, seconds: float) -> Run:
        """One round."""
        command = [self.python, PROGRAMS, self.name, video, seconds, self.frames]
        done = subprocess.run(
            [str(part) for part in command], capture_output=True, text=True, cwd=ROOT
        )
        if done.returncode:
            raise RuntimeError(f"{self.label}: {done.stderr.strip().splitlines()[-1]}")
        return Run(**json.loads(done.stdout.splitlines()[-1]))


def programs() -> list[Program]:
    """Ours first; peers that can be had."""
    found = [
        Program("decoding alone", "decode"),
        Program(OURS, "pose3d"),
        Program(f"{OURS} --engine torch", "pose3d-torch"),
    ]
    try:
        python = mediapipe()
        found.append(Program("MediaPipe full", "mediapipe-full", python))
        heavy(python)
        found.append(Program("MediaPipe heavy", "mediapipe-heavy", python))
    except (OSError, subprocess.SubprocessError, KeyError) as error:
        print(f"left out: {error}", file=sys.stderr)
    label = "torchvision keypointrcnn_resnet50_fpn"
    return [*found, Program(label, "torchvision", frames=SLOW_FRAMES)]


def mediapipe() -> Path:
    """A Python with MediaPipe, installed if it is not there."""
    folder = PEERS / "mediapipe"
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if subprocess.run([str(python), "-c", "import mediapipe"], capture_output=True).returncode:
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", MEDIAPIPE, "psutil"]
        subprocess.run(pip, check=True)
    return python


def heavy(python: Path) -> None:
    """Put MediaPipe's heavy model where MediaPipe looks for it."""
    ask = "import mediapipe, pathlib; print(pathlib.Path(mediapipe.__file__).parent)"
    home = subprocess.run([str(python), "-c", ask], check=True, capture_output=True, text=True)
    target = Path(home.stdout.strip()) / "modules/pose_landmark/pose_landmark_heavy.tflite"
    if target.is_file():
        return
    npm = shutil.which("npm")
    if npm is None:
        raise OSError("MediaPipe heavy: npm, which fetches its model, is not there")
    with tempfile.TemporaryDirectory() as scratch:
        pack = [npm, "pack", "--silent", "@mediapipe/pose"]
        subprocess.run(pack, check=True, cwd=scratch, capture_output=True)
        with tarfile.open(next(Path(scratch).glob("*.tgz"))) as archive:
            member = archive.extractfile(HEAVY)
            assert member is not None
            target.write_bytes(member.read())


def measured(video: Path, seconds: float, rounds: int) -> list[Row]:
    """All programs in turns."""
    chosen = programs()
    runs: dict[str, list[Run]] = {program.label: [] for program in chosen}
    for number in range(rounds):
        for program in chosen:
            try:
                answer = program.run(video, seconds)
                runs[program.label].append(answer)
                print(f"round {number + 1}, {program.label}: {answer}", file=sys.stderr)
            except RuntimeError as error:
                print(f"left out of round {number + 1}: {error}", file=sys.stderr)
    return rows(runs, OURS, 1e-3)


def plot(found: list[Row], where: str, path: Path) -> None:
    """Frames a second as bars."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 0.5 * len(found) + 1.2), layout="constrained")
    ours = [row.label.startswith(OURS) for row in found]
    colours = ["#c4452d" if mine else "#8899aa" for mine in ours]
    spread = [[r.median - r.low for r in found], [r.high - r.median for r in found]]
    labels = [row.label for row in found]
    axes.barh(labels, [row.median for row in found], xerr=spread, color=colours)
    for n, row in enumerate(found):
        axes.text(row.high * 1.08, n, f"{row.median:.3g}", va="center")
    axes.set_xscale("log")
    axes.set_xlim(right=3 * max(row.high for row in found))
    axes.invert_yaxis()
    axes.set_xlabel("frames a second (median, bars from the slowest to the fastest round)")
    axes.set_title(where, fontsize=9)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", nargs="?", type=Path, help="the clip of `make demo` by default")
    parser.add_argument("--seconds", type=float, default=8.0, help="of the video")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    chosen = parser.parse_args()
    video = chosen.video or sample_clip(ROOT / "demo")
    before = machine()
    found = measured(video.absolute(), chosen.seconds, chosen.rounds)
    about = {"video": video.name, "seconds": chosen.seconds, "rounds": chosen.rounds}
    about["load"] = [before["load"], machine()["load"]]
    where = f"{before['processor']}, {before['cores']} cores, load {about['load']}"
    print(f"{video.name}, {chosen.seconds} s, {chosen.rounds} rounds; {where}\n")
    print("\n".join(lines(found, "ms")))
    if chosen.json:
        content = {**about, "machine": before, "rows": [asdict(row) for row in found]}
        chosen.json.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    if chosen.plot:
        plot(found, f"{video.name}; {where}", chosen.plot)


if __name__ == "__main__":
    main()
