"""Files of every family give the same network under the same names."""

import ast
import pickle
import re
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from weight_files import LAYOUTS, SMALL, arrays_of, save

from pose3d.errors import PoseError, UsageError
from pose3d.weights import caffe2, convert, keypoint_rcnn, load, read
from pose3d.weights.arrays import Array
from pose3d.weights.unpickle import MalformedError

FIXTURES = Path(__file__).parents[2] / ".." / "shared" / "fixtures" / "detectron"
NETWORKS = ["tiny", "xtiny"]
needs_fixtures = pytest.mark.skipif(not FIXTURES.is_dir(), reason="../shared is not there")


def lookup(names: Path) -> dict[str, tuple[int, ...]]:
    lines = (line.split(" ", 1) for line in names.read_text().splitlines() if line)
    return {name: ast.literal_eval(shape) for name, shape in lines}


def stand_in(shape: tuple[int, ...]) -> Array:
    array = Array()
    array.shape, array.dtype = shape, np.dtype("f4")
    return array


def without_memory(array: Array) -> torch.Tensor:
    return torch.empty(array.shape, device="meta")


@needs_fixtures
@pytest.mark.parametrize("names", ["R-50", "R-101", "X-101-32x8d", "X-101-64x4d"])
def test_every_blob_of_the_real_files_is_mapped(names: str) -> None:
    shapes = lookup(FIXTURES / f"names_{names}-FPN_s1x.txt")
    arrays = {name: stand_in(shape) for name, shape in shapes.items()}
    plan, tensors = keypoint_rcnn.read(arrays, caffe2.LAYOUT, without_memory)  # type: ignore[arg-type]
    used = {caffe2.blob(name, plan.blocks) for name in tensors} - {None}
    assert used == set(shapes)
    assert plan.blocks == ((3, 4, 6, 3) if names == "R-50" else (3, 4, 23, 3))
    groups = re.search(r"(\d+)x(\d+)d", names)
    assert plan.groups == (int(groups[1]) if groups else 1)
    assert plan.stem == 64
    assert plan.widths == (256, 512, 1024, 2048)
    assert plan.upsampling
    assert plan.bottlenecks[0] == (int(groups[1]) * int(groups[2]) if groups else 64)
    assert (plan.pyramid, plan.pooled, plan.hidden, plan.joints) == (256, 7, 1024, 17)
    assert plan.keypoint_widths == (512,) * 8


