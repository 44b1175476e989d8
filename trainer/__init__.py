"""The hybrid of Mamba-2, attention and FFN after Nemotron-H: model, data, training, export."""
