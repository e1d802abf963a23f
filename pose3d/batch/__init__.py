"""Many files: what there is to do, what is done already, what becomes of each."""

from pose3d.batch.drawing import export, no_video, render, video_of
from pose3d.batch.inputs import OURS, PICTURES, RECORDINGS, VIDEOS, Input, Job, expand, plan
from pose3d.batch.many import Manner, forecast, infer_many, perform
from pose3d.batch.outcome import DIFFERENT, DONE, FAILED, SKIPPED, Outcome
from pose3d.batch.report import Report, table
from pose3d.batch.run import Listener, attempt
from pose3d.batch.stages import detect, infer, lift
from pose3d.batch.work import Work
from pose3d.options import Options

__all__ = [
    "DIFFERENT",
    "DONE",
    "FAILED",
    "OURS",
    "PICTURES",
    "RECORDINGS",
    "SKIPPED",
    "VIDEOS",
    "Input",
    "Job",
    "Listener",
    "Manner",
    "Options",
    "Outcome",
    "Report",
    "Work",
    "attempt",
    "detect",
    "expand",
    "export",
    "forecast",
    "infer",
    "infer_many",
    "lift",
    "no_video",
    "perform",
    "plan",
    "render",
    "table",
    "video_of",
]
