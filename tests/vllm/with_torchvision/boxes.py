"""Operators without which torchvision cannot be imported.

PyPI's torchvision is built for CUDA. Beside torch for CPUs its operators do not load, and it
refuses to be imported without these two. Nothing here calls them.
"""

import torch

ARGUMENTS = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
library = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    library.define(name + ARGUMENTS)
