"""Who is who over time: people of single frames become one sequence each."""

from pose3d.likeness import oks
from pose3d.track.association import Tracker

__all__ = ["Tracker", "oks"]
