"""A chain of visits that ends: what share ends where, after how many visits and days.

A state is either left at some time or final. `transitions` is (s, s + a): from each of s states
that are left, to these and, in the last columns, to a final states. What is computed from counted
moves assumes that where a deal goes next depends on its state alone: a state that is not one
(rework, for instance) has to be split first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from funnel.typing import BoolArray, FloatArray, IntArray

__all__ = [
    "absorption",
    "absorption_variance",
    "days_to_absorption",
    "ends",
    "transition_matrix",
    "visit_variance",
    "visits",
]


def _per_move(values: FloatArray | IntArray, counts: FloatArray | IntArray) -> FloatArray:
    """Divide each row by its number of moves, with 0 where there are none."""
    moves = counts.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(values, moves, out=np.zeros(values.shape), where=moves > 0))


def transition_matrix(counts: FloatArray | IntArray) -> FloatArray:
    """(s, s + a) -> (s, s + a): share of each move among the moves out of a state.

    The maximum likelihood estimate (Anderson & Goodman 1957, doi:10.1214/aoms/1177707039). A state
    that nobody has left has a row of zeros: who comes there stays there.

    Examples
    --------
    >>> transition_matrix(np.array([[0, 3, 0, 1], [1, 0, 2, 1]])).tolist()
    [[0.0, 0.75, 0.0, 0.25], [0.25, 0.0, 0.5, 0.25]]
    """
    return _per_move(counts, counts)


def ends(transitions: FloatArray) -> BoolArray:
    """(s, s + a) -> (s,): whether a deal from here can ever stop moving.

    False for states whose moves lead only to one another: `visits` has no answer with such states.

    Examples
    --------
    >>> ends(np.array([[0.0, 0.5, 0.0, 0.5], [0.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0]])).tolist()
    [True, False, False]
    """
    states = len(transitions)
    onward, final = transitions[:, :states] > 0.0, transitions[:, states:] > 0.0
    found = final.any(axis=1) | ~onward.any(axis=1)
    for _ in range(states):
        found |= onward @ found
    return np.asarray(found)


def visits(transitions: FloatArray) -> FloatArray:
    """(s, s + a) -> (s, s): expected visits to each state (column), from each state (row).

    The fundamental matrix ``N = (I - Q)^-1``, Q the first s columns; the visit in which a deal is
    now counts (Kemeny & Snell 1960, Finite Markov Chains, section 3.2). All states must pass
    `ends`.

    Examples
    --------
    A walk on 0 .. 4 that ends at 0 and 4, by a step to the left or to the right:

    >>> walk = np.array([[0, 1, 0, 1, 0], [1, 0, 1, 0, 0], [0, 1, 0, 0, 1]]) / 2
    >>> visits(walk).round(12).tolist()
    [[1.5, 1.0, 0.5], [1.0, 2.0, 1.0], [0.5, 1.0, 1.5]]
    """
    states = len(transitions)
    return np.asarray(np.linalg.inv(np.eye(states) - transitions[:, :states]), dtype=np.float64)


def visit_variance(expected: FloatArray) -> FloatArray:
    """(s, s) -> (s, s): variance of the numbers of visits, from `visits`.

    ``N (2 N_dg - I) - N_sq``, with N_dg the diagonal of N and N_sq its squares, element by element
    (Kemeny & Snell 1960, section 3.3).

    Examples
    --------
    >>> visit_variance(np.array([[1.5, 1.0, 0.5], [1.0, 2.0, 1.0], [0.5, 1.0, 1.5]])).tolist()
    [[0.75, 2.0, 0.75], [1.0, 2.0, 1.0], [0.75, 2.0, 0.75]]
    """
    return expected * (2.0 * np.diag(expected) - 1.0) - expected**2


def absorption(transitions: FloatArray) -> FloatArray:
    """(s, s + a) -> (s, a): chance to end in each final state, from each state.

    ``B = N R``, R the last a columns (Kemeny & Snell 1960, section 3.3). Rows sum to less than 1
    where a state that nobody has left can be reached.

    Examples
    --------
    >>> walk = np.array([[0, 1, 0, 1, 0], [1, 0, 1, 0, 0], [0, 1, 0, 0, 1]]) / 2
    >>> absorption(walk).round(12).tolist()
    [[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]]
    """
    return visits(transitions) @ transitions[:, len(transitions) :]


def absorption_variance(counts: FloatArray | IntArray) -> FloatArray:
    """(s, s + a) -> (s, a): variance of the chances of `absorption` that counted moves give.

    By the delta method, each row being multinomial given its number of moves n_r (Anderson &
    Goodman 1957, doi:10.1214/aoms/1177707039). As dB = N dP B* with B* = [B; I]::

        Var B_ik = sum over r of N_ir^2 / n_r (sum over t of P_rt B*_tk^2 - B_rk^2)

    which weighs each state by the visits to it and by how much its next move decides.

    Examples
    --------
    With one state it is the variance p (1 - p) / n of a share:

    >>> absorption_variance(np.array([[0, 20, 80]])).round(12).tolist()
    [[0.0016, 0.0016]]
    """
    transitions = transition_matrix(counts)
    expected = visits(transitions)
    chances = expected @ transitions[:, len(transitions) :]
    reached = np.concatenate((chances, np.eye(chances.shape[1])))
    decided = np.maximum(transitions @ reached**2 - chances**2, 0.0)  # rounded below 0
    return expected**2 @ _per_move(decided, counts)


def days_to_absorption(
    transitions: FloatArray, days: FloatArray, variance: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """(s, s + a), (s,), (s,) -> (s,), (s,): mean days until the end, and their variance.

    For visits of a mean length and variance that depend on the state but not on what follows::

        t = N days,    Var = N (variance + sum over j of q_ij t_j^2 - (sum over j of q_ij t_j)^2)

    With visits of exactly one step these are ``t = N 1`` and ``(2 N - I) t - t_sq`` of Kemeny &
    Snell 1960, section 3.3. The days in a state that nobody has left count as its `days`.

    Examples
    --------
    >>> walk = np.array([[0, 1, 0, 1, 0], [1, 0, 1, 0, 0], [0, 1, 0, 0, 1]]) / 2
    >>> mean, spread = days_to_absorption(walk, np.ones(3), np.zeros(3))
    >>> mean.round(12).tolist(), spread.round(12).tolist()
    ([3.0, 4.0, 3.0], [8.0, 8.0, 8.0])
    """
    onward = transitions[:, : len(transitions)]
    expected = visits(transitions)
    mean = expected @ days
    between = np.maximum(onward @ mean**2 - (onward @ mean) ** 2, 0.0)  # rounded below 0
    return mean, expected @ (variance + between)
