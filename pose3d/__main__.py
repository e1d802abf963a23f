"""``python -m pose3d``."""

from pose3d.cli import main

if __name__ == "__main__":
    main(prog_name="pose3d")
