"""Make the viewer's pictures for the documentation, from the rendered clip or a recording.

python docs/img/screenshots.py [RECORDING VIDEO [SECONDS]]
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests"))

import numpy as np  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402
from test_render import TRUTH, VIDEO, walk  # noqa: E402
from test_viewer import CHROMIUM, FLAGS  # noqa: E402

from pose3d.sequence import Recording  # noqa: E402
from pose3d.viewer import write_viewer  # noqa: E402

SHOTS: dict[str, dict[str, Any]] = {
    "viewer": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "phone": {
        "viewport": {"width": 390, "height": 844}, "color_scheme": "light", "is_mobile": True,
    },
}  # fmt: skip


def main(arguments: list[str]) -> None:
    """Write one PNG for each of `SHOTS`."""
    if arguments:
        recording, video = Recording.load(arguments[0]), Path(arguments[1])
    else:
        with np.load(TRUTH, allow_pickle=False) as truth:
            recording, video = walk({name: truth[name] for name in truth.files}, True), VIDEO
    moment = float(arguments[2]) if len(arguments) > 2 else 6.5
    with TemporaryDirectory() as folder, sync_playwright() as session:
        page_file = Path(folder) / "page.html"
        write_viewer(recording, video, page_file)
        browser = session.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for name, settings in SHOTS.items():
            page = browser.new_context(**settings).new_page()
            page.goto(page_file.as_uri())
            page.evaluate("() => pose3d.ready")
            page.evaluate(f"pose3d.seek({moment})")
            page.screenshot(path=HERE / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
