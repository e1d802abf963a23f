"""The viewer: a page that shows a recording in space, in step with its video."""

from pose3d.viewer.page import Footage, beside, write_page

__all__ = ["Footage", "beside", "write_page"]
