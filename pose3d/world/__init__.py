"""From joints around a hip to people who walk on a floor, in metres."""

from pose3d.world.frame import Sight, forgotten, parse_up, rotation_to_world, to_world
from pose3d.world.path import root_path

__all__ = ["Sight", "forgotten", "parse_up", "root_path", "rotation_to_world", "to_world"]
