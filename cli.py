"""Launcher of a checkout: ``python cli.py infer video.mp4``."""

from pose3d.cli import main

if __name__ == "__main__":
    main()
