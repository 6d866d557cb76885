"""How the learning rate and the noise added to codes change over a run."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxlatent.errors import UserError


@dataclass(frozen=True)
class Schedule:
    """A learning rate that rises linearly, stays, and falls along a cosine; and code noise.

    Times are in units of the whole run, from 0 at the first step to 1 after the last.

    Attributes:
        rate: the highest learning rate.
        rise: until when the rate rises from 0; 0 to begin with the highest.
        fall: how long the rate falls to 0, up to the end; 0 to never fall.
        noise: deviation of the noise added to codes at the first step, in deviations of w.
        noise_end: when that noise, falling quadratically, is gone.
        cycle: instead of rise and fall, from a tenth of the rate to all of it and back until 0.9,
            then down to a thousandth (PULSE's "linear1cycledrop").

    Example:
        >>> nvidia = Schedule(0.1, rise=0.05, fall=0.25, noise=0.05, noise_end=0.75)
        >>> [round(float(nvidia.rate_at(t)), 4) for t in (0.0, 0.025, 0.5, 0.875)]
        [0.0, 0.05, 0.1, 0.05]
    """

    rate: float
    rise: float = 0.0
    fall: float = 0.0
    noise: float = 0.0
    noise_end: float = 1.0
    cycle: bool = False

    def __post_init__(self) -> None:
        problems = [
            f"{name} must be in [0, 1], got {value}"
            for name, value in (("rise", self.rise), ("fall", self.fall))
            if not 0 <= value <= 1
        ]
        if not self.rate > 0:
            problems.append(f"rate must be positive, got {self.rate}")
        if not self.noise >= 0 or not 0 < self.noise_end <= 1:
            problems.append(
                "noise must not be negative and noise_end be in (0, 1], got "
                f"{self.noise} and {self.noise_end}"
            )
        if self.cycle and (self.rise or self.fall):
            problems.append("a cycle has no rise and fall of its own; give one or the other")
        if problems:
            raise UserError("; ".join(problems))

    def rate_at(self, time: Any) -> Float[Array, ""]:
        """Returns the learning rate."""
        rate = jnp.float32(self.rate)
        if self.cycle:
            there_and_back = 1.0 - 2.0 * jnp.abs(time / 0.9 - 0.5)
            drop = 0.1 + (time - 0.9) / 0.1 * (0.001 - 0.1)
            return rate * jnp.where(time < 0.9, (9.0 * there_and_back + 1.0) / 10.0, drop)
        if self.fall:
            left = jnp.minimum(1.0, (1.0 - time) / self.fall)
            rate = rate * (0.5 - 0.5 * jnp.cos(left * jnp.pi))
        if self.rise:
            rate = rate * jnp.minimum(1.0, time / self.rise)
        return rate

    def noise_at(self, time: Any) -> Float[Array, ""]:
        """Returns the deviation of the noise added to codes, in deviations of w."""
        return self.noise * jnp.square(jnp.maximum(0.0, 1.0 - time / self.noise_end))
