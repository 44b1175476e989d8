"""Measure texts for the filter rules: compiled kernels over the UTF-8 bytes of Arrow string buffers."""
