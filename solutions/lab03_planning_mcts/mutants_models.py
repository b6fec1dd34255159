"""Lab 3, what goes wrong with models: planning in them, learning them, and data without them."""

from autograder.spec import Mutant

V_STOP = "tol * (1 - gamma) / (2 * gamma)"
CHANGE_AND_POLICY = """        change = np.abs(backed_up - V).max()
        V = backed_up
    pi = (R + gamma * P @ V).argmax(axis=1)"""
VALUE_ITERATION = (
    Mutant(
        "signed_stop",
        old="np.abs(backed_up - V).max()",
        new="(backed_up - V).max()",
        hint="Your stop test sees changes upwards only. Where rewards are negative every value"
        " falls, the largest change is below 0, and you stop after one sweep: take the absolute"
        " value.",
    ),
    Mutant(
        "signed_stop_and_old_policy",
        old=CHANGE_AND_POLICY,
        new=CHANGE_AND_POLICY.replace("np.abs(backed_up - V).max()", "(backed_up - V).max()")
        .replace("        V = backed_up", "        before, V = V, backed_up")
        .replace("P @ V)", "P @ before)"),
        hint="Where rewards are negative you stop after one sweep: every change is below 0, so"
        " take its absolute value. (And be greedy for the `V` that you return, not for the one"
        " before it.)",
    ),
    Mutant(
        "mean_change",
        old="np.abs(backed_up - V).max()",
        new="np.abs((backed_up - V).mean())",
        hint="You average the changes. One value may still be far off while the others rest, or"
        " rise while others fall: the stop test is about the largest single change.",
    ),
    Mutant(
        "paid_at_the_end",
        old="np.where(terminal, 0.0, (R + gamma * P @ V).max(axis=1))",
        new="(R + gamma * P @ V).max(axis=1)",
        hint="A terminal observation collects its reward again in every sweep. The episode is"
        " over there: its value is 0, whatever `P` and `R` say about it.",
    ),
    Mutant(
        "paid_once_at_the_end",
        old="np.where(terminal, 0.0, (R + gamma * P @ V).max(axis=1))",
        new="np.where(terminal, R.max(axis=1), (R + gamma * P @ V).max(axis=1))",
        hint="You give a terminal observation a reward of its own. What the last step pays is in"
        " the row of where it started: the value of the end itself is 0.",
    ),
    Mutant(
        "tol_itself",
        old=V_STOP,
        new="tol",
        hint="You compare the change with `tol` itself. The policy may then lose far more than"
        " `tol`: what still comes is up to gamma / (1 - gamma) times the last change.",
    ),
    Mutant(
        "one_sided",
        old=V_STOP,
        new="tol * (1 - gamma) / gamma",
        hint="You lack the 2 in the stop test: values may be too high at one action and too low"
        " at another, and the policy pays for both errors.",
    ),
    Mutant(
        "one_sweep",
        old=f"change >= {V_STOP}",
        new="not np.isfinite(change)",
        hint="You stop after one sweep: repeat until the largest change is below the threshold.",
    ),
    Mutant(
        "mean_over_actions",
        old="(R + gamma * P @ V).max(axis=1))",
        new="(R + gamma * P @ V).mean(axis=1))",
        hint="You average over the actions: that values a policy that picks at random. The"
        " optimal value takes the best action, `max` over axis 1.",
    ),
    Mutant(
        "no_gamma",
        old="(R + gamma * P @ V).max(axis=1))",
        new="(R + P @ V).max(axis=1))",
        hint="The future is discounted: it counts `gamma` times.",
    ),
    Mutant(
        "discounts_reward",
        old="(R + gamma * P @ V).max(axis=1))",
        new="(gamma * (R + P @ V)).max(axis=1))",
        hint="The reward of this step comes now, undiscounted: `gamma` multiplies the future"
        " alone.",
    ),
    Mutant(
        "transposed",
        old="(R + gamma * P @ V).max(axis=1))",
        new='(R + gamma * np.einsum("xas,x->sa", P, V)).max(axis=1))',
        hint="Your transitions run backwards: the first index of `P` is where a step starts, the"
        " last where it leads, and `P @ V` sums over the last.",
    ),
    Mutant(
        "short_sighted_policy",
        old="pi = (R + gamma * P @ V).argmax(axis=1)",
        new="pi = R.argmax(axis=1)",
        hint="Your values are right, your policy looks at the next reward only: it is greedy for"
        " `R + gamma * P @ V`.",
    ),
    Mutant(
        "last_of_ties",
        old="pi = (R + gamma * P @ V).argmax(axis=1)",
        new="pi = R.shape[1] - 1 - (R + gamma * P @ V)[:, ::-1].argmax(axis=1)",
        hint="Of equal actions you take the last: here the first is asked for, so that"
        " everybody's policy is the same.",
    ),
)


