"""A small network on a text's vector: one hidden layer, one output.

For inputs that a linear model does not part well, such as the mean of token vectors. Training is
AdamW on one thread with a fixed seed, so the same sample gives the same weights. Applying it needs
numpy only.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from corpusmill.classifiers.linear import Link, Scores
from corpusmill.classifiers.one_thread import one_thread

Array = npt.NDArray[np.float32]

EPOCHS, BATCH, RATE, DECAY = 10, 64, 3e-3, 1e-2
SMALLEST_SCALE = 1e-9


@dataclass(frozen=True)
class Perceptron:
    """score = link(output . relu(hidden . ((x - mean) / scale) + hidden_bias) + output_bias).

    All inputs have one scale. Each with a scale of its own would make noise of the last principal
    components as loud as the first.
    """

    mean: Array  # [D]
    scale: Array  # [1]
    hidden: Array  # [H, D]
    hidden_bias: Array  # [H]
    output: Array  # [H]
    output_bias: Array  # [1]
    link: Link

    def score(self, inputs: Array) -> Scores:
        """inputs [N, D] -> float32 [N]. NaN where an input is NaN."""
        # In 64 bits, so that a row's place in the batch does not show in the rounded score.
        x = (inputs.astype(np.float64) - self.mean) / self.scale
        active = np.maximum(x @ self.hidden.T + self.hidden_bias, 0.0)
        values = active @ self.output + self.output_bias
        if self.link == "logistic":
            values = 0.5 * (1.0 + np.tanh(0.5 * values))
        return values.astype(np.float32)


def fit_perceptron(
    inputs: Array, labels: npt.NDArray[np.float64], hidden: int, link: Link, seed: int
) -> Perceptron:
    """Train on inputs [N, D] with labels [N]: 0 and 1 (`logistic`), or grades (`identity`)."""
    import torch

    mean = inputs.mean(axis=0)
    scale = np.maximum(inputs.std(axis=0).mean(keepdims=True), SMALLEST_SCALE).astype(np.float32)
    centre = float(labels.mean()) if link == "identity" else 0.0
    spread = max(float(labels.std()), SMALLEST_SCALE) if link == "identity" else 1.0
    x = torch.from_numpy((inputs - mean) / scale)
    y = torch.from_numpy(((labels - centre) / spread).astype(np.float32))
    draw = torch.Generator().manual_seed(seed)
    with one_thread("cpu"), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        first, last = torch.nn.Linear(x.shape[1], hidden), torch.nn.Linear(hidden, 1)
        parameters = [*first.parameters(), *last.parameters()]
        optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=DECAY)
        loss_of = (
            torch.nn.functional.binary_cross_entropy_with_logits
            if link == "logistic"
            else torch.nn.functional.mse_loss
        )
        for _ in range(EPOCHS):
            for batch in torch.randperm(len(x), generator=draw).split(BATCH):
                loss = loss_of(last(torch.relu(first(x[batch])))[:, 0], y[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return Perceptron(
        mean=mean,
        scale=scale,
        hidden=first.weight.detach().numpy(),
        hidden_bias=first.bias.detach().numpy(),
        output=(last.weight[0] * spread).detach().numpy(),
        output_bias=(last.bias * spread + centre).detach().numpy(),
        link=link,
    )
