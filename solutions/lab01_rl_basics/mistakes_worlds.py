"""Lab 1, mistakes about a known world: values, action values, advantages, sweeps."""

from autograder.spec import Mutant

P_PI = 'np.einsum("sa,sax->sx", pi, P)'
R_PI = "(pi * R).sum(axis=1)"
AVERAGES = (
    Mutant(
        "transposed",
        old="sa,sax->sx",
        new="sa,sax->xs",
        hint="Your transition matrix is transposed: rows are where a step starts, columns where it"
        " ends.",
    ),
    Mutant(
        "uniform_reward",
        old=R_PI,
        new="R.mean(axis=1)",
        hint="You average the rewards as if all actions were equally likely: weigh them by `pi`.",
    ),
    Mutant(
        "summed_reward",
        old=R_PI,
        new="R.sum(axis=1)",
        hint="You add the rewards of all actions, but the agent takes one: weigh them by `pi`.",
    ),
    Mutant(
        "uniform_transitions",
        old=P_PI,
        new="P.mean(axis=1)",
        hint="You average the transitions as if all actions were equally likely: weigh them by"
        " `pi`.",
    ),
    Mutant(
        "uniform_policy",
        old=f"P_pi = {P_PI}",
        new=f"pi = np.full_like(pi, 1.0 / pi.shape[1])\n    P_pi = {P_PI}",
        hint="You value the policy that takes all actions alike: `pi` says how likely each is.",
    ),
    Mutant(
        "likeliest_action",
        old=f"P_pi = {P_PI}",
        new=f"pi = np.eye(pi.shape[1])[pi.argmax(axis=1)]\n    P_pi = {P_PI}",
        hint="You follow the likeliest action alone. The policy draws its actions: average over all"
        " of them.",
    ),
)

SOLVED = "np.linalg.solve(np.eye(len(P)) - gamma * P_pi, R_pi)"
POLICY_VALUE = (
    *AVERAGES,
    Mutant(
        "no_gamma",
        old="gamma * P_pi",
        new="P_pi",
        hint="Inside the system there is no `gamma`. Without it V = R_pi + P_pi V has no unique"
        " solution: discount what comes after the step.",
    ),
    Mutant(
        "gamma_outside",
        old=SOLVED,
        new="np.linalg.solve(np.eye(len(P)) - gamma * P_pi, gamma * R_pi)",
        hint="Your values are `gamma` times too small: the reward of the step itself counts in"
        " full. `gamma` belongs beside `P_pi` and nowhere else.",
    ),
    Mutant(
        "wrong_sign",
        old="np.eye(len(P)) - gamma",
        new="np.eye(len(P)) + gamma",
        hint="V = R_pi + gamma P_pi V, brought to one side, is (I - gamma P_pi) V = R_pi: mind the"
        " sign.",
    ),
    Mutant(
        "one_step_only",
        old=SOLVED,
        new="R_pi",
        hint="You have the reward of one step. A value adds all that follows: solve the system.",
    ),
    Mutant(
        "two_steps_only",
        old=SOLVED,
        new="R_pi + gamma * P_pi @ R_pi",
        hint="You look two steps ahead. A value adds all that follows: solve the system.",
    ),
    Mutant(
        "multiplies_by_the_system",
        old=SOLVED,
        new="(np.eye(len(P)) - gamma * P_pi) @ R_pi",
        hint="You multiply by the matrix of the system instead of solving it: `np.linalg.solve`.",
    ),
    Mutant(
        "action_values",
        old=f"return {SOLVED}",
        new=f"return R + gamma * P @ {SOLVED}",
        hint="You return what each action is worth. A value of an observation is their average over"
        " the policy: one number per observation.",
    ),
)