@needs_fixtures
@pytest.mark.parametrize("network", NETWORKS)
def test_two_families_hold_one_network(network: str) -> None:
    """The fixtures were made of one network, so two independent mappings must agree."""
    ours = read(FIXTURES / network / "c2_model_final.pkl")
    other = read(FIXTURES / network / "d2_model_final.pkl")
    assert ours.config | {"upsampling": False, "norm_eps": 1e-5} == other.config
    assert set(ours.tensors) - set(other.tensors) == {
        "roi_heads.keypoint_predictor.kps_score.weight",
        "roi_heads.keypoint_predictor.kps_score.bias",
    }
    # detectron2 divides a ResNeXt's input by these; Caffe2 has them in its first filters.
    std = torch.tensor([57.375, 57.12, 58.395] if network == "xtiny" else [1.0] * 3)
    stem = "backbone.body.conv1.weight"
    torch.testing.assert_close(ours.tensors[stem] * std[:, None, None], other.tensors[stem])
    for name in set(other.tensors) - {stem}:
        if not re.search(r"\.bn\d\.|downsample\.1", name):
            assert torch.equal(ours.tensors[name], other.tensors[name]), name
    for name in other.tensors:
        if name.endswith("running_var"):
            norm = name.removesuffix(".running_var")
            for a, b in zip(affine(ours, norm), affine(other, norm), strict=True):
                torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def affine(checkpoint, norm: str) -> tuple[torch.Tensor, torch.Tensor]:
    weight, bias, mean, var = (
        checkpoint.tensors[f"{norm}.{part}"]
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = weight / (var + checkpoint.config["norm_eps"]).sqrt()
    return scale, bias - mean * scale


@needs_fixtures
@pytest.mark.parametrize("network", NETWORKS)
def test_values_are_those_of_pythons_own_pickle(network: str) -> None:
    for file, key in (("c2", "blobs"), ("d2", "model")):
        path = FIXTURES / network / f"{file}_model_final.pkl"
        with open(path, "rb") as stream:
            truth = pickle.load(stream, encoding="latin1")[key]
        checkpoint = read(path)
        layout = LAYOUTS[checkpoint.family]
        for name, tensor in checkpoint.tensors.items():
            source = layout.source(name, tuple(checkpoint.config["blocks"]))
            if source is None:
                assert tensor.eq(float(name.endswith("running_var"))).all()
            elif "box_predictor" not in name:
                assert np.array_equal(tensor.numpy(), truth[source]), name
        person = truth[
            "bbox_pred_w" if file == "c2" else "roi_heads.box_predictor.bbox_pred.weight"
        ]
        deltas = checkpoint.tensors["roi_heads.box_predictor.bbox_pred.weight"]
        assert np.array_equal(deltas.numpy(), person[-4:])


@needs_fixtures
def test_stride_follows_the_configuration() -> None:
    strides = {
        (network, file): read(FIXTURES / network / f"{file}_model_final.pkl").config[
            "stride_in_1x1"
        ]
        for network in NETWORKS
        for file in ("c2", "d2")
    }
    assert strides == {
        ("tiny", "c2"): True,
        ("tiny", "d2"): True,
        ("xtiny", "c2"): False,
        ("xtiny", "d2"): False,
    }


@pytest.mark.parametrize("family", LAYOUTS)
def test_any_width_is_read_and_converted_bit_for_bit(family: str, tmp_path: Path) -> None:
    arrays = arrays_of(family)
    path = save(tmp_path / "model.bin", family, arrays)
    checkpoint = read(path)
    assert (checkpoint.kind, checkpoint.family, checkpoint.dialect) == ("detector", family, family)
    assert checkpoint.architecture == "keypoint_rcnn"
    plan = keypoint_rcnn.plan_of(checkpoint.config)
    assert plan.blocks == SMALL.blocks
    assert plan.groups == 2
    assert plan.keypoint_widths == (5, 7)
    assert dict(plan.shapes()) == {k: tuple(v.shape) for k, v in checkpoint.tensors.items()}
    again = load(convert(path, tmp_path / "model.safetensors"), "detector")
    assert (again.family, again.dialect, again.config) == (family, family, checkpoint.config)
    assert again.metadata["source_sha256"]
    assert again.metadata["source"] == "model.bin"
    for name, tensor in checkpoint.tensors.items():
        assert torch.equal(tensor, again.tensors[name])
    with pytest.raises(PoseError, match="exists"):
        convert(path, tmp_path / "model.safetensors")


@pytest.mark.parametrize("family", LAYOUTS)
def test_missing_unknown_and_misshapen_parameters_are_named(family: str, tmp_path: Path) -> None:
    arrays = arrays_of(family)
    for name in list(arrays)[::3]:
        rest = {k: v for k, v in arrays.items() if k != name}
        with pytest.raises(PoseError) as error:
            read(save(tmp_path / "model", family, rest))
        assert name in str(error.value)
    with pytest.raises(PoseError, match=r"holds strange\.weight, which no"):
        read(save(tmp_path / "model", family, {**arrays, "strange.weight": np.ones(3, np.float32)}))
    name = next(k for k in arrays if "fc7" in k or "fc2" in k)
    with pytest.raises(PoseError, match=re.escape(f"holds {name} of shape (6, 5)")):
        read(save(tmp_path / "model", family, {**arrays, name: arrays[name][:, 1:].copy()}))
    with pytest.raises(PoseError, match="whole numbers"):
        read(save(tmp_path / "model", family, {**arrays, name: arrays[name].astype(np.int32)}))


def test_caffe2_ignores_only_what_real_files_hold_besides(tmp_path: Path) -> None:
    arrays = arrays_of("caffe2")
    extra = ["fc6_w_momentum", "conv1_b", "res3_1_branch2b_b", "fc1000_w", "fc1000_b", "pred_w"]
    noise = dict.fromkeys(extra, np.full(4, 7, np.float32))
    checkpoint = read(save(tmp_path / "model", "caffe2", {**noise, **arrays}))
    plain = read(save(tmp_path / "plain", "caffe2", arrays))
    assert all(torch.equal(v, plain.tensors[k]) for k, v in checkpoint.tensors.items())


WRAPPED = """!!python/object/new:detectron.utils.collections.AttrDict
dictitems:
  RESNETS: !!python/object/new:x.AttrDict
    dictitems: {STRIDE_1X1: false}
"""


@pytest.mark.parametrize(
    ("cfg", "weights", "stride"),
    [
        ("MODEL: {TYPE: x}", [1.0] * 4, True),
        ("RESNETS: {STRIDE_1X1: false}", [1.0] * 4, False),
        ("MODEL: {BBOX_REG_WEIGHTS: !!python/tuple [10.0, 10, 5.0, 5.0]}", [10, 10, 5, 5], True),
        (WRAPPED, [1.0] * 4, False),
    ],
)
def test_caffe2_configuration(cfg: str, weights: list, stride: bool, tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"blobs": arrays_of("caffe2"), "cfg": cfg}, protocol=2))
    config = read(path).config
    assert config["box_weights"] == weights
    assert config["stride_in_1x1"] is stride


