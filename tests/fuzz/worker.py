"""One process that fuzzes one target with one engine until its time is over, or it dies.

Run by ``python -m tests.fuzz``. It counts in a file what it has tried, and keeps what it found.
"""

import contextlib
import mmap
import os
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

CORPUS = Path(__file__).with_name("corpus")
LONGEST = 64 << 10  # bytes of an input


def main(name: str, engine: str, seconds: float, seed: int, count_file: str) -> None:
    """Fuzz."""
    end = time.monotonic() + seconds
    if engine == "atheris":
        import atheris

        with atheris.instrument_imports(include=["pose3d", "zipfile", "tomllib"]):
            from . import targets
    else:
        from . import targets
    from . import judge

    most = judge.taken() + judge.BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    target = targets.TARGETS[name]
    folder = CORPUS / name
    known: set[str] = set()
    with open(count_file, "r+b") as file, mmap.mmap(file.fileno(), 8) as counter:

        def attempt(data: bytes) -> None:
            done = int.from_bytes(counter[:8], "little") + 1
            counter[:8] = done.to_bytes(8, "little")
            wrong = judge.judge(target, data)
            signature = ":".join((wrong or "").split(":")[:3])  # kind, file, line and function
            if wrong and signature not in known:
                known.add(signature)
                folder.mkdir(parents=True, exist_ok=True)
                (folder / judge.name_of(wrong, data)).write_bytes(data)
                print(f"\nFOUND {name}: {wrong}", flush=True)

        run = {"atheris": _atheris, "hypothesis": _hypothesis, "mutate": _mutate}[engine]
        run(target, attempt, max(end - time.monotonic(), 1), seed, folder)


def _atheris(target, attempt, seconds: float, seed: int, folder: Path) -> None:  # type: ignore[no-untyped-def]
    import atheris

    from . import judge

    with tempfile.TemporaryDirectory() as work:
        for n, content in enumerate(target.seeds()):
            Path(work, f"seed{n}").write_bytes(content)
        words = Path(work + ".dict")
        words.write_text(
            "".join(
                '"' + "".join(f"\\x{b:02x}" for b in w.encode("latin-1")) + '"\n'
                for w in target.words
            )
        )
        folder.mkdir(parents=True, exist_ok=True)
        options = [
            f"-max_total_time={int(seconds)}", f"-seed={seed}", f"-max_len={LONGEST}",
            f"-timeout={judge.PATIENCE:.0f}", "-rss_limit_mb=2048", f"-artifact_prefix={folder}/",
            f"-dict={words}", "-verbosity=0",
        ]  # fmt: skip
        atheris.Setup([sys.argv[0], *options, work], attempt, enable_python_coverage=True)
        atheris.Fuzz()


def _hypothesis(target, attempt, seconds: float, number: int, folder: Path) -> None:  # type: ignore[no-untyped-def]
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded

    from .odd import inputs

    end = time.monotonic() + seconds
    strategy = inputs(target)
    while time.monotonic() < end:

        @seeded(number)
        @settings(
            max_examples=500, deadline=None, database=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(strategy)
        def one(data: bytes) -> None:
            if time.monotonic() < end:
                attempt(data)

        one()
        number += 1


def _mutate(target, attempt, seconds: float, seed: int, folder: Path) -> None:  # type: ignore[no-untyped-def]
    chance, seeds = random.Random(seed), target.seeds()
    weights = [1 / (2000 + len(content)) for content in seeds]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        attempt(mutated(chance.choices(seeds, weights)[0], chance))


def mutated(content: bytes, chance: random.Random) -> bytes:
    """A file with some bytes changed, taken out, doubled or exchanged, or cut short.

    Containers say what there is in their first and last parts: half of all changes are there.
    """
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4, 16, 64))):
        if not data:
            break
        at = chance.randrange(len(data))
        if chance.random() < 0.5:
            at = at % 4096 if chance.random() < 0.5 else len(data) - 1 - at % 16384
            at = min(max(at, 0), len(data) - 1)
        match chance.randrange(8):
            case 0:
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                data[at] = chance.randrange(256)
            case 2:
                word = chance.choice((0, 1, 2**31 - 1, 2**31, 2**32 - 1, chance.getrandbits(32)))
                data[at : at + 4] = word.to_bytes(4, chance.choice(("big", "little")))
            case 3:
                del data[at : at + chance.randrange(1, 64)]
            case 4:
                data[at:at] = data[at : at + chance.randrange(1, 256)]
            case 5:
                data[at : at + 16] = bytes(16)
            case 6:
                other = chance.randrange(len(data))
                data[at : at + 8], data[other : other + 8] = (
                    data[other : other + 8],
                    data[at : at + 8],
                )
            case _:
                if chance.random() < 0.2:
                    del data[at:]
    return bytes(data)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
    os._exit(0)  # nothing that a library does at its end is of interest
