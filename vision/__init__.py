"""Image encoder, projector and tiling: what lets the hybrid language model read images."""
