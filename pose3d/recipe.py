"""Stage 2 as a recipe: from everyone's keypoints to their motion in the world.

scenes -> clean -> lift -> steady -> size -> world -> feet. Each of :data:`pose3d.choices.STEPS` can
be left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pose3d.body import scaled, steady
from pose3d.camera import Camera
from pose3d.choices import STEPS
from pose3d.clean import clean
from pose3d.rows import Computed, chunks
from pose3d.sequence import Keypoints2D, Person, Pose3D
from pose3d.world import Sight, forgotten, root_path, to_world

LifterLike = Callable[..., NDArray[np.float32]]


@dataclass(frozen=True)
class Recipe:
    """What stage 2 is to do.

    Attributes
    ----------
    lifter
        Keypoints (T, 17, 2), scores, times, size and intrinsics to joints (T, 17, 3) float32, which
        are then changed in place: it keeps no hold of them.
    camera
        That saw it all.
    heights
        Of people by id, metres; of everyone else under None. Who has none is as tall as the
        lifter makes them: an adult of average height.
    camera_up
        ``auto``, ``image`` or a direction, see :func:`pose3d.world.to_world`.
    scenes
        First frame, and whether the camera stood still, of every take.
    skip
        Steps of :data:`pose3d.choices.STEPS` to leave out. Without scenes all of it is one take of
        a camera that stands still; without the world there are no feet to keep still.
    """

    lifter: LifterLike
    camera: Camera
    heights: dict[int | None, float] = field(default_factory=dict)
    camera_up: str | NDArray[np.float64] = "auto"
    scenes: Sequence[tuple[int, bool]] = ((0, True),)
    skip: tuple[str, ...] = ()

    @property
    def steps(self) -> list[str]:
        """The steps that run, in order."""
        left_out = {*self.skip, *(["feet"] if "world" in self.skip else [])}
        first = STEPS.index("clean") + 1
        steps = (*STEPS[:first], "lift", *STEPS[first:])
        return [step for step in steps if step not in left_out]

    def follow(
        self, people: Sequence[Person], done: Callable[[int], None] = lambda _count: None
    ) -> tuple[tuple[Person, ...], dict[str, Any]]:
        """Everyone's motion.

        Parameters
        ----------
        people
            With their keypoints as detected, which stay as they are.
        done
            Hears how many people are lifted.

        Returns
        -------
        people
            With poses.
        facts
            For `meta`: ``camera``, ``steps`` (of this stage), ``world`` (one entry a scene, see
            :func:`pose3d.world.to_world`), ``warnings``.
        """
        moving: list[Person] = []
        seen: list[Sight] = []
        for person in people:
            self._move(person, moving, seen)
            done(len(moving))
        facts: dict[str, Any] = {"camera": self.camera.facts(), "steps": self.steps}
        facts["world"] = self._place(moving, seen)
        facts["warnings"] = self._warnings(facts["world"])
        return tuple(moving), facts

    def _move(self, person: Person, moving: list[Person], seen: list[Sight]) -> None:
        """Add a person with a pose, and what is seen of them; nothing else keeps hold of it."""
        lifted = self._sized(self._steadied(self._lifted(self._cleaned(person))))
        moving.append(replace(person, pose=lifted.pose))
        seen.append(partial(self._seen, lifted.keypoints))

    def _cleaned(self, person: Person) -> Person:
        if "clean" not in self.steps:
            return person
        return replace(person, keypoints=clean(person.keypoints))

    def _lifted(self, person: Person) -> Person:
        seen, camera = person.keypoints, self.camera
        pixels = self._straight(seen.keypoints)
        joints = self.lifter(pixels, seen.score, seen.time, camera.size, camera.matrix)
        return replace(person, pose=Pose3D(joints))

    def _straight(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Pixels (T, 17, 2) where a lens without distortion would have put them."""
        if not self.camera.distortion.any():
            return pixels
        straight = np.empty_like(pixels)
        for rows in chunks(len(pixels)):
            straight[rows] = self.camera.straight(pixels[rows])
        return straight

    def _steadied(self, person: Person) -> Person:
        assert person.pose is not None
        if "steady" not in self.steps:
            return person
        seen, joints = person.keypoints, person.pose.joints
        directions, _ = root_path(joints, *self._seen(seen), seen.time)
        directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-9)
        steady(joints, directions, seen.time, out=joints)
        return person

    def _sized(self, person: Person) -> Person:
        height = self.heights.get(person.id, self.heights.get(None))
        if height is None or person.pose is None:
            return person
        return replace(person, pose=scaled(person.pose, height))

    def _place(self, people: list[Person], seen: list[Sight]) -> list[dict[str, Any]]:
        """Put everyone into the world of their scene, in place, and forget what was seen."""
        if "world" not in self.steps:
            return []
        worlds = []
        scenes = self.scenes if "scenes" in self.steps else [(self.scenes[0][0], True)]
        starts = np.array([start for start, _ in scenes])
        for number, (start, still) in enumerate(scenes):
            chosen = [
                n
                for n, person in enumerate(people)
                if max(np.searchsorted(starts, person.keypoints.frame[0], "right") - 1, 0) == number
            ]
            if not chosen:
                continue
            here, sights = [people[n] for n in chosen], [seen[n] for n in chosen]
            for n in chosen:
                people[n], seen[n] = replace(people[n], pose=None), forgotten
            facts = to_world(
                here,
                sights,
                camera_up=self.camera_up,
                still_camera=still,
                lock_feet="feet" in self.steps,
                known_heights=self._known(here),
            )
            for n, person in zip(chosen, here, strict=True):
                people[n] = person
            worlds.append({"frame": start, "still": still, **facts})
        return worlds

    def _known(self, people: list[Person]) -> tuple[int, ...]:
        ids = [person.id for person in people]
        return tuple(ids) if None in self.heights else tuple(i for i in ids if i in self.heights)

    def _seen(self, keypoints: Keypoints2D) -> tuple[Computed, NDArray[np.float32]]:
        pixels = keypoints.keypoints
        return Computed(lambda rows: self.camera.rays(pixels[rows])), keypoints.score

    def _warnings(self, worlds: list[dict[str, Any]]) -> list[str]:
        said = []
        if len(worlds) > 1:
            said.append(
                f"the video cuts between {len(worlds)} scenes: nobody is followed across a cut, "
                "and each scene has a world of its own"
            )
        if any(not world["still"] for world in worlds):
            said.append(
                "the camera moves: people are placed as it sees them, frame by frame, and "
                "standing feet are not kept still; if it stands still, add --skip scenes"
            )
        return said
