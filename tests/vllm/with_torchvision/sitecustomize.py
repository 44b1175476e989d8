"""For the path of vLLM's own processes: see `tests/vllm/test_images.py` and `boxes`.

The last line is that of `without_avx512_bf16`, with its reason.
"""

import boxes  # noqa: F401
import torch

torch.cpu._is_avx512_bf16_supported = lambda: False
