"""Recordings to look at: keypoints on the frames, skeletons in space beside them."""

from pose3d.render.gif import render_gif
from pose3d.render.overlay import draw_people
from pose3d.render.sheet import render_sheet
from pose3d.render.video import render_video

__all__ = ["draw_people", "render_gif", "render_sheet", "render_video"]
