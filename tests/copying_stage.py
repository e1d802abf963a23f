"""A stage for workers' tests: in a module of its own that processes import quickly."""

import os
import signal
import time

from pose3d.batch.inputs import Job
from pose3d.batch.outcome import Outcome
from pose3d.errors import PoseError, UsageError
from pose3d.files import replacing
from pose3d.options import Options
from pose3d.progress import Progress


def copy(job: Job, options: Options, overwrite: bool, progress: Progress) -> Outcome:
    """A stage that does what the name of its input says."""
    name, (target,) = job.source.stem, job.outputs.values()
    print(f"at work on {name}", flush=True)
    tried = target.with_suffix(".tried")
    if name == "wrong":
        raise UsageError("wrong option")
    if name == "broken":
        raise PoseError(f"{job.source}: broken")
    if name == "dies" or (name == "dies_once" and not tried.exists()):
        tried.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    with replacing(target) as part:
        part.write_bytes(job.source.read_bytes())
        steps = {"slow": 1200, "long": 100, "while": 20}.get(name.split("_")[0], 1)
        for n in range(steps):
            progress.advance("copy", n + 1, steps)
            time.sleep(0.05 if steps > 1 else 0)
    return Outcome(written=(target,), frames=int(options.device == "cpu"), people=os.getpid())
