# SPDX-License-Identifier: Apache-2.0
"""Muon in float32: momentum whose matrices are made orthogonal (Jordan et al. 2024).

PyTorch's own works in bfloat16, which costs ten times as much on a CPU without AVX512.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import torch
from torch import Tensor

MOMENTUM = 0.95
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # quintic that drives singular values to about one
NEWTON_SCHULZ_STEPS = 5
MATCH_ADAM_RMS = 0.2  # update size of AdamW, so that both share one learning rate (Liu et al. 2025)
EPSILON = 1e-7


def orthogonalised(m: Tensor) -> Tensor:
    """Matrices [n, rows, columns], each moved close to the nearest orthogonal one."""
    a, b, c = NEWTON_SCHULZ
    tall = m.shape[1] > m.shape[2]
    x = m.transpose(1, 2) if tall else m
    x = x / (x.norm(dim=(1, 2), keepdim=True) + EPSILON)
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.transpose(1, 2)
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.transpose(1, 2) if tall else x


class Muon(torch.optim.Optimizer):
    """For matrices inside the network; embeddings and heads are better off with AdamW."""

    def __init__(self, matrices: list[Tensor], lr: float, weight_decay: float) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Updates all matrices, those of one shape together."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for p in group["params"]:
                by_shape[p.shape].append(p)
            for shape, same in by_shape.items():
                direction = orthogonalised(torch.stack([self._momentum(p) for p in same]))
                size = group["lr"] * MATCH_ADAM_RMS * max(shape) ** 0.5
                for p, d in zip(same, direction, strict=True):
                    p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(d, alpha=size)

    def _momentum(self, p: Tensor) -> Tensor:
        """Nesterov's momentum for the gradient of `p`."""
        state = self.state[p]
        if not state:
            state["momentum"] = torch.zeros_like(p)
        state["momentum"].lerp_(p.grad, 1 - MOMENTUM)
        return p.grad.lerp(state["momentum"], MOMENTUM)
