"""The training loop: it learns, it weighs targets rightly, and interruptions leave no trace."""

import json
import math
from pathlib import Path

import pytest
import torch
import torch._inductor.config
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.trainer import checkpoint
from corpusmill.trainer.data import PackedStream
from corpusmill.trainer.flops import flops_per_token
from corpusmill.trainer.records import StepRecord, read_records
from corpusmill.trainer.token_shards import catalogue
from corpusmill.trainer.train import train


class Interrupted(Exception):
    """Stands for a lost machine."""


def losses(log):
    return [json.loads(line)["loss"] for line in log.read_text().splitlines()]


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_loss_falls_far_below_the_start_on_a_repetitive_corpus(
    write_shards, make_config, tmp_path
):
    shards = write_shards([[1, *([5, 9, 17, 33, 2] * 8), 3] for _ in range(16)])
    config = make_config(steps=120, learning_rate=1e-2, checkpoint_every=1000, sequence_length=32)
    result = train(config, shards, tmp_path / "run")
    curve = losses(result.log)
    assert curve[0] > 4  # ln 64 = 4.16: a fresh model knows nothing
    assert curve[-1] < 0.2


def test_golden_losses_of_the_first_steps(write_shards, random_documents, make_config, tmp_path):
    config = make_config(steps=5, warmup_steps=1)
    result = train(config, write_shards(random_documents), tmp_path / "run")
    golden = json.loads((Path(__file__).parent / "golden_losses.json").read_text())
    assert losses(result.log) == pytest.approx(golden, abs=2e-4)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pack": "pad", "reset_at_documents": True, "micro_batch_size": 2},
        {"pack": "best_fit", "reset_at_documents": True},
    ],
)
@pytest.mark.parametrize("lost_at", [1, 3, 5])
def test_an_interrupted_run_ends_in_the_same_bytes(
    write_shards, random_documents, make_config, tmp_path, options, lost_at
):
    shards, config = write_shards(random_documents), make_config(**options)

    def interrupt(record):
        if record.step == lost_at:
            raise Interrupted

    whole = train(config, shards, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(config, shards, tmp_path / "broken", interrupt)
    resumed = train(config, shards, tmp_path / "broken")
    assert resumed.checkpoint.name == "step-00000006"
    assert files(resumed.checkpoint) == files(whole.checkpoint)
    assert losses(resumed.log) == losses(whole.log)


def test_log_lines_after_the_checkpoint_are_dropped_on_resume(
    write_shards, random_documents, make_config, tmp_path
):
    shards, config = write_shards(random_documents), make_config()

    def interrupt(record):
        if record.step == 3:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(config, shards, tmp_path / "run", interrupt)
    with (tmp_path / "run" / "log.jsonl").open("a") as log:
        log.write('{"step": 3, "loss": 99.0}\n{"step": 4, "lo')
    result = train(config, shards, tmp_path / "run")
    steps = [json.loads(line)["step"] for line in result.log.read_text().splitlines()]
    assert steps == [1, 2, 3, 4, 5, 6]
    assert max(losses(result.log)) < 50


def test_a_finished_run_is_not_trained_again(write_shards, random_documents, make_config, tmp_path):
    shards, config = write_shards(random_documents), make_config()
    first = train(config, shards, tmp_path / "run")
    seen: list[StepRecord] = []
    again = train(config, shards, tmp_path / "run", seen.append)
    assert seen == []
    assert again == first


def test_micro_batches_change_nothing_but_memory(write_shards, make_config, tmp_path):
    # Prompts differ much in length. So rows differ much in how many targets count.
    documents = [[7, *range(10, 10 + 2 * n), 3] for n in range(1, 13)]
    shards = write_shards(documents, prompts=[2 * n if n % 2 else 1 for n in range(1, 13)])
    curves = [
        losses(
            train(make_config(pack="pad", micro_batch_size=size), shards, tmp_path / str(size)).log
        )
        for size in (4, 2, 1)
    ]
    assert curves[1] == pytest.approx(curves[0], rel=1e-5)
    assert curves[2] == pytest.approx(curves[0], rel=1e-5)


def test_the_loss_is_the_mean_over_counted_targets(
    write_shards, random_documents, make_config, tmp_path
):
    shards = write_shards(random_documents, prompts=[3] * 30)
    config = make_config(steps=1, warmup_steps=0)
    result = train(config, shards, tmp_path / "run")

    from corpusmill.trainer.model import HybridModel, initialise

    model = HybridModel(config.model)
    initialise(model, config.seed)
    stream = PackedStream(catalogue(shards, 16), config.seed)
    values = []
    for row in map(stream.row, range(4)):
        logits = model(torch.from_numpy(row.tokens[:-1]).long()[None])[0].log_softmax(-1)
        for position, target in enumerate(row.tokens[1:]):
            if row.loss_mask[position]:
                values.append(-logits[position, target].item())
    assert losses(result.log)[0] == pytest.approx(sum(values) / len(values), rel=1e-5)


def test_a_batch_without_any_target_does_no_harm(write_shards, make_config, tmp_path):
    shards = write_shards([[1, 2, 3, 4]] * 8, prompts=[4] * 8)
    result = train(make_config(pack="pad"), shards, tmp_path / "run")
    assert losses(result.log) == [0.0] * 6


def test_the_held_out_loss_is_reported_when_due_and_at_the_end(
    write_shards, random_documents, make_config, tmp_path
):
    config = make_config(steps=5, eval_fraction=0.3, eval_every=2, eval_sequences=8)
    records: list[StepRecord] = []
    result = train(config, write_shards(random_documents), tmp_path / "run", records.append)
    assert [record.step for record in records if record.held_out_loss is not None] == [2, 4, 5]
    assert result.last == records[-1]
    assert 3 < (records[-1].held_out_loss or 0) < 5


def test_the_log_says_how_long_the_run_will_take(
    write_shards, random_documents, make_config, tmp_path
):
    records: list[StepRecord] = []
    train(make_config(), write_shards(random_documents), tmp_path / "run", records.append)
    for record in records:
        steps_left = (6 - record.step) * 4 * 16 / record.tokens_per_second
        assert record.seconds_left == pytest.approx(steps_left, abs=0.06)
        assert (record.mfu, record.memory_gb) == (None, None)  # of a CPU
    assert records[-1].seconds_left == 0


def test_the_mfu_is_the_work_done_in_a_second_by_the_peak(
    write_shards, random_documents, make_config, tmp_path, monkeypatch
):
    monkeypatch.setattr("corpusmill.trainer.records.peak_flops", lambda device: 1e9)
    config = make_config(log_every=2)
    result = train(config, write_shards(random_documents), tmp_path / "run")
    each = flops_per_token(config.model, config.sequence_length)
    for record in read_records(result.log):
        assert record.mfu == pytest.approx(record.tokens_per_second * each / 1e9, abs=1e-4)


def test_writing_the_log_seldom_loses_no_record(
    write_shards, random_documents, make_config, tmp_path
):
    shards = write_shards(random_documents)
    often = train(make_config(), shards, tmp_path / "often")
    seldom = train(make_config(log_every=100, checkpoint_every=100), shards, tmp_path / "seldom")
    assert losses(seldom.log) == losses(often.log)


def test_resetting_at_documents_changes_what_is_learnt(
    write_shards, random_documents, make_config, tmp_path
):
    shards = write_shards(random_documents)
    plain = train(make_config(), shards, tmp_path / "plain")
    reset = train(make_config(reset_at_documents=True), shards, tmp_path / "reset")
    assert losses(plain.log)[0] != losses(reset.log)[0]


def test_tokens_and_epochs_set_the_number_of_steps(
    write_shards, random_documents, make_config, tmp_path
):
    shards = write_shards(random_documents)
    total = sum(map(len, random_documents))
    by_tokens = train(make_config(steps=None, tokens=65 * 4), shards, tmp_path / "tokens")
    assert by_tokens.steps == 5  # 64 tokens a step
    by_epochs = train(make_config(steps=None, epochs=2), shards, tmp_path / "epochs")
    assert by_epochs.steps == pytest.approx(2 * total / 64, abs=1)


def test_a_loss_that_is_not_finite_stops_the_run_and_spares_the_checkpoints(
    write_shards, random_documents, make_config, tmp_path
):
    config = make_config(steps=8, learning_rate=1e30, warmup_steps=0, checkpoint_every=1)
    with pytest.raises(CorpusmillError, match=r"step \d: loss (nan|inf).*lower learning_rate"):
        train(config, write_shards(random_documents), tmp_path / "run")
    last = checkpoint.latest(tmp_path / "run" / "checkpoints")
    logged = losses(tmp_path / "run" / "log.jsonl")
    assert last is not None
    assert checkpoint.read_state(last).step == len(logged)


def test_tokens_beyond_the_vocabulary_are_refused(write_shards, make_config, tmp_path):
    with pytest.raises(CorpusmillError, match=r"token 64, the model knows 64.*vocab_size"):
        train(make_config(), write_shards([[1, 64, 3]] * 8), tmp_path / "run")


def test_a_folder_of_another_run_is_refused(write_shards, random_documents, make_config, tmp_path):
    shards = write_shards(random_documents)
    train(make_config(), shards, tmp_path / "run")
    with pytest.raises(CorpusmillError, match="seed was 1 and is now 2"):
        train(make_config(seed=2), shards, tmp_path / "run")
    random_documents[0][0] ^= 1
    with pytest.raises(CorpusmillError, match="other data"):
        train(make_config(), write_shards(random_documents), tmp_path / "run")


@pytest.mark.slow
def test_compiled_layers_train_to_the_same_losses(
    write_shards, random_documents, make_config, tmp_path
):
    shards = write_shards(random_documents)
    plain = train(make_config(steps=3), shards, tmp_path / "plain")
    compiled = train(make_config(steps=3, compile=True), shards, tmp_path / "compiled")
    assert losses(compiled.log) == pytest.approx(losses(plain.log), rel=1e-4)


@pytest.mark.gpu
def test_a_gpu_trains_in_bf16_to_nearly_the_same_losses(
    write_shards, random_documents, make_config, tmp_path
):
    shards = write_shards(random_documents)
    on_cpu = train(make_config(steps=5), shards, tmp_path / "cpu")
    on_gpu = train(make_config(steps=5, device="cuda", compile=True), shards, tmp_path / "gpu")
    assert losses(on_gpu.log) == pytest.approx(losses(on_cpu.log), rel=2e-2)


@pytest.mark.gpu
@pytest.mark.parametrize("changes", [{}, {"compile": True}, {"reset_at_documents": True}])
def test_a_gpu_goes_on_to_the_bit(write_shards, random_documents, make_config, tmp_path, changes):
    shards = write_shards(random_documents)
    config = make_config(steps=8, checkpoint_every=4, device="cuda", deterministic=True, **changes)
    whole = train(config, shards, tmp_path / "whole")

    class Stop(Exception):
        pass

    def stop(record):
        if record.step == 6:
            raise Stop

    with pytest.raises(Stop):
        train(config, shards, tmp_path / "part", stop)
    part = train(config, shards, tmp_path / "part")
    assert losses(part.log) == losses(whole.log)
    for name in ("model.safetensors", "optimizer.safetensors"):
        assert (part.checkpoint / name).read_bytes() == (whole.checkpoint / name).read_bytes()


def test_only_a_run_that_asks_for_it_takes_repeatable_kernels(
    write_shards, random_documents, make_config, tmp_path
):
    shards = write_shards(random_documents)
    seen = []

    def look(_):
        seen.append(torch.are_deterministic_algorithms_enabled())

    for deterministic in (True, False):
        config = make_config(steps=1, warmup_steps=0, deterministic=deterministic)
        train(config, shards, tmp_path / str(deterministic), look)
    assert seen == [True, False]
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_z_loss_adds_the_squared_log_partition_to_training_alone(
    write_shards, random_documents, make_config, small_model, tmp_path
):
    shards = write_shards(random_documents)
    even = small_model.model_copy(update={"init_std": 1e-3})  # all logits are nearly 0
    held_out = {"model": even, "steps": 1, "warmup_steps": 0, "eval_fraction": 0.3}
    held_out["learning_rate"] = 1e-12
    plain = train(make_config(**held_out), shards, tmp_path / "plain")
    with_z = train(make_config(**held_out, z_loss=0.1), shards, tmp_path / "z")
    added = losses(with_z.log)[0] - losses(plain.log)[0]
    assert added == pytest.approx(0.1 * math.log(64) ** 2, rel=0.01)
    assert with_z.last is not None
    assert plain.last is not None
    assert with_z.last.held_out_loss == pytest.approx(plain.last.held_out_loss)


def test_muon_learns(write_shards, make_config, tmp_path):
    shards = write_shards([[1, *([5, 9, 17, 33, 2] * 8), 3] for _ in range(16)])
    config = make_config(
        steps=60, learning_rate=1e-2, checkpoint_every=1000, sequence_length=32, optimizer="muon"
    )
    assert losses(train(config, shards, tmp_path / "run").log)[-1] < 0.5


def test_a_machine_without_a_compiler_is_told_to_leave_compile_out(
    write_shards, random_documents, make_config, tmp_path
):
    torch._dynamo.reset()  # what an earlier test compiled would need no compiler
    without = {"cpp.cxx": (None, str(tmp_path / "no-compiler")), "force_disable_caches": True}
    with (
        torch._inductor.config.patch(without),
        pytest.raises(CorpusmillError, match=r"No working C\+\+ compiler.*set compile to false"),
    ):
        train(make_config(compile=True), write_shards(random_documents), tmp_path / "run")
