"""The training loop: one function from a configuration and token shards to checkpoints and a log.

Run it again after an interruption, and it goes on from the last checkpoint. On a CPU the result has
the same bits as without the interruption. Nothing in a step waits for the GPU: losses and norms
stay there, and are read every `log_every` steps.

Output: `checkpoints/step-NNNNNNNN/` (see `trainer.checkpoint`), `log.jsonl`, one record a step,
`loss.svg`, and `sequences.json` (see `trainer.sequences`).
Source of the recipe: Nemotron-H, arXiv 2504.03624, section 2.4.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.trainer import checkpoint, fp8, gradient_sums, sequences
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.data import PackedStream
from corpusmill.trainer.loader import Batch, BatchLoader, held_out_batches
from corpusmill.trainer.loss import SummedLoss, mean_loss, uncompiled
from corpusmill.trainer.memory import explained
from corpusmill.trainer.model import HybridModel
from corpusmill.trainer.optim import Optimizer
from corpusmill.trainer.parts import NO_METADATA, TEXT, Metadata, Parts
from corpusmill.trainer.ranks import Ranks, compute_dtype, is_first, joined
from corpusmill.trainer.records import OnStep, Records, StepRecord, read_records
from corpusmill.trainer.repeatable import repeatable
from corpusmill.trainer.saving import Saver
from corpusmill.trainer.schedule import learning_rate_at
from corpusmill.trainer.sharding import clip_gradients, keep_gathered, shard
from corpusmill.trainer.step_graph import StepGraph, Tell, decide
from corpusmill.trainer.token_shards import IMAGE_TOKEN, Catalogue, catalogue
from corpusmill.trainer.tracking import draw_loss, watchers
from torch import Tensor

Gradients = Callable[[Batch], Tensor]


@dataclass(frozen=True)
class TrainResult:
    """What a finished run left.

    documents: how many it trained on. held_out: how many were only for evaluation. not_reached: how
    many the run was too short for. last: the last step's record, with the held-out loss; None if
    the log was removed.
    """

    steps: int
    tokens: int
    documents: int
    held_out: int
    not_reached: int
    checkpoint: Path
    log: Path
    last: StepRecord | None


def train(
    config: TrainConfig,
    shards: Sequence[Path],
    output_folder: Path,
    on_step: OnStep | None = None,
    parts: Parts = TEXT,
) -> TrainResult:
    """Train, or go on training, until the run has its length. One process of the run does this.

    shards: Parquet files of the pack stage. on_step: called once per step, in order, when its
    record is written; by the first rank only. parts: what is trained, and by which loss. Raises
    CorpusmillError if the data does not fit, if the output folder belongs to another run, if memory
    is too small, or if the loss is not finite.
    """
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    config.refuse_missing_packages()
    # A run that goes on has its report already.
    going_on = (output_folder / sequences.FILE).exists() and checkpoint.latest(
        output_folder / "checkpoints"
    )
    fitted = config.pack == "best_fit" or (is_first() and not going_on)
    corpus = catalogue(shards, config.sequence_length, config.eval_fraction, fitted)
    if corpus.largest_token >= config.model.vocab_size:
        raise CorpusmillError(
            f"the shards hold token {corpus.largest_token}, "
            f"the model knows {config.model.vocab_size}",
            "set model.vocab_size to at least the size of the tokenizer's vocabulary",
        )
    if not parts.columns and IMAGE_TOKEN in corpus.metadata:
        raise CorpusmillError(
            "the token shards hold images, and the model reads text alone",
            "set train.vision, or pack documents without images",
        )
    if parts.gauging is not None and config.shard_ranks > 1:
        raise CorpusmillError(
            "a model that is sharded over processes cannot be measured while it trains",
            "leave out gauge, or set shard_ranks to 1",
        )
    with repeatable(config.deterministic), joined(config) as ranks:
        try:
            with explained(config, ranks):
                return _train(config, corpus, output_folder, on_step, ranks, parts)
        except torch._dynamo.exc.BackendCompilerFailed as error:
            raise CorpusmillError(
                f"torch.compile failed ({str(error).splitlines()[0]})",
                "set compile to false, or install a C++ compiler",
            ) from error


def _train(
    config: TrainConfig,
    corpus: Catalogue,
    output_folder: Path,
    on_step: OnStep | None,
    ranks: Ranks,
    parts: Parts,
) -> TrainResult:
    stream = PackedStream(
        corpus, config.seed, config.pack, config.shuffle_window, images=parts.columns
    )
    read_extras = parts.make_extras_reader and parts.make_extras_reader(config, corpus.metadata)
    steps = config.step_count(stream.epoch_rows)
    config.refuse_long_warmup(steps)

    model = build_model(config, ranks, parts, corpus.metadata)
    optimizer = Optimizer(model, config)
    checkpoints, log = output_folder / "checkpoints", output_folder / "log.jsonl"
    output_folder.mkdir(parents=True, exist_ok=True)
    start = checkpoint.latest(checkpoints)
    first = 0
    if start:
        first = checkpoint.resume(start, model, optimizer, config, corpus.digest)
    else:
        parts.load_weights(config, model)
    ranks.wait()  # nobody looks for checkpoints any more
    if ranks.first:
        checkpoint.clean(checkpoints)
        if corpus.training[0].fitted_rows is not None:
            (output_folder / sequences.FILE).write_text(sequences.describe(corpus, config.pack))
    summed_loss = parts.make_loss(model, config)
    notes: list[str] = []
    gradients = gradients_of(summed_loss, config, ranks, notes.append)
    held_out = held_out_batches(config, stream, ranks, read_extras)
    gauging = parts.gauging
    measure = gauging.make(model, config) if gauging and ranks.first else None
    if gauging:
        ranks.wait_long()
    names = [path.name for path in corpus.shards]
    saver = Saver(checkpoints, model, optimizer, config, corpus.digest, names, ranks)
    loader = BatchLoader(
        stream,
        config.batch_size,
        first,
        steps,
        pin=ranks.device.type == "cuda",
        rank=ranks.rank,
        ranks=ranks.count,
        read_extras=read_extras,
        processes=config.loader_processes,
    )
    with (
        explained(config, ranks, lambda: isinstance(gradients, StepGraph) and gradients.in_use),
        saver,
        watchers(config, output_folder, first, ranks) as watching,
        loader as batches,
    ):
        tell = [*watching, on_step] if on_step else watching
        records = Records(log, first, steps, config, tell, ranks, notes)
        for step, batch in enumerate(batches, start=first):
            rate = learning_rate_at(
                step,
                steps,
                config.learning_rate,
                config.warmup(steps),
                config.schedule,
                config.floor,
                config.decay_fraction,
            )
            loss, norm = optimise(
                optimizer, rate, summed_loss, batch.to(ranks.device), ranks, gradients
            )
            done = step + 1
            records.add(done, rate, loss, norm, summed_loss.flops(batch))
            evaluate_now = done == steps or (
                config.eval_every is not None and done % config.eval_every == 0
            )
            held_out_loss = (
                mean_loss(summed_loss, held_out, ranks) if held_out and evaluate_now else None
            )
            figures = None
            if gauging and (done == steps or done % gauging.every == 0):
                if measure:
                    with uncompiled(model):  # texts of any length would be compiled again and again
                        figures = dict(measure(done, model))
                ranks.wait_long()
            save_now = done == steps or done % config.checkpoint_every == 0
            if save_now or figures or held_out_loss is not None or done % config.log_every == 0:
                records.write(held_out_loss, figures)
            if save_now:
                saver.save(done)
        last = saver.wait() or start
    assert last is not None
    if ranks.first:
        draw_loss(read_records(log), output_folder / "loss.svg")
    tokens = steps * config.batch_size * config.sequence_length
    documents = stream.documents_before(steps * config.batch_size)
    set_aside = sum(group.documents for group in corpus.held_out)
    not_reached = stream.documents_from(steps * config.batch_size)
    return TrainResult(steps, tokens, documents, set_aside, not_reached, last, log, records.last)


def optimise(
    optimizer: Optimizer,
    rate: float,
    summed_loss: SummedLoss,
    batch: Batch,
    ranks: Ranks,
    gradients: Gradients,
) -> tuple[Tensor, Tensor]:
    """Do one optimiser step. Returns loss and gradient norm as scalars on the device.

    batch: this rank's rows. Every counted target weighs the same, whatever its micro-batch and
    rank. So sums are divided by the count of the whole batch. gradients: of `gradients_of`.
    """
    config, model = optimizer.config, summed_loss.model
    if ranks.shards is None:
        model.round_weights()  # sharded, they would be whole on every rank
    targets = ranks.sum(batch.targets.clone()).clamp(min=1)
    loss = gradients(dataclasses.replace(batch, targets=targets))
    ranks.sum_gradients(model)
    norm = clip_gradients(model, config.clip)
    optimizer.step(rate)
    optimizer.zero_grad()
    return ranks.sum(loss), norm


def gradients_of(
    summed_loss: SummedLoss, config: TrainConfig, ranks: Ranks, tell: Tell = print
) -> Gradients:
    """Leaves the gradients of this rank's rows in the model, and returns their part of the loss.

    It is given a batch whose `targets` are those of all ranks. tell: takes what the user should
    know.
    """
    model, rows = summed_loss.model, config.rows_of_rank(ranks.count)
    several = config.passes_of_rank(ranks.count) > 1
    if gradient_sums.take(model.compute_dtype, ranks.device) and several and ranks.shards is None:
        model.sum_gradients()

    def gradients(batch: Batch) -> Tensor:
        model.empty_sums()
        loss = torch.zeros((), device=batch.tokens.device)
        pieces = list(batch.micro_batches(rows))
        for number, piece in enumerate(pieces, start=1):
            keep_gathered(model, config.gather_weights == "step" and number < len(pieces))
            part = summed_loss(piece) / batch.targets
            if part.requires_grad:  # not if only a projector learns, and no row has an image
                part.backward()
            loss += part.detach()
        return loss

    graph, why_not = decide(config, ranks, summed_loss.layer_flops)
    if why_not:
        tell(why_not)
    if not graph:
        return gradients
    return StepGraph(gradients, model.parameters(), None if config.cuda_graph is True else tell)


def build_model(
    config: TrainConfig, ranks: Ranks, parts: Parts = TEXT, metadata: Metadata = NO_METADATA
) -> HybridModel:
    """The model with its first weights, on the device, sharded if the settings say so.

    metadata: of the token shards.
    """
    dtype = compute_dtype(config.dtype, ranks.device)
    with torch.device("meta"):
        model = parts.make_model(config, metadata, dtype)
    model.recompute(config.checkpoint_activations)
    if config.precision != "plain":
        model.use_fp8(fp8.SCALINGS[config.precision], config.fp8_plain_layers)
    if ranks.shards is not None:
        shard(
            model,
            model.backbone.embeddings,
            model.sharded_units(),
            ranks.shards,
            model.compute_dtype,
            once_a_step=config.gather_weights == "step",
            methods=model.forward_methods,
        )
    model.to_empty(device=ranks.device)
    parts.initialise(model, config.seed)
    return model
