"""For the path of vLLM's own processes: see `tests/vllm/test_images.py`.

PyPI's torchvision is built for CUDA. Beside torch for CPUs its operators do not load, and it
refuses to be imported without two of them. Nothing here calls them. It lies in a folder of its own,
where `make test-vllm` puts it, so that tests without images never see it. The last line is that of
`without_avx512_bf16`, with its reason.
"""

import sys
from pathlib import Path

import torch

sys.path.append(str(Path(sys.prefix) / "torchvision"))
ARGUMENTS = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
library = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    library.define(name + ARGUMENTS)

torch.cpu._is_avx512_bf16_supported = lambda: False
