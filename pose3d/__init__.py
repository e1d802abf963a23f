"""Video of people in, their motion in 3D out."""

__version__ = "0.1.0"