P_LOOP = """    while True:
        num_iterations += 1
        P_pi, R_pi = P[everywhere, pi], R[everywhere, pi]
        V = np.linalg.solve(np.eye(num_obs) - gamma * P_pi, R_pi).astype(np.float64)
        Q = R + gamma * P @ V
        best = Q.max(axis=1)
        better = best > Q[everywhere, pi] + 1e-9
        if not better.any():
            return pi, V, num_iterations
        first_best = (best[:, None] - Q < 1e-9).argmax(axis=1)
        pi = np.where(better, first_best, pi)"""
P_POSTED = """    V = np.zeros(num_obs)
    while True:
        num_iterations += 1
        P_pi, R_pi = P[everywhere, pi], R[everywhere, pi]
        V = R_pi + gamma * P_pi @ V
        Q = R + gamma * P @ V
        greedy = Q.argmax(axis=1)
        if (greedy == pi).all():
            return pi, V, num_iterations
        pi = greedy"""
IMPROVE = P_LOOP[P_LOOP.index("        best =") :]
SOLVE = "np.linalg.solve(np.eye(num_obs) - gamma * P_pi, R_pi).astype(np.float64)"
POLICY_ITERATION = (
    Mutant(
        "as_posted",
        old=P_LOOP,
        new=P_POSTED,
        hint="It behaves as it was posted. Is `V` the value of the policy when the loop ends? And"
        " what does the loop do when two actions are equally good?",
    ),
    Mutant(
        "unstable_ties",
        old=IMPROVE,
        new=P_POSTED[P_POSTED.index("        greedy =") :],
        hint="One bug is left: `argmax` follows rounding errors. Among equal actions the policy"
        " has to keep the one it has, and equal means: within 1e-9.",
    ),
    Mutant(
        "one_sweep",
        old=f"    while True:\n        num_iterations += 1\n"
        f"        P_pi, R_pi = P[everywhere, pi], R[everywhere, pi]\n        V = {SOLVE}",
        new="    V = np.zeros(num_obs)\n    while True:\n        num_iterations += 1\n"
        "        P_pi, R_pi = P[everywhere, pi], R[everywhere, pi]\n"
        "        V = R_pi + gamma * P_pi @ V",
        hint="One bug is left: a single sweep is not the value of the policy, and the policy can"
        " stop changing before the values have arrived. Solve the system.",
    ),
    Mutant(
        "any_better_action",
        old="first_best = (best[:, None] - Q < 1e-9)",
        new="first_best = (Q > Q[everywhere, pi][:, None] + 1e-9)",
        hint="You change to the first action that is better at all. It will end, but with more"
        " rounds: change to the best.",
    ),
    Mutant(
        "no_gamma_in_q",
        old="Q = R + gamma * P @ V",
        new="Q = R + P @ V",
        hint="The improvement forgets `gamma`: what an action is worth is R + gamma * P @ V.",
    ),
    Mutant(
        "gamma_outside",
        old="gamma * P_pi, R_pi)",
        new="gamma * P_pi, gamma * R_pi)",
        hint="Rewards come undiscounted: in the system `gamma` multiplies `P_pi` and nothing else.",
    ),
    Mutant(
        "transposed",
        old="gamma * P_pi, R_pi)",
        new="gamma * P_pi.T, R_pi)",
        hint="Your system is transposed: rows are where a step starts, columns where it leads.",
    ),
    Mutant(
        "random_policy",
        old="P[everywhere, pi], R[everywhere, pi]\n",
        new="P.mean(axis=1), R.mean(axis=1)\n",
        hint="You value the policy that picks at random: take the rows of the actions in `pi`.",
    ),
    Mutant(
        "stops_when_one_rests",
        old="if not better.any()",
        new="if not better.all()",
        hint="You stop as soon as one observation has nothing better: go on while any of them has.",
    ),
    Mutant(
        "last_round_not_counted",
        old="return pi, V, num_iterations",
        new="return pi, V, num_iterations - 1",
        hint="The last round counts too: it values a policy, and finds that nothing is better.",
    ),
    Mutant(
        "short_sighted",
        old="Q = R + gamma * P @ V",
        new="Q = R + 0 * V[:, None]",
        hint="You improve by the next reward alone: the value of where the action leads counts"
        " too.",
    ),
)


