"""Fuzz readers: ``python -m tests.fuzz --minutes 10 [TARGET ...]``; README.md says more."""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .targets import TARGETS
from .worker import CORPUS

GRACE = 60.0  # seconds that a worker may take beyond its time before it is ended


def main() -> int:
    """Fuzz targets one after the other; 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--minutes", type=float, default=10.0, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    for name in asked.targets:
        if name not in TARGETS:
            parser.error(f"there is no target {name}: there are {', '.join(TARGETS)}")
    found = 0
    for name in asked.targets or TARGETS:
        known = _kept(name)
        engines = ["mutate"] if TARGETS[name].native else ["hypothesis", "atheris"]
        counts = {
            engine: fuzz(name, engine, 60 * asked.minutes / len(engines), asked.seed)
            for engine in engines
        }
        fresh = sorted(_kept(name) - known)
        found += len(fresh)
        tried = ", ".join(f"{count:,} by {engine}" for engine, count in counts.items())
        print(f"{name}: {tried}; {len(fresh)} found {' '.join(fresh)}", flush=True)
    return 1 if found else 0


def fuzz(name: str, engine: str, seconds: float, seed: int) -> int:
    """Fuzz one target; a worker that dies is replaced. How many inputs were tried."""
    end = time.monotonic() + seconds
    with tempfile.NamedTemporaryFile() as counter:
        counter.write(bytes(8))
        counter.flush()
        while (left := end - time.monotonic()) > 1:
            arguments = [name, engine, f"{left:.0f}", str(seed), counter.name]
            begin = time.monotonic()
            worker = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.worker", *arguments],
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            )
            try:
                _, said = worker.communicate(timeout=left + GRACE)
            except subprocess.TimeoutExpired:
                worker.kill()
                _, said = worker.communicate()
                print(f"{name}: a worker did not end by itself", flush=True)
            if worker.returncode:
                said = "\n".join(line[:200] for line in said.splitlines()[-8:])
                print(said, file=sys.stderr, flush=True)
                if time.monotonic() - begin < 3:
                    raise SystemExit(f"{name}: {engine} cannot begin")
            seed += 1
        counter.seek(0)
        return int.from_bytes(Path(counter.name).read_bytes(), "little")


def _kept(name: str) -> set[str]:
    folder = CORPUS / name
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


if __name__ == "__main__":
    sys.exit(main())
