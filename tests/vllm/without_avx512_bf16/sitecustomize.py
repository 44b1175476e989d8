"""For the path of vLLM's own processes: see `tests/vllm/conftest.py`.

These processes start afresh, so a patch in a test does not reach them.
"""

import torch

torch.cpu._is_avx512_bf16_supported = lambda: False