@pytest.mark.parametrize("cfg", [None, 3, "[", "a: b: c", "[" * 5000, "x" * 100_000])
def test_caffe2_configuration_that_is_none(cfg: object, tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"blobs": arrays_of("caffe2"), "cfg": cfg}, protocol=2))
    with pytest.raises(PoseError, match="configuration"):
        read(path)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_of_every_protocol_and_byte_order(protocol: int, tmp_path: Path) -> None:
    arrays = arrays_of("detectron2")
    first, second, third = list(arrays)[:3]
    odd = dict(arrays)
    odd[first] = arrays[first].astype(">f4")
    odd[second] = np.asfortranarray(arrays[second])
    odd[third] = arrays[third].astype(np.float16)
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"model": odd}, protocol))
    plain = read(save(tmp_path / "plain.pkl", "detectron2", arrays))
    for name, tensor in read(path).tensors.items():
        if tensor.dtype == torch.float32:
            assert torch.equal(tensor, plain.tensors[name]), name
        else:
            assert torch.equal(tensor, plain.tensors[name].half())


def test_detectron2s_own_checkpoints(tmp_path: Path) -> None:
    arrays = arrays_of("detectron2")
    model = {k: torch.from_numpy(v) for k, v in arrays.items()}
    model["pixel_mean"] = torch.ones(3, 1, 1)
    model["proposal_generator.anchor_generator.cell_anchors.0"] = torch.ones(3, 4)
    torch.save({"model": model, "iteration": 9, "scheduler": {"last": 9}}, tmp_path / "model.pth")
    checkpoint = read(tmp_path / "model.pth")
    plain = read(save(tmp_path / "model.pkl", "detectron2", arrays))
    assert (checkpoint.family, checkpoint.config) == (plain.family, plain.config)
    assert all(torch.equal(v, plain.tensors[k]) for k, v in checkpoint.tensors.items())


@pytest.mark.parametrize("modern", [True, False])
def test_torch_files_old_and_new(modern: bool, tmp_path: Path) -> None:
    arrays = arrays_of("torchvision")
    table = OrderedDict((k, torch.from_numpy(v)) for k, v in arrays.items())
    table["rpn.head.conv.0.0.weight"] = (
        table["rpn.head.conv.0.0.weight"].to(memory_format=torch.channels_last).requires_grad_()
    )
    table["backbone.body.bn1.num_batches_tracked"] = torch.tensor(3)
    table._metadata = {"": {"version": 1}}
    new, old = tmp_path / "new.pth", tmp_path / "old.pth"
    torch.save(table, new, _use_new_zipfile_serialization=modern)
    # torchvision before 0.13, and detectron2's or a trainer's {'model': ...}
    names = {
        k: re.sub(r"(blocks\.\d)\.0\.", r"\1.", k).replace("conv.0.0.", "conv.") for k in table
    }
    torch.save({"model": {names[k]: v for k, v in table.items()}, "epoch": 3}, old)
    for path in (new, old):
        tensors = read(path).tensors
        for name, array in arrays.items():
            rows = slice(-4, None) if "predictor.bbox" in name else slice(None)
            assert np.array_equal(tensors[name].detach().numpy(), array[rows]), name


def test_eps_of_torchvisions_one_odd_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "model.pth", "torchvision", arrays_of("torchvision"))
    assert read(path).config["norm_eps"] == 1e-5
    monkeypatch.setattr("pose3d.weights.formats.sha256", lambda path: "fc266e95" + "0" * 56)
    assert read(path).config["norm_eps"] == 0.0


