"""Put on the path of vLLM's own processes, which start afresh and so see no patch made by a test: see `tests/vllm/conftest.py`."""

import torch

torch.cpu._is_avx512_bf16_supported = lambda: False
