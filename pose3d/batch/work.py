"""What is done to every job of a batch, and whether an earlier run has done it."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pose3d import provenance
from pose3d.batch.derived import outdated, unproven
from pose3d.batch.inputs import Job
from pose3d.batch.outcome import (
    DIFFERENT,
    FAILED,
    SKIPPED,
    MadeOtherwiseError,
    Outcome,
    check_alike,
    facts_now,
    meta_of,
)
from pose3d.batch.stages import Helpers, detect, infer
from pose3d.errors import PoseError, UsageError
from pose3d.journal import forget
from pose3d.options import WITHOUT_EFFECT, Options
from pose3d.progress import Progress


@dataclass(frozen=True)
class Work:
    """A stage with its options: what is done to every job of a batch.

    Attributes
    ----------
    stage
        Such as :func:`infer`.
    options, overwrite
        For the stage.
    models
        A detector or lifter that is loaded already, by these names.
    helpers
        Does stage 1 in place of this process.
    """

    stage: Callable[..., Outcome]
    options: Options
    overwrite: bool = False
    models: dict[str, Any] = field(default_factory=dict)
    helpers: "Helpers | None" = None

    def __call__(self, job: Job, progress: Progress) -> Outcome:
        """Do a job."""
        more = {"helpers": self.helpers} if self.helpers else {}
        return self.stage(job, self.options, self.overwrite, progress, **self.models, **more)

    def on(self, device: str) -> "Work":
        """The same on another device."""
        return replace(self, options=replace(self.options, device=device))

    def helped(self, helpers: "Helpers") -> "Work":
        """The same with helpers at stage 1."""
        return replace(self, helpers=helpers)

    @property
    def can_be_shared(self) -> bool:
        """Whether several processes could do stage 1 of a job."""
        return self.stage in (infer, detect) and "detector" not in self.models

    def check_named(self) -> None:
        """Refuse to go to other processes with models that are not named but loaded."""
        if self.models:
            raise UsageError(
                "models that are loaded already stay in one process: name weights instead"
            )

    def fingerprint(self, job: Job) -> str | None:
        """Of all that decides the outputs: file, options, weights; None without the file."""
        if not job.source.is_file():
            return None
        facts: dict[str, Any] = {
            "source": provenance.stamp_of(job.source),
            "options": {k: v for k, v in asdict(self.options).items() if k not in WITHOUT_EFFECT},
            "detector": provenance.weight_facts(
                self.options, "detector", self.models.get("detector")
            ),
        }
        if self.stage is infer:
            facts |= {
                "lifting": provenance.lifting_facts({}, self.options, self.models.get("lifter"))
            }
        return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()

    def settled(self, job: Job, made: str | None = None) -> Outcome | None:
        """What there is to say where there is nothing to do; None where there is.

        Parameters
        ----------
        job
            What to look at.
        made
            Fingerprint of what an earlier run made, for outputs that hold no facts themselves.
        """
        if self.overwrite or "picture" in job.outputs:
            return None
        try:
            outcome = self._finished(job, made)
        except MadeOtherwiseError as error:
            return Outcome(DIFFERENT, str(error))
        except PoseError as error:
            return Outcome(FAILED, str(error))
        if outcome is not None and job.journal:
            forget(job.journal)  # of a run that was killed at the very end
        return outcome

    def _finished(self, job: Job, made: str | None) -> Outcome | None:
        path = job.outputs.get("npz") or job.outputs.get("json")
        if path is None:
            return self._finished_without_facts(job, made)
        if not path.exists():
            return None
        meta = meta_of(path)
        facts = self._facts(job, meta)
        check_alike(path, meta, facts)
        if job.missing or outdated(job, facts):
            return None
        complete = self.stage is detect or "lift" in meta.get("steps", ())
        return Outcome(SKIPPED) if complete else None

    def _finished_without_facts(self, job: Job, made: str | None) -> Outcome | None:
        """As :meth:`_finished`, where no output holds the facts of a recording."""
        if job.missing or not job.source.is_file():
            return None
        unsure = unproven(job, lambda meta: self._facts(job, meta))
        if not unsure:
            return Outcome(SKIPPED)
        names = ", ".join(path.name for path in unsure)
        if made is None:
            return Outcome(SKIPPED, f"nothing tells the options that made {names}")
        if made != self.fingerprint(job):
            raise MadeOtherwiseError(
                f"{job.source} changed since, or was run with other options: --overwrite "
                "replaces what is there, -o DIR keeps it"
            )
        return Outcome(SKIPPED)

    def _facts(self, job: Job, meta: dict[str, Any]) -> dict[str, Any]:
        """What would make a recording now; `meta` is that of an earlier one."""
        return facts_now(job.source, self.options, self.models, self.stage is infer, meta)
