"""What runs the compact network's dense part: torch, or on a CPU OpenVINO.

Most of a frame's time on a CPU is the dense part: convolutions of one picture. OpenVINO (Intel,
Apache-2.0; for x86 and ARM) fuses and lays these out better than torch runs them one by one.
"""

import warnings
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from pose3d.detect.compact import CompactRCNN, Maps
from pose3d.errors import PoseError, UsageError

ENGINES = ("auto", "torch", "openvino")
EXAMPLE = (64, 96)  # height and width to trace the network with; any multiples of 32


def choose_engine(name: str, device: torch.device) -> str:
    """``auto`` is OpenVINO on a CPU, where it is installed.

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
    if name == "auto":
        return "openvino" if there and device.type == "cpu" else "torch"
    if name == "openvino" and device.type != "cpu":
        raise UsageError(f"openvino does not run on {device}: add --device cpu, or --engine torch")
    if name == "openvino" and not there:
        raise PoseError('openvino is not installed: pip install "openvino>=2025.0"')
    return name


class OpenVINODense:
    """The dense part of a compact network, compiled once for pictures of all sizes.

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

    Raises
    ------
    PoseError
        If OpenVINO does not work on this machine.
    """

    def __init__(self, network: CompactRCNN, precision: str = "auto") -> None:
        try:
            self.precision, self._request = _compiled(network, precision)
        except (ImportError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise PoseError(
                f"openvino does not start: use --engine torch, or install it anew: {reason}"
            ) from error

    def __call__(self, pictures: Tensor) -> Maps:
        """As :meth:`CompactRCNN.dense`, of one picture (1, 3, H, W) on the CPU.

        The maps are valid until the next call, which writes to the same memory.
        """
        self._request.infer([pictures.permute(0, 2, 3, 1).contiguous().numpy()])
        return Maps(*(torch.from_numpy(tensor.data) for tensor in self._request.output_tensors))


def _compiled(network: CompactRCNN, precision: str) -> tuple[str, Any]:
    """The precision chosen, and what runs the graph."""
    import openvino

    core = openvino.Core()
    if precision == "auto":
        native = core.get_property("CPU", "INFERENCE_PRECISION_HINT") == openvino.Type.bf16
        precision = "bf16" if native else "fp32"
    settings = {
        "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}[precision],
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "ENABLE_CPU_PINNING": False,  # else two runs at once share a core and leave one idle
    }
    return precision, core.compile_model(_model(network), "CPU", settings).create_infer_request()


class _ChannelsLast(nn.Module):
    """The dense part with pictures (1, H, W, 3), the order in which they lie in memory."""

    def __init__(self, network: CompactRCNN) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.network.dense(pictures.permute(0, 3, 1, 2)))


def _model(network: CompactRCNN) -> Any:
    """The graph of the dense part, of one picture of any size."""
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
        warnings.simplefilter("ignore")  # that torch.jit is on its way out, and that sizes vary
        graph = torch.jit.trace(
            _ChannelsLast(network).eval(), torch.zeros(1, *EXAMPLE, 3), check_trace=False
        )
        # openvino.convert_model does the same, slower, and reports each use to its makers.
        front = FrontEndManager().load_by_framework("pytorch")
        decoder = TorchScriptPythonDecoder(graph)
        model = front.convert(front.load(decoder))
    model.reshape([1, -1, -1, 3])
    return model
