"""Who is who over time: people of single frames become one sequence each."""

from pose3d.track.association import Tracker
from pose3d.likeness import oks

__all__ = ["Tracker", "oks"]