def test_torchvisions_own_network(tmp_path: Path) -> None:
    from torchvision.models.detection import keypointrcnn_resnet50_fpn

    torch.manual_seed(0)
    state = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None).state_dict()
    path = tmp_path / "model.pth"
    torch.save(state, path)
    checkpoint = read(path)
    assert set(checkpoint.tensors) == {k for k in state if "num_batches_tracked" not in k}
    for name, tensor in checkpoint.tensors.items():
        rows = slice(-4, None) if "predictor.bbox" in name else slice(None)
        assert torch.equal(tensor, state[name][rows]), name


@pytest.mark.parametrize(
    ("widths", "joints", "inputs"),
    [((3, 3, 3, 3, 3), 17, 2), ((3, 3, 3), 15, 2), ((3, 1, 5), 17, 3)],
)
@pytest.mark.parametrize("modern", [True, False])
def test_videopose3d(widths: tuple, joints: int, inputs: int, modern: bool, tmp_path: Path) -> None:
    state = lifter(widths, joints, inputs)
    path = tmp_path / "model.bin"
    parameters = [torch.nn.Parameter(torch.ones(5))]
    optimizer = torch.optim.Adam(parameters, amsgrad=True)
    parameters[0].sum().backward()
    optimizer.step()
    content = {
        "epoch": 80,
        "lr": 1e-4,
        "random_state": np.random.RandomState(1234),
        "optimizer": optimizer.state_dict(),
        "model_pos": state,
    }
    torch.save(content, path, _use_new_zipfile_serialization=modern)
    checkpoint = read(path)
    assert (checkpoint.kind, checkpoint.family) == ("lifter", "videopose3d")
    assert checkpoint.config == {
        "filter_widths": list(widths),
        "channels": 12,
        "joints_in": joints,
        "inputs": inputs,
        "joints_out": joints,
        "receptive_field": int(np.prod(widths)),
    }
    assert all(torch.equal(state[k], v) for k, v in checkpoint.tensors.items())
    assert {k for k in state if "num_batches" not in k} == set(checkpoint.tensors)
    with pytest.raises(PoseError, match="holds a lifter, not a detector"):
        load(path, "detector")
    del state["layers_bn.1.running_mean"]
    torch.save(content, path)
    with pytest.raises(PoseError, match=r"lacks layers_bn\.1\.running_mean"):
        read(path)


def lifter(widths: tuple, joints: int, inputs: int, channels: int = 12) -> OrderedDict:
    """VideoPose3D's state dict, from torch's own layers."""
    from torch import nn

    layers = {"expand_conv": nn.Conv1d(joints * inputs, channels, widths[0], bias=False)}
    layers["expand_bn"] = nn.BatchNorm1d(channels)
    for n, width in enumerate(widths[1:]):
        layers[f"layers_conv.{2 * n}"] = nn.Conv1d(channels, channels, width, bias=False)
        layers[f"layers_conv.{2 * n + 1}"] = nn.Conv1d(channels, channels, 1, bias=False)
        layers[f"layers_bn.{2 * n}"] = nn.BatchNorm1d(channels)
        layers[f"layers_bn.{2 * n + 1}"] = nn.BatchNorm1d(channels)
    layers["shrink"] = nn.Conv1d(channels, 3 * joints, 1)
    return OrderedDict(
        (f"{name}.{part}", value)
        for name, layer in layers.items()
        for part, value in layer.state_dict().items()
    )


def test_dialects(tmp_path: Path) -> None:
    path = save(tmp_path / "model.pkl", "detectron2", arrays_of("detectron2"))
    assert read(path, "detectron2-d1").dialect == "detectron2-d1"
    with pytest.raises(UsageError, match="detectron2 weights have no dialect 'caffe2'"):
        read(path, "caffe2")
    converted = convert(path, tmp_path / "d1.safetensors", dialect="detectron2-d1")
    assert read(converted).dialect == "detectron2-d1"


