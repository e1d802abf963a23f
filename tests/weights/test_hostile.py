"""Files made to do harm are refused in one line, quickly, in little memory, and run nothing."""

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pose3d import limits
from pose3d.errors import PoseError
from pose3d.weights.formats import read

SECONDS, MEGABYTES = 2.0, 300
RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"

READ_THEM_ALL = """
import json, resource, sys, time
import torch, yaml
from pose3d.errors import PoseError
from pose3d.weights.formats import read

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

for path in sys.stdin.read().split():
    before, start = peak(), time.process_time()
    try:
        read(path)
        message = ""
    except PoseError as error:
        message = str(error)
    seconds = time.process_time() - start
    print(json.dumps([path, message, seconds, peak() - before]), flush=True)
"""


def answers(paths: list[Path], cwd: Path) -> dict[str, tuple[str, float, float]]:
    """What a fresh process says to every file: message, seconds of CPU, growth in MB."""
    run = subprocess.run(
        [sys.executable, "-c", READ_THEM_ALL],
        input="\n".join(map(str, paths)),
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(lines) == len(paths)
    return {Path(path).name: tuple(rest) for path, *rest in lines}  # type: ignore[misc]


class Calls:
    """Pickles to a call."""

    def __init__(self, function, *arguments) -> None:
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def opcodes(*parts: bytes) -> bytes:
    return b"\x80\x02" + b"".join(parts) + b"."


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def array(shape: bytes, dtype: bytes = b"U\x02f4", data: bytes = b"U\x04abcd") -> bytes:
    """An ndarray as numpy pickles it, with a shape, dtype and data of one's own."""
    return (
        RECONSTRUCT
        + b"K\x00\x85U\x01b\x87R(K\x01"
        + shape
        + b"cnumpy\ndtype\n"
        + dtype
        + b"K\x00K\x01\x87R"
        + b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        + data
        + b"tb"
    )


def model(value: bytes) -> bytes:
    """The pickle of {'model': {'a': value}}."""
    return opcodes(b"}", text("model"), b"}", text("a"), value, b"ss")


def shared_tuples(depth: int) -> bytes:
    """A tuple of 2**depth leaves in a few bytes."""
    return b")" + b"q\x00h\x00\x86" * depth


def torch_zip(data: bytes, *, compress: bool = False, **entries: bytes) -> bytes:
    buffer = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/version", b"3\n")
        for name, content in entries.items():
            archive.writestr(f"archive/{name.replace('__', '/')}", content)
    return buffer.getvalue()


def tensor(count: int, shape: tuple, strides: tuple, start: int = 0) -> bytes:
    """A tensor as torch pickles it, in a storage that claims `count` floats."""

    def numbers(values: tuple) -> bytes:
        return b"(" + b"".join(b"\x8a\x08" + struct.pack("<q", v) for v in values) + b"t"

    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n(("
        + text("storage")
        + b"ctorch\nFloatStorage\n"
        + text("0")
        + text("cpu")
        + b"\x8a\x08"
        + struct.pack("<q", count)
        + b"tQ\x8a\x08"
        + struct.pack("<q", start)
        + numbers(shape)
        + numbers(strides)
        + b"\x89ccollections\nOrderedDict\n)RtR"
    )


def saved(value: object, **options) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def hostile() -> dict[str, tuple[bytes, str]]:
    """Files, and a word of the reason for which each is refused."""
    touch = "touch RAN"
    entry = b"PK\x01\x02\x14\x03\x14\x00"  # the flags follow; 1 is encrypted
    huge = struct.pack("<q", 1 << 40)
    big = b"\x8a\x08" + huge
    legacy = saved({"a": torch.ones(3)}, _use_new_zipfile_serialization=False)
    good = pickle.dumps({"model": {"a": np.ones(3, np.float32)}}, 2)
    return {
        # Code
        "system": (pickle.dumps(Calls(os.system, touch)), "posix.system"),
        "system0": (pickle.dumps(Calls(os.system, touch), 0), "posix.system"),
        "system4": (pickle.dumps(Calls(os.system, touch), 4), "posix.system"),
        "popen": (pickle.dumps(Calls(subprocess.Popen, touch)), "subprocess.Popen"),
        "eval": (pickle.dumps(Calls(eval, "1"), 2), "__builtin__.eval"),
        "exec": (pickle.dumps(Calls(exec, "open('RAN','w')")), "builtins.exec"),
        "getattr": (pickle.dumps(Calls(getattr, np.ndarray, "dump")), "builtins.getattr"),
        "inside": (
            pickle.dumps({"model": {"a": Calls(os.system, touch)}}),
            "posix.system",
        ),
        "nested": (
            pickle.dumps(Calls(OrderedDict, [["a", Calls(os.system, touch)]])),
            "posix.system",
        ),
        "instance": (b"(S'touch RAN'\nios\nsystem\n.", "no pickle of weights"),
        "newobj": (opcodes(b"cbuiltins\neval\n", text("1"), b"\x85\x81"), "builtins.eval"),
        "dotted": (opcodes(text("numpy"), text("ndarray.dump"), b"\x93"), "numpy.ndarray.dump"),
        "attribute": (
            opcodes(text("collections"), text("OrderedDict.__init__.__globals__"), b"\x93"),
            "OrderedDict.__init__",
        ),
        "unicode": (b"\x80\x02cos\xff\nsystem\n.", "asks for"),
        "call_array": (opcodes(b"cnumpy\nndarray\n", big, b"\x85\x85R"), "numpy.ndarray"),
        "call_text": (opcodes(text("os"), b")R"), "no function"),
        "build": (opcodes(b"cnumpy\ndtype\n}", text("x"), text("y"), b"sb"), "state"),
        "setstate": (opcodes(b"}}", text("__reduce__"), text("y"), b"sb"), "state"),
        "torch_load": (
            pickle.dumps(Calls(torch.storage._load_from_bytes, b"x")),
            "_load_from_bytes",
        ),
        "zip_code": (torch_zip(pickle.dumps(Calls(os.system, touch), 2)), "posix.system"),
        "legacy_code": (
            saved({"a": Calls(os.system, touch)}, _use_new_zipfile_serialization=False),
            "posix.system",
        ),
        "script": (torch_zip(good, **{"constants.pkl": b"x"}), "TorchScript"),
        "encode": (opcodes(b"c_codecs\nencode\n", text("x"), text("rot13"), b"\x86R"), "latin1"),
        # Memory and time
        "shape": (model(array(b"(" + big + b"t")), "shape"),
        "shapes": (model(array(b"(" + big * 8 + b"t")), "shape"),
        "negative": (model(array(b"J\xff\xff\xff\xff\x85")), "impossible shape"),
        "dimensions": (model(array(b"(" + b"K\x01" * 40 + b"t")), "proper shape"),
        "empty": (opcodes(RECONSTRUCT, big, b"\x85U\x01b\x87R"), "before it shows"),
        "itemsize": (model(array(b"K\x01\x85", b"U\x0bV1000000000")), "unknown type"),
        "objects": (pickle.dumps({"model": {"a": np.array([{}, 1], object)}}), "objects"),
        "records": (
            pickle.dumps({"model": {"a": np.zeros(3, [("x", "f4"), ("y", "O")])}}),
            "plain numbers",
        ),
        "bytes8": (b"\x80\x04\x8e" + huge + b"x.", "cut short"),
        "bytearray8": (b"\x80\x05\x96" + huge + b"x.", "cut short"),
        "text8": (b"\x80\x04\x8d" + huge + b"x.", "cut short"),
        "frame": (b"\x80\x04\x95" + huge + b"N.", "cut short"),
        "string": (b"\x80\x02T\xff\xff\xff\xffx.", "negative"),
        "long4": (b"\x80\x02\x8b\xff\xff\xff\x7fx.", "no pickle"),
        "memo": (opcodes(b"Nr\xff\xff\xff\x7f"), "no table"),
        "put": (opcodes(b"Np999999999999\n"), "no pickle"),
        "bytes_call": (opcodes(b"c__builtin__\nbytes\n", big, b"\x85R"), "bytes"),
        "hash": (opcodes(b"}", shared_tuples(200), b"Ns"), "tuple as a key"),
        "hash_ordered": (
            opcodes(b"ccollections\nOrderedDict\n]", shared_tuples(200), b"N\x86a\x85R"),
            "tuple as a key",
        ),
        "print_name": (b"\x80\x04" + shared_tuples(200) + text("x") + b"\x93.", "no text"),
        "print_dtype": (
            opcodes(b"cnumpy\ndtype\n", shared_tuples(200), b"\x85R"),
            "unknown type",
        ),
        "print_key": (
            opcodes(b"c_codecs\nencode\n", text("x"), shared_tuples(200), b"\x86R"),
            "latin1",
        ),
        "dicts": (b"\x80\x02" + b"}" * 20_000_000, "operations"),
        "lists": (b"\x80\x02" + b"]" * 5_000_000 + b"a" * 5_000_000 + b".", "operations"),
        "nesting": (b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".", "no table"),
        "endless_name": (b"\x80\x02c" + b"x" * 50_000_000, "endless"),
        "underflow": (b"\x80\x02R.", "underflow"),
        "no_mark": (b"\x80\x02t.", "no mark"),
        "recall": (b"\x80\x02h\x07.", "remembered"),
        "protocol": (b"\x80\x63N.", "protocol 99"),
        "keys": (
            opcodes(b"}", text("blobs"), b"}", text("\N{SNOWMAN}" * 80), b"Nss"),
            "no array",
        ),
        "terminal": (opcodes(b"}", text("a\n\x1b[2J"), b"Ns"), "'a\\n\\x1b[2J', which is no array"),
        "lines": (pickle.dumps({"model": lines()}), "holds a?b?[2J, which no Keypoint"),
        "repeated": (repeated(), "more numbers than it holds"),
        # torch's containers
        "bomb": (torch_zip(bytes(200_000_000), compress=True), "compressed"),
        "storage": (torch_zip(model(tensor(1 << 36, (1,), (1,))), data__0=bytes(4)), "in 4 bytes"),
        "beyond": (torch_zip(model(tensor(1, (1 << 30,), (1,))), data__0=bytes(4)), "in 4 bytes"),
        "offset": (torch_zip(model(tensor(1, (1,), (1,), 9)), data__0=bytes(4)), "in 4 bytes"),
        "behind": (torch_zip(model(tensor(1, (1,), (1,), -9)), data__0=bytes(4)), "impossible"),
        "backwards": (torch_zip(model(tensor(1, (2,), (-1,))), data__0=bytes(4)), "impossible"),
        "absent": (torch_zip(model(tensor(1, (1,), (1,)))), "lacks its part"),
        "expanded": (expanded(), "more numbers than it holds"),
        "legacy_storage": (legacy.replace(b"K\x03Ntq", b"M\xff\xffNtq"), "cut short"),
        "legacy_keys": (legacy[: legacy.rindex(b"]q")] + b"N.", "table of its parts"),
        "half_zip": (torch_zip(good)[:-40], "cut short"),
        "no_pickle": (zip_of(b"x"), "none that torch wrote"),
        "encrypted": (torch_zip(good).replace(entry + b"\x00", entry + b"\x01"), "compressed"),
    }  # fmt: skip


def zip_of(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme.txt", content)
    return buffer.getvalue()


def lines() -> dict[str, np.ndarray]:
    """A network with a parameter whose name would clear the screen."""
    from test_readers import arrays_of

    return {**arrays_of("detectron2"), "a\nb\x1b[2J": np.ones(1, np.float32)}


def repeated() -> bytes:
    """A network of 240 blocks whose arrays of one shape are one array, stored once."""
    from test_readers import SMALL, arrays_of

    plan = replace(SMALL, blocks=(60,) * 4, widths=(256,) * 4, bottlenecks=(256,) * 4, groups=1)
    shapes: dict[tuple[int, ...], np.ndarray] = {}
    arrays = arrays_of("detectron2", plan)
    arrays = {name: shapes.setdefault(array.shape, array) for name, array in arrays.items()}
    return pickle.dumps({"model": arrays}, 2)


def expanded() -> bytes:
    """VideoPose3D's network, its filters expanded from one number."""
    from test_readers import lifter

    state = lifter((3, 3, 3), 17, 2)
    table = {k: torch.ones(1).expand(2000, *v.shape[1:]) for k, v in state.items()}
    for name in ("expand_conv.weight", "layers_conv.0.weight", "layers_conv.2.weight"):
        table[name] = torch.ones(1).expand(40_000, 34 if "expand" in name else 40_000, 3)
    for name in ("layers_conv.1.weight", "layers_conv.3.weight"):
        table[name] = torch.ones(1).expand(40_000, 40_000, 1)
    for name in state:
        if "bn" in name:
            table[name] = torch.ones(1).expand(40_000)
    table["shrink.weight"] = torch.ones(1).expand(51, 40_000, 1)
    table["shrink.bias"] = torch.ones(1).expand(51)
    return saved({"model_pos": table})


def test_hostile_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    files = hostile()
    paths = []
    for name, (content, _) in files.items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(content)
    wrong = []
    for name, (message, seconds, megabytes) in answers(paths, tmp_path).items():
        reason = files[name][1]
        good = reason in message and "\n" not in message and len(message) < 400
        if not good or seconds > SECONDS or megabytes > MEGABYTES:
            wrong.append((name, message, round(seconds, 2), round(megabytes)))
    assert not wrong
    assert not (tmp_path / "RAN").exists()


def test_a_file_that_is_larger_than_any_weights(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    with open(path, "wb") as file:
        file.write(b"\x80\x02}.")
        file.truncate(limits.WEIGHTS_BYTES + 1)  # takes no place on the disk
    with pytest.raises(PoseError, match="larger than 8 GiB"):
        read(path)


def test_files_cut_short_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    from test_readers import arrays_of, save

    from pose3d.weights import convert

    wholes = [
        save(tmp_path / family, family, arrays_of(family))
        for family in ("caffe2", "detectron2", "torchvision")
    ]
    wholes.append(tmp_path / "legacy")
    table = {k: torch.from_numpy(v) for k, v in arrays_of("torchvision").items()}
    torch.save(table, wholes[-1], _use_new_zipfile_serialization=False)
    wholes.append(convert(wholes[0], tmp_path / "converted"))
    paths = list(wholes)
    for whole in wholes:
        content = whole.read_bytes()
        lengths = [len(content) * percent // 100 for percent in range(100)]
        for length in [*lengths, len(content) - 1]:
            paths.append(tmp_path / f"{whole.name}_{length}")
            paths[-1].write_bytes(content[:length])
    results = answers(paths, tmp_path)
    assert [results.pop(whole.name)[0] for whole in wholes] == [""] * len(wholes)
    for name, (message, seconds, megabytes) in results.items():
        assert message, name
        assert "\n" not in message, name
        assert seconds < SECONDS, name
        assert megabytes < MEGABYTES, name