COUNT = """        counts[obs, action, next_obs] += 1
        reward_sum[obs, action] += reward
"""
ENDS = """        if terminated:
            terminal.add(next_obs)
"""
FIT_TERMINAL = """    for obs in terminal:
        P_hat[obs] = np.eye(num_obs)[obs]
        R_hat[obs] = 0.0
"""
FIT_ROWS = f"""    P_hat = np.full(counts.shape, 1.0 / num_obs)
    R_hat = np.zeros(N.shape)
    tried = N > 0
    P_hat[tried] = counts[tried] / N[tried][:, None]
    R_hat[tried] = reward_sum[tried] / N[tried]
{FIT_TERMINAL}"""
FIT_MODEL = (
    Mutant(
        "unvisited_is_nothing",
        old="np.full(counts.shape, 1.0 / num_obs)",
        new="np.zeros(counts.shape)",
        hint="Rows of pairs that were never tried are all zero in your `P_hat`: their"
        " probabilities sum to 0, and a planner takes them for an end that costs nothing. Spread"
        " them evenly.",
    ),
    Mutant(
        "unvisited_stays",
        old="np.full(counts.shape, 1.0 / num_obs)",
        new="np.repeat(np.eye(num_obs)[:, None], num_actions, axis=1)",
        hint="You let pairs that were never tried lead back to where they start. One may choose"
        " that, but here nothing is known about them: everywhere is equally likely.",
    ),
    Mutant(
        "counts_alone",
        old=FIT_ROWS,
        new=FIT_ROWS.replace(
            "np.full(counts.shape, 1.0 / num_obs)", "np.zeros(counts.shape)"
        ).replace(FIT_TERMINAL, ""),
        hint="You count and divide, and that is all. Two kinds of rows are left at 0: pairs that"
        " were never tried (they lead everywhere, for 0), and terminal observations (they lead to"
        " themselves).",
    ),
    Mutant(
        "reward_over_all_actions",
        old="reward_sum[tried] / N[tried]",
        new="(reward_sum / np.maximum(N.sum(axis=1, keepdims=True), 1))[tried]",
        hint="You divide a pair's rewards by the visits of the observation, all actions together:"
        " divide by how often this very pair was tried.",
    ),
    Mutant(
        "reward_summed",
        old="reward_sum[tried] / N[tried]",
        new="reward_sum[tried]",
        hint="You add the rewards up: `R_hat` is their mean over the visits of the pair.",
    ),
    Mutant(
        "last_reward",
        old="reward_sum[obs, action] += reward",
        new="reward_sum[obs, action] = reward * (counts[obs, action].sum())",
        hint="You keep the last reward of a pair: the model's reward is the mean of all.",
    ),
    Mutant(
        "probability_over_all_actions",
        old="counts[tried] / N[tried][:, None]",
        new="(counts / np.maximum(N.sum(axis=1), 1)[:, None, None])[tried]",
        hint="Your rows do not sum to 1: divide the counts of a pair by the visits of that pair,"
        " not of the observation.",
    ),
    Mutant(
        "terminal_goes_on",
        old=FIT_TERMINAL,
        new="",
        hint="You treat a terminal observation as one that was never tried, so it leads back into"
        " the episode. It leads to itself, for 0, whatever is done.",
    ),
    Mutant(
        "terminal_is_nothing",
        old="np.eye(num_obs)[obs]",
        new="0.0",
        hint="A terminal observation has rows of zeros in your `P_hat`: make it lead to itself.",
    ),
    Mutant(
        "starts_are_terminal",
        old="terminal.add(next_obs)",
        new="terminal.add(obs)",
        hint="You mark the observation where the last step started. It is the one that it led to"
        " that is terminal.",
    ),
    Mutant(
        "last_steps_dropped",
        old=COUNT + ENDS,
        new=ENDS + "            continue\n" + COUNT,
        hint="You leave out the steps that terminated. They happened: their count and their"
        " reward belong to the pair that they started from.",
    ),
    Mutant(
        "backwards",
        old="counts[obs, action, next_obs]",
        new="counts[next_obs, action, obs]",
        hint="Your model runs backwards: count under where the step started, in the column of"
        " where it led.",
    ),
    Mutant(
        "smoothed",
        old="counts[tried] / N[tried][:, None]",
        new="(counts[tried] + 1) / (N[tried][:, None] + num_obs)",
        hint="You add one to every count. That is an estimate too, but here a pair that was tried"
        " leads where it was seen to lead, and nowhere else.",
    ),
)


