"""Colours and sizes that all pictures share.

The person's own left is orange, the right blue, in the frame as in space; trunk and label have the
colour of the person's number. RGB everywhere.
"""

from dataclasses import dataclass, replace

from pose3d.skeleton import Skeleton

Colour = tuple[int, int, int]

LEFT: Colour = (255, 140, 26)
RIGHT: Colour = (64, 156, 255)
PEOPLE: tuple[Colour, ...] = (  # apart from both, and from each other for the first few
    (120, 224, 96),
    (244, 112, 206),
    (250, 232, 92),
    (96, 232, 226),
    (196, 150, 255),
    (255, 255, 255),
    (255, 150, 150),
    (170, 200, 60),
)
OUTLINE: Colour = (16, 18, 22)
INK: Colour = (20, 22, 26)  # of text on a label

BACKGROUND: Colour = (30, 33, 39)
FLOOR: Colour = (42, 46, 54)
GRID: Colour = (88, 95, 108)
SHADOW: Colour = (20, 22, 26)
TEXT: Colour = (214, 218, 224)


@dataclass(frozen=True)
class Sizes:
    """Line widths and letters for a picture, pixels.

    Attributes
    ----------
    bone, joint
        Width of a limb, radius of a joint.
    outline
        How far the dark edge around both reaches out.
    font
        OpenCV's scale: its letters are 22 pixels high at 1.
    text
        Width of a letter's stroke.
    """

    bone: int
    joint: float
    outline: int
    font: float
    text: int

    @classmethod
    def of(cls, height: int) -> "Sizes":
        """For a picture of this height."""
        unit = max(height, 240) / 240
        return cls(
            bone=max(round(1.4 * unit), 2),
            joint=max(1.4 * unit, 2.0),
            outline=max(round(0.35 * unit), 1),
            font=0.28 * unit,
            text=max(round(0.4 * unit), 1),
        )

    def thin(self) -> "Sizes":
        """The same with thinner limbs, for what is doubtful."""
        return replace(self, bone=max(self.bone // 2, 1), joint=self.joint / 2, outline=1)


def of_person(number: int) -> Colour:
    """The colour of a person's number, which counts from 1."""
    return PEOPLE[(number - 1) % len(PEOPLE)]


def of_joint(skeleton: Skeleton, joint: int, middle: Colour) -> Colour:
    """A joint's colour; `middle` where it belongs to no side."""
    return {"left": LEFT, "right": RIGHT, "middle": middle}[skeleton.side(joint)]


def of_bone(skeleton: Skeleton, bone: tuple[int, int], middle: Colour) -> Colour:
    """A bone's colour: its side's, `middle` where it has none or leads from one to the other."""
    sides = {skeleton.side(joint) for joint in bone} - {"middle"}
    if len(sides) != 1:
        return middle
    return LEFT if sides == {"left"} else RIGHT


def faded(colour: Colour, share: float) -> Colour:
    """A colour on its way to the background's."""
    r, g, b = (round(c * (1 - share) + f * share) for c, f in zip(colour, BACKGROUND, strict=True))
    return r, g, b
