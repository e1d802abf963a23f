"""What runs the compact network's dense part and heads: torch, on a CPU OpenVINO, on a GPU Triton.

Most of a frame's time on a CPU are these: convolutions of one picture. OpenVINO (Intel,
Apache-2.0; for x86 and ARM) fuses and lays these out better than torch runs them one by one.
"""

import threading
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from pose3d.choices import ENGINES
from pose3d.detect.base import kernels_run_on
from pose3d.detect.compact import JOINTS, REGION, CompactRCNN, Maps, Regions
from pose3d.errors import PoseError, UsageError, in_a_line

EXAMPLE = (64, 96)  # height and width to trace the network with; any multiples of 32
HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}  # precisions as OpenVINO calls them
MAX_STREAMS = 8  # pictures at once; each takes memory for its maps


def choose_engine(name: str, device: torch.device) -> str:
    """``auto`` is OpenVINO on a CPU, and on a GPU Triton (`detect.gpu`), where it is installed.

    Raises
    ------
    UsageError
        If there is no such engine, or it does not run on that device.
    PoseError
        If it is not installed.
    """
    if name not in ENGINES:
        raise UsageError(f"no engine is called {name!r}: try {', '.join(ENGINES)}")
    there = find_spec("openvino") is not None
    compiles = kernels_run_on(device)
    if name == "auto":
        return "triton" if compiles else "openvino" if there and device.type == "cpu" else "torch"
    if name == "triton" and not compiles:
        raise UsageError(f"triton does not run on {device}: leave --engine out")
    if name == "openvino" and device.type != "cpu":
        raise UsageError(f"openvino does not run on {device}: add --device cpu, or --engine torch")
    if name == "openvino" and not there:
        raise PoseError('openvino is not installed: pip install "openvino>=2025.0"')
    return name


class OpenVINORCNN(Regions):
    """The dense part and the heads of a compact network, compiled once for pictures of all sizes.

    Several threads may call it at once, each with a picture of its own: most layers are too small
    to be shared by cores, and what runs between the parts keeps one core busy only.

    Parameters
    ----------
    network
        Its weights are copied.
    precision
        ``auto`` (bfloat16 on CPUs that compute with it, single on others), ``fp32``, ``bf16`` or
        ``fp16``.

    Attributes
    ----------
    precision
        What ``auto`` became.
    streams
        How many threads it has cores for.

    Raises
    ------
    PoseError
        If OpenVINO does not work on this machine.
    """

    engine = "openvino"

    def __init__(self, network: CompactRCNN, precision: str = "auto") -> None:
        threads = torch.get_num_threads()
        self.streams = min(threads, MAX_STREAMS)
        self.box_step = network.box_step
        try:
            core, self.precision = _core(precision)
            settings = {
                "INFERENCE_PRECISION_HINT": HINTS[self.precision],
                "NUM_STREAMS": self.streams,
                "INFERENCE_NUM_THREADS": threads,
                "ENABLE_CPU_PINNING": False,  # else two runs at once share a core, one idles
            }
            self._dense, self._box_head, self._keypoint_head = (
                _Graph(core.compile_model(model, "CPU", settings)) for model in _models(network)
            )
        except (ImportError, RuntimeError) as error:
            reason = in_a_line(error)
            raise PoseError(
                f"openvino does not start: use --engine torch, or install it anew: {reason}"
            ) from error

    def dense(self, pictures: Tensor) -> Maps:
        """As :meth:`CompactRCNN.dense`, of one picture (1, 3, H, W) uint8 on the CPU.

        The maps are valid until this thread's next call, which writes to the same memory.
        """
        return Maps(*self._dense(pictures.permute(0, 2, 3, 1)))

    def box_head(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """As :class:`~pose3d.detect.compact.BoxHead`."""
        logits, deltas = self._box_head(x)
        return logits.clone(), deltas.clone()

    def keypoint_head(self, x: Tensor, prior: Tensor) -> Tensor:
        """As :class:`~pose3d.detect.compact.KeypointHead`."""
        if not len(x):
            return x.new_zeros(0, JOINTS, (2 * REGION) ** 2 + 1)
        return self._keypoint_head(x, prior)[0].clone()


class _Graph:
    """A compiled graph, with memory of its own for every thread."""

    def __init__(self, compiled: Any) -> None:
        self._compiled, self._local = compiled, threading.local()

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        """The outputs, valid until the thread's next call."""
        if not hasattr(self._local, "request"):
            self._local.request = self._compiled.create_infer_request()
        request = self._local.request
        request.infer([x.contiguous().numpy() for x in inputs], share_inputs=True)
        return [torch.from_numpy(tensor.data) for tensor in request.output_tensors]


def _core(precision: str) -> tuple[Any, str]:
    """OpenVINO, and what precision it will run with."""
    import openvino

    core = openvino.Core()
    if precision == "auto":
        native = core.get_property("CPU", "INFERENCE_PRECISION_HINT") == openvino.Type.bf16
        precision = "bf16" if native else "fp32"
    return core, precision


class _Forward(nn.Module):
    """A function of a network's, for the tracer, which only takes modules."""

    def __init__(self, network: CompactRCNN, work: Callable[..., tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.network, self.work = network, work

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return self.work(*inputs)


def _models(network: CompactRCNN) -> list[Any]:
    """The graphs of the dense part, the box head and the keypoint head.

    Pictures come as they lie in memory, (1, H, W, 3) uint8.
    """
    channels = network.pyramid.smooth5.out_channels
    pooled, features = [channels, 7, 7], [channels, REGION, REGION]
    prior = [JOINTS, 2 * REGION, 2 * REGION]

    def dense(pictures: Tensor) -> tuple[Tensor, ...]:
        return tuple(network.dense(pictures.permute(0, 3, 1, 2).float()))

    def locate(x: Tensor, prior: Tensor) -> tuple[Tensor, ...]:
        return (network.keypoint_head(x, prior),)

    picture = torch.zeros(1, *EXAMPLE, 3, dtype=torch.uint8)
    return [
        _model(network, dense, [picture], [[1, -1, -1, 3]]),
        _model(network, network.box_head, [torch.zeros(2, *pooled)], [[-1, *pooled]]),
        _model(
            network,
            locate,
            [torch.zeros(2, *features), torch.zeros(2, *prior)],
            [[-1, *features], [-1, *prior]],
        ),
    ]


def _model(
    network: CompactRCNN,
    work: Callable[..., tuple[Tensor, ...]],
    example: list[Tensor],
    sizes: list[list[int]],
) -> Any:
    """The graph of a function; -1 is a side that may have any size."""
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
        warnings.simplefilter("ignore")  # that torch.jit is on its way out, and that sizes vary
        graph = torch.jit.trace(_Forward(network, work).eval(), tuple(example), check_trace=False)
        # openvino.convert_model does the same, slower, and reports each use to its makers.
        front = FrontEndManager().load_by_framework("pytorch")
        decoder = TorchScriptPythonDecoder(graph)
        model = front.convert(front.load(decoder))
    model.reshape(dict(enumerate(sizes)))
    return model
