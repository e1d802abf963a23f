"""Inputs that are whole but for a few odd things in them, for hypothesis to choose."""

import io
import json
import math
from typing import Any

import numpy as np
from hypothesis import strategies as st

from .parcel import RAW, unwrap, wrap
from .targets import Target

TEXTS = (
    "",
    "\0",
    "../../x",
    "/etc/passwd",
    "a" * 5000,
    "\x1b[2J",
    "名.mp4",
    "1",
    "-1",
    "nan",
    "CON",
)
NUMBERS = (0, -1, 1, 2**31, 2**63, 10**30, 10**400, 1e308, -1e308, 5e-324, 0.5)
ODD: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([None, True, False, math.nan, math.inf, -math.inf, *NUMBERS, *TEXTS]),
    st.sampled_from([[], {}, [[]], [[[[]]]], [0] * 3000, {"data": []}, [None], [math.nan] * 51]),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.integers(2, 200).map(lambda depth: json.loads("[" * depth + "]" * depth)),
)
SHAPES = (
    (),
    (0,),
    (1,),
    (3, 4),
    (3, 17, 2),
    (3, 33, 3),
    (2, 0, 17),
    (1,) * 9,
    (0, 1 << 39, 1 << 39),
)
TYPES = (
    "<f4",
    "<f8",
    ">f8",
    "<f2",
    "<i8",
    "<u8",
    "|b1",
    "<c8",
    "<U9",
    "|S3",
    "<U0",
    "<M8[s]",
    "|u1",
)
HEADERS = (
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627775,), }",
    "{'descr': '<f4', 'fortran_order': True, 'shape': (-1,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (True,), }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (), }",
    "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }",
    "{'descr': '<U999999999', 'fortran_order': False, 'shape': (0,), }",
    "{'descr': '<f4', 'shape': (1,)",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1L,), }",
    "(" * 3000,
    "{[]: 1}",
    "-" * 9000 + "1",
)


def inputs(target: Target) -> st.SearchStrategy[bytes]:
    """Inputs of a target: its seeds with something changed."""
    return st.sampled_from(target.seeds()).flatmap(changed)


@st.composite
def changed(draw: st.DrawFn, seed: bytes) -> bytes:
    """One seed, changed in the way that fits what it is."""
    for _ in range(draw(st.integers(1, 3))):
        seed = draw(st.sampled_from(_ways(seed)))(draw, seed)
    return seed


def _ways(seed: bytes) -> list[Any]:
    ways = [_spliced]
    if seed[:1] in b"[{" or seed[1:2] in (b"[", b"{"):
        ways += [_other_json] * 4
    elif seed[:1] in b"\0\1\2":
        ways += [_other_line] * 4
    elif not seed.startswith(RAW) and any(name for name, _ in unwrap(seed[:300])):
        ways += [_other_member] * 4
    elif b"," in seed[:200] and b"\n" in seed:
        ways += [_other_cell] * 4
    return ways


def _spliced(draw: st.DrawFn, seed: bytes) -> bytes:
    """Some bytes taken out, others put there."""
    start = draw(st.integers(0, len(seed)))
    end = min(start + draw(st.integers(0, 40)), len(seed))
    return seed[:start] + draw(st.binary(max_size=40)) + seed[end:]


def _other_json(draw: st.DrawFn, seed: bytes) -> bytes:
    """A value, or a key, in place of another."""
    before = seed[: seed.index(b"{") if b"{" in seed[:2] else seed.index(b"[")] if seed else b""
    try:
        content = json.loads(seed[len(before) :])
    except (ValueError, RecursionError):
        return _spliced(draw, seed)
    return before + json.dumps(_with_odd(draw, content)).encode()


def _with_odd(draw: st.DrawFn, content: Any) -> Any:
    if isinstance(content, dict | list) and content and draw(st.integers(0, 5)):
        keys = list(content) if isinstance(content, dict) else range(len(content))
        key = draw(st.sampled_from(keys))
        if isinstance(content, dict) and not draw(st.integers(0, 8)):
            content[draw(st.sampled_from(TEXTS))] = content.pop(key)
        else:
            content[key] = _with_odd(draw, content[key])
        return content
    return draw(ODD)


def _other_line(draw: st.DrawFn, seed: bytes) -> bytes:
    """An odd value after the = of a line."""
    lines = seed.split(b"\n")
    n = draw(st.integers(0, len(lines) - 1))
    key, equals, _ = lines[n].partition(b"=")
    value = draw(st.one_of(ODD, st.sampled_from(TEXTS)))
    lines[n] = key + equals + json.dumps(value, default=str).encode()
    return b"\n".join(lines)


def _other_cell(draw: st.DrawFn, seed: bytes) -> bytes:
    rows = [row.split(b",") for row in seed.split(b"\n")]
    row = draw(st.sampled_from(rows))
    odd = draw(st.one_of(ODD, st.sampled_from(TEXTS)))
    row[draw(st.integers(0, len(row) - 1))] = str(odd).encode("utf-8", "replace")[:500]
    return b"\n".join(b",".join(row) for row in rows)


def _other_member(draw: st.DrawFn, seed: bytes) -> bytes:
    """An archive with an array of another shape, kind or header, without one, or one twice."""
    members = list(unwrap(seed))
    n = draw(st.integers(0, len(members) - 1))
    name, content = members[n]
    match draw(st.integers(0, 4)):
        case 0:
            del members[n]
        case 1:
            members[n] = (draw(st.sampled_from([*TEXTS, "meta.npy", "person_9/id.npy"])), content)
        case 2:
            members[n] = (name, _array(draw))
        case 3 if name.startswith("meta"):
            members[n] = (name, _other_meta(draw, content))
        case 3 if name.endswith(".npy") and b"|O" not in content[:128]:
            members[n] = (name, _with_odd_number(draw, content))
        case _:
            members[n] = (name, _spliced(draw, content))
    return wrap(members)


def _other_meta(draw: st.DrawFn, content: bytes) -> bytes:
    try:
        text = json.loads(str(np.load(io.BytesIO(content))))
    except Exception:
        return _spliced(draw, content)
    return _npy(np.array(json.dumps(_with_odd(draw, text))))


def _npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _array(draw: st.DrawFn) -> bytes:
    if draw(st.booleans()):
        header = draw(st.sampled_from(HEADERS)).encode()
        return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 8
    shape, kind = draw(st.sampled_from(SHAPES[:8])), draw(st.sampled_from(TYPES))
    return _npy(np.ones(shape).astype(kind) if "M8" not in kind else np.zeros(shape, kind))


def _with_odd_number(draw: st.DrawFn, content: bytes) -> bytes:
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except Exception:
        return _spliced(draw, content)
    if array.size and array.dtype.kind in "fiu":
        place = draw(st.integers(0, array.size - 1))
        value = draw(st.sampled_from([math.nan, math.inf, 1e30, -1.0, 0.0, 2.0**40, 1e18, 2.0]))
        with np.errstate(all="ignore"):
            array.reshape(-1)[place] = np.array(value).astype(array.dtype)
    return _npy(array)