Q_FROM_V = (
    Mutant(
        "no_gamma",
        old="gamma * P @ V",
        new="P @ V",
        hint="The future is discounted: what follows counts `gamma` times.",
    ),
    Mutant(
        "discounts_reward",
        old="R + gamma * P @ V",
        new="gamma * (R + P @ V)",
        hint="The reward of the step comes now, undiscounted: `gamma` multiplies the future alone.",
    ),
    Mutant(
        "forgets_reward",
        old="R + gamma",
        new="gamma",
        hint="There is no reward in it: an action is worth its own reward and what follows.",
    ),
    Mutant(
        "stays_where_it_was",
        old="P @ V",
        new="V[:, None]",
        hint="You take the value of where the step starts. What follows begins where it leads:"
        " average V over the next observations.",
    ),
    Mutant(
        "transposed",
        old="gamma * P @ V",
        new='gamma * np.einsum("xas,x->sa", P, V)',
        hint="You sum over where a step starts: the last axis of `P` is where it leads.",
    ),
    Mutant(
        "likeliest_next",
        old="P @ V",
        new="V[P.argmax(axis=2)]",
        hint="You look at the likeliest next observation alone. Any may come: average V over all,"
        " weighed by their probabilities.",
    ),
    Mutant(
        "best_next",
        old="P @ V",
        new="np.where(P > 0, V, -np.inf).max(axis=2)",
        hint="You take the best observation that can come. The agent picks an action, the world"
        " picks what it leads to: average.",
    ),
    Mutant(
        "ignores_probabilities",
        old="P @ V",
        new="V.mean()",
        hint="You average V over all observations alike: weigh them by `P`.",
    ),
    Mutant(
        "averages_actions",
        old="P @ V",
        new="(P @ V).mean(axis=1, keepdims=True)",
        hint="You average the future over the actions. Here the action is given: each has a future"
        " of its own.",
    ),
    Mutant(
        "already_the_advantage",
        old="R + gamma * P @ V",
        new="R + gamma * P @ V - V[:, None]",
        hint="You subtract V: that is the advantage, the next exercise. Q is the whole worth.",
    ),
    Mutant(
        "maximum",
        old="return Q",
        new="return Q.max(axis=1)",
        hint="You return what the best action is worth. Asked for is the whole table, a number for"
        " each pair.",
    ),
)

WEIGHTED = "(pi * Q).sum(axis=1, keepdims=True)"
ADVANTAGE = (
    Mutant(
        "minus_best",
        old=WEIGHTED,
        new="Q.max(axis=1, keepdims=True)",
        hint="You compare with the best action, so that nothing is ever above 0. An advantage"
        " compares with what the policy does on average.",
    ),
    Mutant(
        "minus_mean",
        old=WEIGHTED,
        new="Q.mean(axis=1, keepdims=True)",
        hint="You compare with the plain mean of the row, which is V only for a policy that takes"
        " all actions alike: weigh by `pi`.",
    ),
    Mutant(
        "wrong_sign",
        old="Q - V",
        new="V - Q",
        hint="Turn it round: an action that is better than the average has an advantage above 0.",
    ),
    Mutant(
        "weighted_twice",
        old="Q - V",
        new="pi * (Q - V)",
        hint="The differences are right, but you weigh them by `pi` once more. That is for the"
        " average over actions, which is 0.",
    ),
    Mutant(
        "over_observations",
        old="axis=1",
        new="axis=0",
        hint="You sum over the observations (axis 0). V is an average over actions, one per row.",
    ),
    Mutant(
        "lost_axis",
        old=", keepdims=True",
        new="",
        hint="V has shape (num_obs,) here, and numpy lines it up with the columns of Q: keep the"
        " axis, with `keepdims=True` or `V[:, None]`.",
    ),
    Mutant(
        "minus_likeliest",
        old=WEIGHTED,
        new="Q[np.arange(len(Q)), pi.argmax(axis=1)][:, None]",
        hint="You compare with the likeliest action alone: V averages over all of them.",
    ),
    Mutant(
        "minus_sum",
        old=WEIGHTED,
        new="Q.sum(axis=1, keepdims=True)",
        hint="You subtract the sum of the row: weigh it by `pi` to make it an average.",
    ),
    Mutant(
        "one_mean_for_all",
        old=WEIGHTED,
        new="(pi * Q).sum() / len(Q)",
        hint="You subtract one number from the whole table: each observation has a V of its own.",
    ),
    Mutant(
        "normalised",
        old="return A",
        new="return A / A.std()",
        hint="You divide by the standard deviation. Later labs do so to steady the learning; the"
        " advantage itself is a plain difference.",
    ),
    Mutant(
        "returns_v",
        old="return A",
        new="return V[:, 0]",
        hint="You return V, the average itself: subtract it from Q.",
    ),
)