BODY = {
    "caffe2": ["conv1_w", "res_conv1_bn_s", "res2_0_branch2a_w", "res5_2_branch2c_w"],
    "detectron2": [
        "backbone.bottom_up.stem.conv1.weight",
        "backbone.bottom_up.res2.0.conv1.weight",
    ],
    "torchvision": ["backbone.body.conv1.weight", "backbone.body.layer1.0.conv1.weight"],
}
MIXED_UP = [
    ("caffe2", ["fc1000_w", "fc1000_b"], "ImageNet classifier"),
    ("torchvision", ["fc.weight"], "ImageNet classifier"),
    ("caffe2", ["conv_rpn_fpn2_w", "fc6_w", "_[mask]_fcn1_w", "mask_fcn_logits_w"], "Mask R-CNN"),
    ("detectron2", ["proposal_generator.rpn_head.conv.weight", "roi_heads.mask_head.deconv.weight",
                    "roi_heads.box_head.fc1.weight"], "Mask R-CNN"),
    ("torchvision", ["rpn.head.conv.0.0.weight", "roi_heads.box_head.fc6.weight",
                     "roi_heads.mask_predictor.conv5_mask.weight"], "Mask R-CNN"),
    ("caffe2", ["fpn_res2_2_sum_w", "fc6_w", "kps_score_lowres_w"], "not end-to-end"),
    ("caffe2", ["fpn_res2_2_sum_w", "conv_fcn1_w", "kps_score_lowres_w"], "not end-to-end"),
    ("caffe2", ["fpn_res2_2_sum_w", "conv_rpn_fpn2_w", "fc6_w", "cls_score_w"], "no keypoints"),
    ("detectron2", ["proposal_generator.rpn_head.conv.weight", "backbone.fpn_output2.weight",
                    "roi_heads.box_head.fc1.weight"], "box detector"),
    ("caffe2", ["fpn_res2_2_sum_w", "retnet_cls_conv_n0_fpn3_w"], "RetinaNet"),
    ("detectron2", ["head.cls_subnet.0.weight", "backbone.fpn_output3.weight"], "RetinaNet"),
    ("torchvision", ["head.classification_head.conv.0.0.weight"], "RetinaNet"),
    ("caffe2", ["fpn_res2_2_sum_w", "conv_rpn_fpn2_w"], "region proposal network"),
    ("caffe2", ["conv_rpn_w", "cls_score_w", "kps_score_lowres_w"], "without a feature pyramid"),
]  # fmt: skip


@pytest.mark.parametrize(("family", "heads", "message"), MIXED_UP)
def test_files_that_people_mix_up(family: str, heads: list, message: str, tmp_path: Path) -> None:
    arrays = dict.fromkeys([*BODY[family], *heads], np.ones(2, np.float32))
    with pytest.raises(PoseError, match=message):
        read(save(tmp_path / "model.pkl", family, arrays))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1\n",
            "Git LFS pointer",
        ),
        (b"<!DOCTYPE html>\n<html><body>404</body></html>", "web page"),
        (b'\n  <?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "web page"),
        (b"\x1f\x8b\x08\x00abc", "gzip"),
        (b"hello", "no file of weights"),
        (b"PK\x03\x04hello", "cut short, or no zip"),
        (pickle.dumps([1, 2]), "no table of parameters"),
        (pickle.dumps({"a": np.ones(3)}), "does not know"),
        (pickle.dumps({"model": {"a": 3}}), "'a', which is no array"),
    ],
)
def test_files_that_are_no_weights(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "model_final.pkl"
    path.write_bytes(content)
    with pytest.raises(PoseError, match=message) as error:
        read(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_safetensors_must_fit_their_own_description(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    source = save(tmp_path / "model.pkl", "detectron2", arrays_of("detectron2"))
    checkpoint = read(source)
    tensors, path = dict(checkpoint.tensors), tmp_path / "changed.safetensors"
    metadata = read(convert(source, tmp_path / "good.safetensors")).metadata
    for change, message in [
        ({"config": metadata["config"].replace('"blocks": [1, 2', '"blocks": [1, 3')}, "lacks"),
        ({"config": '{"stem": [9]}'}, "describes no"),
        ({"config": metadata["config"].replace("[1, 2", "[1, 1000000000")}, "describes no"),
        ({"config": "{"}, "no JSON"),
    ]:
        save_file(tensors, path, metadata | change)
        with pytest.raises(PoseError, match=message):
            read(path)
    save_file(tensors | {"more": torch.ones(2)}, path, metadata)
    with pytest.raises(PoseError, match="holds more"):
        read(path)
    save_file(tensors, path, {})
    with pytest.raises(PoseError, match="which architecture"):
        read(path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(PoseError, match="no whole safetensors"):
        read(path)


def test_shapes_that_fit_no_network_are_refused() -> None:
    with pytest.raises(MalformedError, match="four stages"):
        keypoint_rcnn.read({}, caffe2.LAYOUT, without_memory)  # type: ignore[arg-type]