PLAN_LOOP = "for s, a in known[rng.integers(len(known), size=num_planning)]:"
DYNA_Q_STEP = (
    Mutant(
        "plans_the_unknown",
        old='np.argwhere(model["visited"])',
        new='np.argwhere(model["visited"] | True)',
        hint="You imagine pairs that were never visited. What the model holds there means"
        " nothing: draw from the visited ones alone.",
    ),
    Mutant(
        "skips_the_real_step",
        old="    Q[obs, action] += alpha * (reward + gamma * future - Q[obs, action])\n",
        new="",
        hint="The real step teaches nothing: update `Q` from it before you plan. With"
        " `num_planning=0` nothing at all would be learned.",
    ),
    Mutant(
        "forgets",
        old='    model["visited"][obs, action] = True\n    model["reward"][obs, action] = reward\n'
        '    model["next_obs"][obs, action] = next_obs\n',
        new="",
        hint="The real step is not remembered: write it into the model before you plan.",
    ),
    Mutant(
        "forgets_the_end",
        old='    model["terminated"][obs, action] = terminated\n',
        new="",
        hint="The model does not learn whether the step terminated, so that a pair may keep an"
        " end (or a future) that it no longer has: store all four things.",
    ),
    Mutant(
        "keeps_the_first_outcome",
        old='    model["visited"][obs, action] = True\n',
        new='    if model["visited"][obs, action]:\n'
        '        reward, next_obs = model["reward"][obs, action], model["next_obs"][obs, action]\n'
        '        terminated = model["terminated"][obs, action]\n'
        '    model["visited"][obs, action] = True\n',
        hint="You keep the first outcome of a pair. The model holds the last one, so that it can"
        " follow a world that changes.",
    ),
    Mutant(
        "imagined_without_an_end",
        old="best = 0.0 if ends else",
        new="best =",
        hint="Imagined steps end too: where the remembered outcome terminated there is no future.",
    ),
    Mutant(
        "real_without_an_end",
        old="future = 0.0 if terminated else",
        new="future =",
        hint="The real step looks beyond the end: a terminal observation has no future, whatever"
        " its row of `Q` says.",
    ),
    Mutant(
        "repeats_the_real_step",
        old=PLAN_LOOP,
        new="for s, a in [(obs, action)] * num_planning:",
        hint="You imagine the step that was just made, again and again. Draw any visited pair:"
        " that is how news travels to where the agent is not.",
    ),
    Mutant(
        "observation_first",
        old=PLAN_LOOP,
        new="lived = np.unique(known[:, 0])\n"
        "    for _ in range(num_planning):\n"
        "        s = rng.choice(lived)\n"
        "        a = rng.choice(np.flatnonzero(model['visited'][s]))",
        hint="You draw an observation first and then one of its actions (as the book's box does)."
        " Here every visited pair is as likely as the others: draw a pair.",
    ),
    Mutant(
        "where_it_stands",
        old='np.argwhere(model["visited"])',
        new='np.array([[obs, a] for a in np.flatnonzero(model["visited"][obs])])',
        hint="You imagine actions of the observation where the agent stands. Planning is free to"
        " think of any pair that was visited.",
    ),
    Mutant(
        "one_too_many",
        old="size=num_planning",
        new="size=num_planning + 1",
        hint="You imagine one step too many: `num_planning` of them, 0 included.",
    ),
    Mutant(
        "imagined_reward_is_the_real_one",
        old='model["reward"][s, a] +',
        new="reward +",
        hint="Imagined steps use the reward that was just received. Each pair has its own, in the"
        " model.",
    ),
    Mutant(
        "no_gamma",
        old="reward + gamma * future",
        new="reward + future",
        hint="The future of the real step is discounted: it counts `gamma` times.",
    ),
)


