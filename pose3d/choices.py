"""The words and ranges that options are chosen from, for the command line and the core alike."""

# Of stage 2, in order, lifting left out: those that can be skipped (`pose3d.recipe`).
STEPS = ("scenes", "clean", "steady", "world", "feet")
SHORT_SIDES = (64, 4096)  # pixels that the detector's input may have
PRECISIONS = ("auto", "fp32", "fp16", "bf16")
ENGINES = ("auto", "torch", "openvino", "triton")
DECODERS = ("auto", "cpu", "gpu")
