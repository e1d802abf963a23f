"""Markers for OpenSim: ``NAME.trc``, a file for everyone.

Tabs between cells, and after the last one, by which OpenSim knows that an empty last cell is one.
An empty cell is a missing marker. `Time` holds the recording's own times unless these are too
irregular for the one `DataRate` that the header has: then motion is resampled to it.
"""

from pathlib import Path

import numpy as np

from pose3d.export.clock import Clock
from pose3d.export.digits import as_text, before, lines
from pose3d.export.settings import Settings, common_clock, each
from pose3d.export.space import JOINTS, Motion, motions
from pose3d.files import replacing
from pose3d.sequence import Recording

SECONDS = 7  # decimals
DECIMALS = {"m": 5, "cm": 3, "mm": 2}
CHUNK = 4096  # frames in memory as text at a time


def write(recording: Recording, path: Path, settings: Settings) -> tuple[Path, ...]:
    """Write everyone's markers."""
    written = []
    for target, motion in each(path, motions(recording)):
        clock = common_clock(recording, [motion], target)
        with replacing(target) as part:
            _write(motion, clock, part, target.name, settings)
        written.append(target)
    return tuple(written)


def _write(motion: Motion, clock: Clock, path: Path, name: str, settings: Settings) -> None:
    joints = clock.sample(motion) * settings.scale
    times = clock.start + np.arange(clock.count) / clock.rate
    if not clock.resampled:
        times[motion.frame - clock.first] = motion.time
    with open(path, "wb") as file:
        file.write(_header(clock, name, settings.unit).encode())
        for start in range(0, clock.count, CHUNK):
            rows = np.arange(start, min(start + CHUNK, clock.count))
            cells = joints[rows].reshape(len(rows), -1)
            file.write(
                lines(
                    as_text(rows + 1),
                    "\t",
                    as_text(times[rows], SECONDS),
                    before("\t", as_text(cells, DECIMALS[settings.unit])),
                    "\t",
                )
            )


def _header(clock: Clock, name: str, unit: str) -> str:
    count = len(JOINTS)
    rate = f"{clock.rate:.10g}"
    facts = {
        "DataRate": rate,
        "CameraRate": rate,
        "NumFrames": clock.count,
        "NumMarkers": count,
        "Units": unit,
        "OrigDataRate": rate,
        "OrigDataStartFrame": clock.first + 1,
        "OrigNumFrames": clock.count,
    }
    axes = "".join(f"{axis}{n}\t" for n in range(1, count + 1) for axis in "XYZ")
    return "\n".join(
        [
            f"PathFileType\t4\t(X/Y/Z)\t{name}",
            "\t".join(facts),
            "\t".join(map(str, facts.values())),
            "Frame#\tTime\t" + "".join(f"{joint}\t\t\t" for joint in JOINTS),
            f"\t\t{axes}",
            "\n",
        ]
    )
