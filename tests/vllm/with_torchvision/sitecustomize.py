"""For the path of vLLM's own processes, beside torch for CPUs: see `tests/vllm/test_images.py`.

PyPI's torchvision is built for CUDA. Beside torch for CPUs its operators do not load, and it
refuses to be imported without two of them. Nothing here calls them.
"""

import torch

BOXES = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
library = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    library.define(name + BOXES)

torch.cpu._is_avx512_bf16_supported = lambda: False  # as in `without_avx512_bf16`
