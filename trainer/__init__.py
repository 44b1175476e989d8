"""The hybrid of Mamba-2, attention and FFN after Nemotron-H: model, data, training, export.

To read it, begin with `shape` (of the model) and `config` (the settings of a run), then

    ssd, layers, attention, model    the model; `ssd` explains the scan
    token_shards, data, loader       from Parquet files to batches; `rows`, `windows`, `packing`
                                     are parts of `data`
    train                            the loop, one function; `loss`, `optim` and `schedule` are
                                     what it calls in a step
    checkpoint, saving, records      what a run leaves

The rest is asked for by a setting, and can be read when it is: `fp8`, `step_graph`, `repeatable`;
`ranks`, `sharding`, `workers`, `on_ray` for several processes; `importing`, `export`, `megatron`
for folders of other tools; `kernels` for GPUs, `onednn` for CPUs; `generation` for text.
"""
