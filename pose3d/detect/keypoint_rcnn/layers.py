"""All that is learnt: ResNet, pyramid, heads; named and shaped as torchvision's parameters."""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from pose3d.weights.keypoint_rcnn import ANCHORS, STAGES, Plan

LEVELS = ("0", "1", "2", "3", "pool")  # P2 to P6


class FrozenNorm(nn.Module):
    """Batch norm as in evaluation."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        for name, fill in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
            self.register_buffer(name, torch.full((width,), float(fill)))
        self.weight: Tensor
        self.bias: Tensor
        self.running_mean: Tensor
        self.running_var: Tensor

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        shift = self.bias - self.running_mean * scale
        return (x * scale[:, None, None].to(x)).add_(shift[:, None, None].to(x))


class Bottleneck(nn.Module):
    """Narrow, filter, widen (He et al., CVPR 2016), in groups for ResNeXt (Xie et al., 2017)."""

    def __init__(
        self, inputs: int, width: int, outputs: int, plan: Plan, stride: int, first: bool
    ) -> None:
        super().__init__()
        outer, inner = (stride, 1) if plan.stride_in_1x1 else (1, stride)
        self.conv1 = nn.Conv2d(inputs, width, 1, outer, bias=False)
        self.bn1 = FrozenNorm(width, plan.norm_eps)
        self.conv2 = nn.Conv2d(width, width, 3, inner, 1, groups=plan.groups, bias=False)
        self.bn2 = FrozenNorm(width, plan.norm_eps)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = FrozenNorm(outputs, plan.norm_eps)
        self.downsample = (
            nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False),
                FrozenNorm(outputs, plan.norm_eps),
            )
            if first
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        y = F.relu_(self.bn1(self.conv1(x)))
        y = F.relu_(self.bn2(self.conv2(y)))
        return F.relu_(self.bn3(self.conv3(y)).add_(self.downsample(x)))


class ResNet(nn.Module):
    """Maps at strides 4, 8, 16 and 32."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, plan.stem, 7, 2, 3, bias=False)
        self.bn1 = FrozenNorm(plan.stem, plan.norm_eps)
        before = plan.stem
        for n in range(STAGES):
            stage = nn.Sequential()
            for block in range(plan.blocks[n]):
                stride = 2 if n and not block else 1
                width, outputs = plan.bottlenecks[n], plan.widths[n]
                stage.append(Bottleneck(before, width, outputs, plan, stride, not block))
                before = outputs
            self.add_module(f"layer{n + 1}", stage)

    def forward(self, x: Tensor) -> dict[str, Tensor]:  # noqa: D102
        x = F.max_pool2d(F.relu_(self.bn1(self.conv1(x))), 3, 2, 1)
        maps = OrderedDict()
        for n in range(STAGES):
            x = self.get_submodule(f"layer{n + 1}")(x)
            maps[LEVELS[n]] = x
        return maps


class Backbone(nn.Module):
    """ResNet and a feature pyramid of five levels."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.body = ResNet(plan)
        self.fpn = FeaturePyramidNetwork(list(plan.widths), plan.pyramid, LastLevelMaxPool())

    def forward(self, x: Tensor) -> list[Tensor]:
        """Maps P2 to P6 of pictures (B, 3, H, W), sides of 32."""
        return list(self.fpn(self.body(x)).values())


class RPNHead(nn.Module):
    """Logits and deltas of every anchor."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1), nn.ReLU()))
        self.cls_logits = nn.Conv2d(channels, ANCHORS, 1)
        self.bbox_pred = nn.Conv2d(channels, ANCHORS * 4, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, H * W * 3) and deltas (B, H * W * 3, 4) of a map (B, C, H, W)."""
        y = self.conv(x)
        logits = self.cls_logits(y).permute(0, 2, 3, 1).flatten(1)
        deltas = self.bbox_pred(y).permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, 4))
        return logits.float(), deltas.float()


class BoxHead(nn.Module):
    """Two layers that see a region as one vector."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.fc6 = nn.Linear(plan.pyramid * plan.pooled**2, plan.hidden)
        self.fc7 = nn.Linear(plan.hidden, plan.hidden)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return F.relu(self.fc7(F.relu(self.fc6(x.flatten(1)))))


class BoxPredictor(nn.Module):
    """Background or person, and the person's box."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.cls_score = nn.Linear(hidden, 2)
        self.bbox_pred = nn.Linear(hidden, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (R, 2) and deltas (R, 4)."""
        return self.cls_score(x).float(), self.bbox_pred(x).float()


class KeypointHead(nn.Sequential):
    """Convolutions on 14 x 14 regions; layers 1, 3 and so on are the ReLUs, without numbers."""

    def __init__(self, plan: Plan) -> None:
        layers: list[nn.Module] = []
        before = plan.pyramid
        for width in plan.keypoint_widths:
            layers += [nn.Conv2d(before, width, 3, 1, 1), nn.ReLU()]
            before = width
        super().__init__(*layers)


class KeypointPredictor(nn.Module):
    """14 x 14 regions to 56 x 56 maps, one a joint.

    The second doubling is Detectron's stored one, which takes zeros beyond the border, or plain
    bilinear interpolation.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        before = (plan.pyramid, *plan.keypoint_widths)[-1]
        self.kps_score_lowres = nn.ConvTranspose2d(before, plan.joints, 4, 2, 1)
        self.kps_score = (
            nn.ConvTranspose2d(plan.joints, plan.joints, 4, 2, 1) if plan.upsampling else None
        )

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        x = self.kps_score_lowres(x).float()
        if self.kps_score is not None:
            return self.kps_score(x).float()
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class Heads(nn.Module):
    """What looks at regions."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.box_head = BoxHead(plan)
        self.box_predictor = BoxPredictor(plan.hidden)
        self.keypoint_head = KeypointHead(plan)
        self.keypoint_predictor = KeypointPredictor(plan)

    def boxes(self, regions: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (R, 2) and deltas (R, 4) of regions (R, C, 7, 7)."""
        return self.box_predictor(self.box_head(regions))

    def keypoints(self, regions: Tensor) -> Tensor:
        """Logits (R, 17, 56, 56) of regions (R, C, 14, 14)."""
        return self.keypoint_predictor(self.keypoint_head(regions))