SWEEP = "R_pi + gamma * P_pi @ V"
LARGEST = "abs(new_V - V).max()"
ITERATIVE_POLICY_EVAL = (
    *AVERAGES,
    Mutant(
        "one_sweep",
        old="change >= tol",
        new="num_sweeps < 1",
        hint="You stop after one sweep, whatever `tol` says: go on until the largest change is"
        " below it.",
    ),
    Mutant(
        "old_is_no_copy",
        old=f"new_V = {SWEEP}\n        change = {LARGEST}\n        V = new_V",
        new="old = V\n        for s in range(len(V)):\n"
        "            V[s] = R_pi[s] + gamma * P_pi[s] @ V\n"
        "        change = abs(V - old).max()",
        hint="You stop after one sweep, since nothing seems to change: `old = V` is a second name"
        " for the same array. `V.copy()` makes another one.",
    ),
    Mutant(
        "signed_mean",
        old=LARGEST,
        new="(new_V - V).mean()",
        hint="You look at the mean of the signed changes: ups and downs cancel, and where values"
        " fall it is below `tol` at once. Take the largest absolute change.",
    ),
    Mutant(
        "signed_maximum",
        old=LARGEST,
        new="(new_V - V).max()",
        hint="You look at the largest change with its sign: where values fall, it is below `tol` at"
        " once. Take the absolute value first.",
    ),
    Mutant(
        "mean_change",
        old=LARGEST,
        new="abs(new_V - V).mean()",
        hint="You stop when the average change is small. One value may still be far off: take the"
        " largest.",
    ),
    Mutant(
        "summed_change",
        old=LARGEST,
        new="abs(new_V - V).sum()",
        hint="You add the changes up, and sweep on for longer than asked: take the largest.",
    ),
    Mutant(
        "value_before_the_last",
        old="V = new_V\n        num_sweeps += 1",
        new="num_sweeps += 1\n        if change >= tol:\n            V = new_V",
        hint="You return the values from before the last sweep: what it found is part of the"
        " answer.",
    ),
    Mutant(
        "last_sweep_not_counted",
        old="return V, num_sweeps",
        new="return V, num_sweeps - 1",
        hint="The values are right, the count is one too low: the sweep that changed nothing of"
        " note counts too.",
    ),
    Mutant(
        "no_gamma",
        old="gamma * P_pi",
        new="P_pi",
        hint="The future is discounted: it counts `gamma` times.",
    ),
    Mutant(
        "discounts_reward",
        old=SWEEP,
        new="gamma * (R_pi + P_pi @ V)",
        hint="The reward of the step comes now, undiscounted: `gamma` multiplies the future alone.",
    ),
    Mutant(
        "best_action",
        old=SWEEP,
        new="(R + gamma * P @ V).max(axis=1)",
        hint="You take the best action in every sweep: that is value iteration, and finds what the"
        " optimal policy is worth. Here `pi` is given: average over it.",
    ),
    Mutant(
        "swapped",
        old="return V, num_sweeps",
        new="return num_sweeps, V",
        hint="Both are there, in the other order: first `V`, then the number of sweeps.",
    ),
    Mutant(
        "no_count",
        old="return V, num_sweeps",
        new="return V",
        hint="You return the values alone; asked for are two things, `V` and the number of sweeps.",
    ),
)