UNSEEN = "worst if penalty > 0 else 0.0"
BONUS = "total / seen - penalty / np.sqrt(seen)"
FITTED_Q_ITERATION = (
    Mutant(
        "believes_in_the_unseen",
        old=UNSEEN,
        new="0.0",
        hint="Pairs without data keep their 0 although there is a penalty. Where every reward is"
        " negative, 0 is the best there is: with a penalty they count as the worst.",
    ),
    Mutant(
        "never_believes_in_the_unseen",
        old=UNSEEN,
        new="worst",
        hint="With `penalty=0` nothing is pessimistic: pairs without data keep the 0 they start"
        " with.",
    ),
    Mutant(
        "ignores_the_unseen",
        old="Q[next_obs].max(axis=1)",
        new="np.where(n > 0, Q, -1e6)[next_obs].max(axis=1)",
        hint="Your maximum leaves out what was never tried. A sound idea, but another one: here"
        " the maximum is over all actions, and the penalty decides what the untried are worth.",
    ),
    Mutant(
        "bonus",
        old="- penalty / np.sqrt(seen)",
        new="+ penalty / np.sqrt(seen)",
        hint="You reward doubt. That is right for who can go and look; from a fixed data set"
        " doubt is subtracted.",
    ),
    Mutant(
        "penalty_without_root",
        old="penalty / np.sqrt(seen)",
        new="penalty / seen",
        hint="Your penalty falls too fast: the error of a mean falls with the square root of n.",
    ),
    Mutant(
        "constant_penalty",
        old="penalty / np.sqrt(seen)",
        new="penalty",
        hint="Your penalty is the same for every pair: divide it by the square root of its visits.",
    ),
    Mutant(
        "penalty_at_the_end_only",
        old=BONUS,
        new="total / seen - (_ == num_iterations - 1) * penalty / np.sqrt(seen)",
        hint="You subtract the penalty once, after the last iteration. It belongs into every one,"
        " so that doubt about later steps counts too.",
    ),
    Mutant(
        "no_mask",
        old="np.where(terminated, 0.0, Q[next_obs].max(axis=1))",
        new="Q[next_obs].max(axis=1)",
        hint="Where a transition terminated there is no future, whatever `Q` says about"
        " `next_obs`.",
    ),
    Mutant(
        "sum_for_mean",
        old=BONUS,
        new="total - penalty / np.sqrt(seen)",
        hint="You add up the targets of a pair: the best fit to them is their mean.",
    ),
    Mutant(
        "no_gamma",
        old="reward + gamma * future",
        new="reward + future",
        hint="The future is discounted: it counts `gamma` times.",
    ),
    Mutant(
        "mean_over_actions",
        old="Q[next_obs].max(axis=1)",
        new="Q[next_obs].mean(axis=1)",
        hint="You average over the next actions: that values a policy that picks at random. The"
        " target takes the best, `max` over axis 1.",
    ),
    Mutant(
        "worst_step",
        old="min(0.0, reward.min()) / (1 - gamma)",
        new="min(0.0, reward.min())",
        hint="You count the lowest reward once. The worst there can be is to get it for ever:"
        " divide by 1 - gamma.",
    ),
    Mutant(
        "one_iteration_short",
        old="range(num_iterations)",
        new="range(num_iterations - 1)",
        hint="You stop one iteration early: repeat `num_iterations` times.",
    ),
)
