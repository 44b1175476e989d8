"""Cross-entropy over a block of logits, as a Triton kernel that leaves the gradient in the place
of the logits.
"""

import triton
import triton.language as tl


@triton.jit
def cross_entropy(
    logits,  # (rows, vocabulary) dense; overwritten by the gradient if GRADIENT
    targets,
    counted,  # weight of each row in the sum
    losses,
    vocabulary,
    z_loss,
    GRADIENT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """One row a program: counted * (logsumexp - logit of the target + z_loss * logsumexp^2)."""
    row = tl.program_id(0).to(tl.int64)
    at = logits + row * vocabulary
    e = tl.arange(0, BLOCK)
    largest = tl.full((BLOCK,), -float("inf"), tl.float32)
    total = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, vocabulary, BLOCK):
        v = start + e
        value = tl.load(at + v, mask=v < vocabulary, other=-float("inf")).to(tl.float32)
        higher = tl.maximum(largest, value)
        # where nothing but -inf was seen, the difference of infinities must not become NaN
        shift = tl.where(higher == -float("inf"), 0.0, higher)
        total = total * tl.exp(largest - shift) + tl.exp(value - shift)
        largest = higher
    top = tl.max(largest, 0)
    lse = top + tl.log(tl.sum(total * tl.exp(largest - top), 0))
    target = tl.load(targets + row)
    weight = tl.load(counted + row).to(tl.float32)
    picked = tl.load(at + target).to(tl.float32)
    tl.store(losses + row, weight * (lse - picked + z_loss * lse * lse))
    if GRADIENT:
        tl.debug_barrier()  # the target's logit is read before it is overwritten
        scale = weight * (1.0 + 2.0 * z_loss * lse)
        for start in range(0, vocabulary, BLOCK):
            v = start + e
            value = tl.load(at + v, mask=v < vocabulary, other=-float("inf")).to(tl.float32)
            gradient = scale * tl.exp(value - lse) - tl.where(v == target, weight, 0.0)
            tl.store(at + v, gradient.to(logits.dtype.element_ty), mask=v < vocabulary)
