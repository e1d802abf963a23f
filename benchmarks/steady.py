"""What it costs poses that bodies keep their size: PA-MPJPE of a lifter without and with `steady`.

python benchmarks/steady.py [EVERY [LIFTER]]

On every n-th clip of HDM05 (default 10), seen by random cameras with the noise of training.
"""

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from imitate import part_of  # noqa: E402

from pose3d.evaluate.lifter import evaluate_lifter  # noqa: E402
from pose3d.evaluate.steadied import Steadied  # noqa: E402
from pose3d.lift import load_lifter  # noqa: E402


def main(every: int = 10, name: str = "temporal") -> None:
    """Print a line without and a line with."""
    lifter = load_lifter(name, "cpu")
    with tempfile.TemporaryDirectory() as folder:
        archive = part_of("hdm05.npz", every, Path(folder) / "part.npz")
        for label, model in (("lifted", lifter), ("steady", Steadied(lifter))):
            errors = evaluate_lifter(model, archive, views=2).all  # type: ignore[arg-type]
            print(
                f"{label} PA-MPJPE {errors.pa_mpjpe:6.2f} mm, MPJPE {errors.mpjpe:6.2f} mm, "
                f"MPJVE {errors.mpjve:5.0f} mm/s, {errors.frames} frames"
            )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]), *sys.argv[2:3])
