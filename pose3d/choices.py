"""The words and ranges that options are chosen from, for the command line and the core alike."""

STEPS = ("clean", "steady", "world", "feet")  # of stage 2 that can be skipped: `pose3d.recipe`
SHORT_SIDES = (64, 4096)  # pixels that the detector's input may have
PRECISIONS = ("auto", "fp32", "fp16", "bf16")
ENGINES = ("auto", "torch", "openvino", "triton")
DECODERS = ("auto", "cpu", "gpu")
