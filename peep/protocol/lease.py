"""When to prompt, when to worry, when to give up: the arithmetic both ends share.

The side that prompts does so when a third of the lease is left since its last
*answered* word, jittered so that thousands do not meet. Unanswered prompts are
repeated at 0.5, 1 and 2 s ± 50 %, then every 2.5 s, and go on past the end of the
lease: at 10 % loss, stopping there makes a hundred times as many false expiries.
Silence until the end of the lease is `late`, for half a lease more `lost`.
"""

from collections.abc import Callable

# A function that returns a number in 0…1: a seeded Random's `random`.
Chance = Callable[[], float]

_PROMPT_JITTER = 0.05  # of the lease, either way
_RETRIES_S = (0.5, 1.0, 2.0)
_STEADY_RETRY_S = 2.5
RENEWALS_PER_S = 500.0  # a server's budget: a few per cent of a core
LOST_AT = 1.5  # leases
ASK_AT = 0.75  # of the lease: an agent that heard nothing asks by itself


def first_prompt(lease_s: float, prompt_at: float, chance: Chance) -> float:
    """Seconds from the last answered word to the first prompt.

    `prompt_at` is a share of the lease.
    """
    return lease_s * (prompt_at + _PROMPT_JITTER * (2 * chance() - 1))


def spread_prompt(lease_s: float, prompt_at: float, chance: Chance) -> float:
    """Seconds from GRANT to the first prompt.

    Agents that were granted together must not be prompted in step for ever.
    """
    return lease_s * prompt_at * (0.5 + 0.5 * chance())


def stretched(lease_s: float, agents: int, prompt_at: float) -> float:
    """Return a lease that keeps all renewals within the budget, where it must."""
    return max(lease_s, agents / (RENEWALS_PER_S * prompt_at))


def retry(unanswered: int, chance: Chance) -> float:
    """Seconds from the prompt numbered `unanswered` (from 1) to the next."""
    if unanswered > len(_RETRIES_S):
        return _STEADY_RETRY_S
    return _RETRIES_S[unanswered - 1] * (0.5 + chance())
