"""The hybrid Mamba-2 / attention / FFN model after Nemotron-H: its data, its one training loop, checkpoints, export."""
