"""Lab 2, checks: points, groups of cases, and the mistakes that they can tell apart."""

import numpy as np

from autograder.spec import (
    Choice,
    Exercise,
    Gate,
    Group,
    Mistake,
    Mutant,
    Mutates,
    Numeric,
    Outcome,
    Samples,
    Wrong,
)
from solutions.lab02_q_learning_sarsa import agents, cases, reference, variants

CHOOSE_ACTION = Exercise(
    reference=reference.choose_action,
    points=2,
    probe=Samples(count=2_000, categories=4),
    time_limit=3.0,
    groups=(
        Group("one best action", cases.one_best, public=True),
        Group("equal actions", cases.ties, public=True),
        Group("one best action, other tables", cases.one_best),
        Group("equal actions, other tables", cases.ties),
    ),
    mutants=(
        Mutant(
            "inverted_test",
            old="rng.random() < epsilon",
            new="rng.random() >= epsilon",
            hint="You explore with probability 1 - epsilon: turn the comparison round.",
        ),
        Mutant(
            "first_of_ties",
            old="best[rng.integers(best.size)]",
            new="best[0]",
            hint="`argmax` always picks the first of equal actions. A table of zeros would then"
            " walk one way only: draw among all that reach the maximum.",
        ),
        Mutant(
            "last_of_ties",
            old="best[rng.integers(best.size)]",
            new="best[-1]",
            hint="Of equal actions you always take the last: draw among all that reach the"
            " maximum.",
        ),
        Mutant(
            "explores_the_others",
            old="rng.integers(q.size)",
            new="rng.choice(np.flatnonzero(q < q.max()))",
            hint="Exploring means any action, the best one too: it gets 1 - epsilon + epsilon / k.",
        ),
        Mutant(
            "never_explores",
            old="rng.random() < epsilon",
            new="epsilon > 1",
            hint="You never explore: with probability epsilon the action is drawn from all.",
        ),
        Mutant(
            "always_explores",
            old="rng.random() < epsilon",
            new="True",
            hint="You always explore: only with probability epsilon should the action be random.",
        ),
        Mutant(
            "takes_the_worst",
            old="q.max()",
            new="q.min()",
            hint="You prefer the lowest value. Q holds what an action is worth: more is better.",
        ),
        Mutant(
            "best_of_the_table",
            old="np.flatnonzero(q == q.max())",
            new="np.array([Q.argmax()])",
            hint="`Q.argmax()` searches the whole table and counts through it; only the row of"
            " `obs` matters.",
        ),
        Mutant(
            "column_for_row",
            old="Q[obs]",
            new="Q[:, obs]",
            hint="You read a column of `Q`: the first index is the observation, the second the"
            " action.",
        ),
    ),
    variants=(variants.choose_by_probabilities, variants.choose_by_noise),
)


LEARN = "Q[obs, action] += alpha * (target - Q[obs, action])"
STEP_MUTANTS = (
    Mutant(
        "no_mask",
        old="0.0 if terminated else ",
        new="",
        hint="A terminal observation has no future, whatever its row of `Q` says: mask it. With a"
        " table of zeros you would never notice, with any other start you would.",
    ),
    Mutant(
        "inverted_mask",
        old="if terminated",
        new="if not terminated",
        hint="Your mask is upside down: the future counts unless the step terminated.",
    ),
    Mutant(
        "masks_reward",
        old="target = reward + gamma * future",
        new="target = 0.0 if terminated else reward + gamma * future",
        hint="The last reward was earned: only what would come after it is masked.",
    ),
    Mutant(
        "no_gamma",
        old="gamma * future",
        new="future",
        hint="The future is discounted: it counts `gamma` times.",
    ),
    Mutant(
        "discounts_reward",
        old="reward + gamma * future",
        new="gamma * (reward + future)",
        hint="The reward of this step comes now, undiscounted: `gamma` multiplies the future"
        " alone.",
    ),
    Mutant(
        "overwrites",
        old=LEARN,
        new="Q[obs, action] = target",
        hint="You replace the old value by the target. Move towards it, by the fraction `alpha`.",
    ),
    Mutant(
        "adds_target",
        old="alpha * (target - Q[obs, action])",
        new="alpha * target",
        hint="You add the target itself. What is added is `alpha` times the error, target minus"
        " old value; otherwise values grow without end.",
    ),
    Mutant(
        "wrong_sign",
        old="target - Q[obs, action]",
        new="Q[obs, action] - target",
        hint="You move away from the target: the error is target minus old value.",
    ),
    Mutant(
        "alpha_on_the_old",
        old="+= alpha *",
        new="+= (1 - alpha) *",
        hint="You keep the share `alpha` of the old value; it is the share of the target.",
    ),
    Mutant(
        "learns_on_a_copy",
        old=LEARN,
        new=f"Q = Q.copy()\n    {LEARN}",
        hint="The table that came in is unchanged: write to `Q[obs, action]` itself.",
    ),
    Mutant(
        "updates_next_obs",
        old=LEARN,
        new=LEARN.replace("obs, action]", "next_obs, action]"),
        hint="You change the row of `next_obs`. What was learned is about `obs`, where the action"
        " was taken.",
    ),
)

Q_UPDATE = Exercise(
    reference=reference.q_update,
    points=3,
    probe=Mutates(("Q",)),
    groups=(
        Group("by hand", cases.q_by_hand, public=True),
        Group("the episode goes on", cases.q_goes_on, public=True),
        Group("the episode ends", cases.q_ends, public=True),
        Group("other steps", cases.q_goes_on),
        Group("other endings", cases.q_ends),
    ),
    mutants=(
        Mutant(
            "same_action",
            old="Q[next_obs].max()",
            new="Q[next_obs, action]",
            hint="You look up the action just taken in the next row. Q-learning takes the best"
            " action there, `max` over the row.",
        ),
        Mutant(
            "max_over_observations",
            old="Q[next_obs].max()",
            new="Q.max(axis=0)[action]",
            hint="Your maximum runs over observations (axis 0). It belongs over the actions of"
            " `next_obs`.",
        ),
        Mutant(
            "max_of_the_table",
            old="Q[next_obs].max()",
            new="Q.max()",
            hint="Your maximum is over the whole table; only the row of `next_obs` can follow.",
        ),
        Mutant(
            "index_for_value",
            old="Q[next_obs].max()",
            new="Q[next_obs].argmax()",
            hint="`argmax` is the number of the best action; the target needs its value.",
        ),
        Mutant(
            "mean_for_max",
            old="Q[next_obs].max()",
            new="Q[next_obs].mean()",
            hint="You average over the actions, which values a random policy. Q-learning takes the"
            " best one.",
        ),
        Mutant(
            "stays_where_it_was",
            old="Q[next_obs].max()",
            new="Q[obs].max()",
            hint="You bootstrap from `obs` itself: the future begins where the step led.",
        ),
        *STEP_MUTANTS,
    ),
    variants=(variants.q_update_in_python, variants.q_update_in_torch),
)


SARSA_UPDATE = Exercise(
    reference=reference.sarsa_update,
    points=2,
    probe=Mutates(("Q",)),
    groups=(
        Group("by hand", cases.sarsa_by_hand, public=True),
        Group("the episode goes on", cases.sarsa_goes_on, public=True),
        Group("the episode terminates", cases.sarsa_terminates, public=True),
        Group("the time is up", cases.sarsa_truncated, public=True),
        Group("other steps", cases.sarsa_goes_on),
        Group("other endings", cases.sarsa_terminates),
        Group("other time limits", cases.sarsa_truncated),
    ),
    mutants=(
        Mutant(
            "q_learning",
            old="Q[next_obs, next_action]",
            new="Q[next_obs].max()",
            hint="You take the best next action: that is Q-learning's target. SARSA uses the"
            " action that is taken next.",
        ),
        Mutant(
            "same_action",
            old="Q[next_obs, next_action]",
            new="Q[next_obs, action]",
            hint="You value the old action in the new place: use `next_action`.",
        ),
        Mutant(
            "mean_for_sample",
            old="Q[next_obs, next_action]",
            new="Q[next_obs].mean()",
            hint="You average over all actions. SARSA's target has one sample, `next_action`.",
        ),
        Mutant(
            "stays_where_it_was",
            old="Q[next_obs, next_action]",
            new="Q[obs, next_action]",
            hint="`next_action` is taken in `next_obs`, not in `obs`.",
        ),
        Mutant(
            "truncation_is_terminal",
            old="if terminated",
            new="if terminated or truncated",
            hint="A time limit ends the episode, not the task: where the clock cut it off, the"
            " future still counts. Mask on `terminated` alone.",
        ),
        Mutant(
            "masks_truncated_only",
            old="if terminated",
            new="if truncated",
            hint="You mask where time ran out. It is the other way: mask where the step"
            " terminated.",
        ),
        *STEP_MUTANTS,
    ),
    variants=(variants.sarsa_update_as_average, variants.sarsa_update_in_torch),
)


EXPECTED_SARSA_TARGET = Exercise(
    reference=reference.expected_sarsa_target,
    points=2,
    groups=(
        Group("by hand", cases.expected_by_hand, public=True),
        Group("the episode goes on", cases.expected_goes_on, public=True),
        Group("the episode ends", cases.expected_ends, public=True),
        Group("other steps", cases.expected_goes_on),
        Group("other endings", cases.expected_ends),
        Group("equal actions", cases.expected_ties),
    ),
    mutants=(
        Mutant(
            "greedy_weight",
            old="epsilon * q.mean()",
            new="epsilon / q.size * (q.sum() - q.max())",
            hint="Your probabilities sum to less than one: exploring may pick the best action too,"
            " so it has 1 - epsilon + epsilon / k.",
        ),
        Mutant(
            "explores_the_others",
            old="epsilon * q.mean()",
            new="epsilon / (q.size - 1) * (q.sum() - q.max())",
            hint="You share epsilon among the other actions only; exploring draws from all of"
            " them.",
        ),
        Mutant(
            "q_learning",
            old="(1 - epsilon) * q.max() + epsilon * q.mean()",
            new="q.max()",
            hint="You take the maximum: that values a policy that never explores, Q-learning's"
            " target. Average over what the policy does.",
        ),
        Mutant(
            "uniform",
            old="(1 - epsilon) * q.max() + epsilon * q.mean()",
            new="q.mean()",
            hint="You average as if every action were equally likely; the best has 1 - epsilon"
            " more.",
        ),
        Mutant(
            "epsilon_swapped",
            old="(1 - epsilon) * q.max() + epsilon * q.mean()",
            new="epsilon * q.max() + (1 - epsilon) * q.mean()",
            hint="You exchanged epsilon and 1 - epsilon: epsilon is how often the policy explores.",
        ),
        Mutant(
            "no_mask",
            old="if terminated:",
            new="if False:",
            hint="A terminal observation has no future, whatever its row of `Q` says: the target"
            " is the reward alone.",
        ),
        Mutant(
            "masks_reward",
            old="return float(reward)",
            new="return 0.0",
            hint="The last reward was earned: only what would come after it is masked.",
        ),
        Mutant(
            "no_gamma",
            old="gamma * expected",
            new="expected",
            hint="The future is discounted: it counts `gamma` times.",
        ),
        Mutant(
            "discounts_reward",
            old="reward + gamma * expected",
            new="gamma * (reward + expected)",
            hint="The reward of this step comes now, undiscounted: `gamma` multiplies the future"
            " alone.",
        ),
        Mutant(
            "forgets_reward",
            old="reward + gamma * expected",
            new="gamma * expected",
            hint="Your target has no reward in it: the step's own reward comes first.",
        ),
        Mutant(
            "column_for_row",
            old="Q[next_obs]",
            new="Q[:, min(next_obs, Q.shape[1] - 1)]",
            hint="You read a column of `Q`: the first index is the observation, the second the"
            " action.",
        ),
    ),
    variants=(variants.expected_by_loop, variants.expected_in_float32),
)


DOUBLE_Q_UPDATE = Exercise(
    reference=reference.double_q_update,
    points=3,
    probe=Samples(count=2_000, of=Mutates(("QA", "QB"))),
    time_limit=3.0,
    groups=(
        Group("the episode goes on", cases.double_goes_on, public=True),
        Group("the episode ends", cases.double_ends, public=True),
        Group("other steps", cases.double_goes_on),
        Group("other endings", cases.double_ends),
    ),
    mutants=(
        Mutant(
            "one_table_does_both",
            old="judge[next_obs, choice]",
            new="learner[next_obs, choice]",
            hint="The table that chose the action also values it: that is Q-learning, twice, with"
            " the same bias. Ask the other table what the choice is worth.",
        ),
        Mutant(
            "max_of_the_other",
            old="judge[next_obs, choice]",
            new="judge[next_obs].max()",
            hint="You take the other table's maximum, so it chooses and values alone. The table"
            " that learns chooses; the other values that choice.",
        ),
        Mutant(
            "roles_swapped",
            old="judge[next_obs, choice]",
            new="learner[next_obs, judge[next_obs].argmax()]",
            hint="Your roles are exchanged: the table that learns chooses the action, the other"
            " one values it.",
        ),
        Mutant(
            "smaller_maximum",
            old="judge[next_obs, choice]",
            new="min(learner[next_obs].max(), judge[next_obs].max())",
            hint="The smaller of two maxima is another remedy (clipped double Q). Here one table"
            " chooses and the other values.",
        ),
        Mutant(
            "always_the_first",
            old="rng.random() < 0.5",
            new="rng.random() < 2",
            hint="Only `QA` ever learns: toss a fair coin for which table does.",
        ),
        Mutant(
            "always_the_second",
            old="rng.random() < 0.5",
            new="rng.random() < 0",
            hint="Only `QB` ever learns: toss a fair coin for which table does.",
        ),
        Mutant(
            "both_learn",
            old="learner[obs, action] += alpha * (reward + gamma * future - learner[obs, action])",
            new="other = 0.0 if terminated else learner[next_obs, judge[next_obs].argmax()]\n"
            "    learner[obs, action] += alpha * (reward + gamma * future - learner[obs, action])\n"
            "    judge[obs, action] += alpha * (reward + gamma * other - judge[obs, action])",
            hint="Both tables learn from this step, so their errors become alike and the bias"
            " comes back. Each step belongs to one table.",
        ),
        Mutant(
            "error_of_the_other",
            old="- learner[obs, action]",
            new="- judge[obs, action]",
            hint="The error is the target minus the old value of the table that learns, not of the"
            " other one.",
        ),
        Mutant(
            "adds_target",
            old=" - learner[obs, action]",
            new="",
            hint="You add the target itself. What is added is `alpha` times the error, target"
            " minus old value.",
        ),
        Mutant(
            "no_mask",
            old="0.0 if terminated else ",
            new="",
            hint="A terminal observation has no future, whatever its row of the tables says: mask"
            " it.",
        ),
        Mutant(
            "masks_reward",
            old="(reward + gamma * future",
            new="((not terminated) * reward + gamma * future",
            hint="The last reward was earned: only what would come after it is masked.",
        ),
        Mutant(
            "no_gamma",
            old="gamma * future",
            new="future",
            hint="The future is discounted: it counts `gamma` times.",
        ),
    ),
    variants=(variants.double_by_swapping, variants.double_by_cases),
)


TARGET = "Q[next_obs, next_action]\n"
RUN_EPISODE_SARSA = Exercise(
    reference=reference.run_episode_sarsa,
    points=4,
    probe=Mutates(("Q",)),
    time_limit=3.0,
    groups=(
        Group("to the goal", cases.to_the_goal, public=True),
        Group("into a wall", cases.into_a_wall, public=True),
        Group("the time is up", cases.time_is_up, public=True),
        Group("steps run out", cases.steps_run_out, public=True),
        Group(
            "exploring",
            cases.exploring,
            public=True,
            probe=Samples(count=500, of=Mutates(("Q",))),
        ),
        Group("to the goal, other tables", cases.to_the_goal),
        Group("into a wall, other tables", cases.into_a_wall),
        Group("other time limits", cases.time_is_up),
        Group(
            "exploring, other tables",
            cases.exploring,
            probe=Samples(count=500, of=Mutates(("Q",))),
        ),
    ),
    mutants=(
        Mutant(
            "chooses_again",
            old="obs, action = next_obs, next_action",
            new="obs = next_obs\n"
            "        action = rng.choice(Q.shape[1], p=epsilon_greedy_probs(Q[obs], epsilon))",
            hint="You choose again after the update, so the action in the target is not the one"
            " that is taken. Carry `next_action` over: that is the second A of SARSA.",
        ),
        Mutant(
            "never_advances",
            old="obs, action = next_obs, next_action",
            new="action = next_action",
            hint="`obs` still is the start when the next step is learned: move on to `next_obs`.",
        ),
        Mutant(
            "repeats_its_action",
            old="obs, action = next_obs, next_action",
            new="obs = next_obs",
            hint="The first action is taken for ever: after learning, `next_action` is what to do.",
        ),
        Mutant(
            "ends_on_terminated_only",
            old="if terminated or truncated",
            new="if terminated",
            hint="You play on after the time limit: the episode ends on `terminated` or"
            " `truncated`.",
        ),
        Mutant(
            "truncation_is_terminal",
            old="0.0 if terminated else",
            new="0.0 if terminated or truncated else",
            hint="A time limit ends the loop, not the future: mask the target on `terminated`"
            " alone.",
        ),
        Mutant(
            "no_mask",
            old="0.0 if terminated else ",
            new="",
            hint="The goal has no future, whatever its row of `Q` says: mask it.",
        ),
        Mutant(
            "skips_the_last_update",
            old="        future =",
            new="        if terminated or truncated:\n"
            "            return return_ + discount * reward\n"
            "        future =",
            hint="You leave before learning from the last step, the one that reaches the goal:"
            " learn first, then end.",
        ),
        Mutant(
            "q_learning",
            old=TARGET,
            new="Q[next_obs].max()\n",
            hint="You bootstrap from the best next action: that is Q-learning. SARSA uses the"
            " value of the action it is about to take.",
        ),
        Mutant(
            "same_action",
            old=TARGET,
            new="Q[next_obs, action]\n",
            hint="You value the old action in the new place: the target needs `next_action`.",
        ),
        Mutant(
            "stops_exploring",
            old="p=epsilon_greedy_probs(Q[next_obs], epsilon)",
            new="p=epsilon_greedy_probs(Q[next_obs], 0.0)",
            hint="Only your first action explores: every later one is epsilon-greedy too.",
        ),
        Mutant(
            "starts_greedy",
            old="p=epsilon_greedy_probs(Q[obs], epsilon)",
            new="p=epsilon_greedy_probs(Q[obs], 0.0)",
            hint="Your first action never explores: it is epsilon-greedy like every other.",
        ),
        Mutant(
            "no_gamma",
            old="gamma * future",
            new="future",
            hint="The future is discounted: it counts `gamma` times in the target.",
        ),
        Mutant(
            "undiscounted_return",
            old="return_ += discount * reward",
            new="return_ += reward",
            hint="The table is right; the return is not discounted: reward number t counts"
            " gamma^t.",
        ),
        Mutant(
            "discounts_too_early",
            old="return_ += discount * reward\n        discount *= gamma",
            new="discount *= gamma\n        return_ += discount * reward",
            hint="The table is right; the return is one gamma too small: the first reward counts"
            " in full.",
        ),
        Mutant(
            "one_step_short",
            old="range(max_steps)",
            new="range(max_steps - 1)",
            hint="You stop one step early: `max_steps` steps are allowed.",
        ),
    ),
    variants=(variants.sarsa_with_while, variants.sarsa_with_list),
)


EVALUATE = Exercise(
    reference=reference.evaluate,
    points=2,
    time_limit=3.0,
    groups=(
        Group("to the goal", cases.plays_to_the_goal, public=True),
        Group("the time is up", cases.plays_until_time_is_up, public=True),
        Group("steps run out", cases.plays_until_steps_run_out, public=True),
        Group("exploring", cases.plays_exploring, public=True, probe=Samples(count=300)),
        Group("to the goal, other tables", cases.plays_to_the_goal),
        Group("other time limits", cases.plays_until_time_is_up),
        Group("steps run out, other tables", cases.plays_until_steps_run_out),
        Group("exploring, other tables", cases.plays_exploring, probe=Samples(count=300)),
    ),
    mutants=(
        Mutant(
            "always_greedy",
            old="epsilon_greedy_probs(Q[obs], epsilon)",
            new="epsilon_greedy_probs(Q[obs], 0.0)",
            hint="You evaluate the greedy policy whatever `epsilon` says: greedy and online"
            " returns are two different questions.",
        ),
        Mutant(
            "learns_while_measuring",
            old="returns[episode] += reward",
            new="returns[episode] += reward\n            Q[obs, action] += 0.1 * reward",
            hint="You change `Q` while you measure it: then every episode is played by another"
            " agent.",
        ),
        Mutant(
            "ends_on_terminated_only",
            old="if terminated or truncated",
            new="if terminated",
            hint="You play on after the time limit: the episode ends on `terminated` or"
            " `truncated`.",
        ),
        Mutant(
            "ends_on_truncated_only",
            old="if terminated or truncated",
            new="if truncated",
            hint="You play on after the goal: the episode ends on `terminated` or `truncated`.",
        ),
        Mutant(
            "no_reset",
            old="obs, _ = env.reset()",
            new="obs = obs if episode else env.reset()[0]",
            hint="Your later episodes begin where the one before stopped: reset for each of them.",
        ),
        Mutant(
            "counts_steps",
            old="+= reward",
            new="-= 1",
            hint="You count steps. Falling costs 100 in one step: add up the rewards.",
        ),
        Mutant(
            "keeps_adding",
            old="returns[episode] += reward",
            new="returns[episode:] += reward",
            hint="Your sum runs on from one episode to the next: begin each at 0.",
        ),
        Mutant(
            "loses_the_last_reward",
            old="returns[episode] += reward\n            if terminated or truncated:\n"
            "                break",
            new="if terminated or truncated:\n                break\n"
            "            returns[episode] += reward",
            hint="The reward of the last step is missing: add it before you leave the loop.",
        ),
        Mutant(
            "mean_of_all",
            old="return returns",
            new="return returns.mean()",
            hint="You return one number; asked for is the return of each episode, as an array.",
        ),
        Mutant(
            "one_step_short",
            old="range(max_steps)",
            new="range(max_steps - 1)",
            hint="You stop one step early: `max_steps` steps are allowed in each episode.",
        ),
    ),
    variants=(variants.evaluate_as_list, variants.evaluate_in_float32),
)


POLICY = "epsilon_greedy_probs(q, epsilon)"
EPS_SOFT_VALUE = Exercise(
    reference=reference.eps_soft_value,
    points=3,
    groups=(
        Group("stay or leave, by hand", cases.stay_or_leave, public=True),
        Group("discounted", cases.discounted, public=True),
        Group("undiscounted", cases.undiscounted, public=True),
        Group("equal actions", cases.value_ties, public=True),
        Group("discounted, other processes", cases.discounted),
        Group("undiscounted, other processes", cases.undiscounted),
        Group("equal actions, other processes", cases.value_ties),
    ),
    mutants=(
        Mutant(
            "ignores_epsilon",
            old=POLICY,
            new="epsilon_greedy_probs(q, 0.0)",
            hint="You value the greedy policy. The agent that walks explores, and its falls count.",
        ),
        Mutant(
            "first_of_ties",
            old=POLICY,
            new="epsilon / q.size + (1 - epsilon) * (np.arange(q.size) == q.argmax())",
            hint="`argmax` gives everything to the first of equal actions: ties share the"
            " probability (on the cliff that is -45.80 or -50.80).",
        ),
        Mutant(
            "greedy_weight",
            old=POLICY,
            new="np.where(q == q.max(), 1 - epsilon, epsilon / (q.size - 1))",
            hint="Exploring may pick the best action too: it has 1 - epsilon + epsilon / k.",
        ),
        Mutant(
            "uniform_policy",
            old=POLICY,
            new="epsilon_greedy_probs(q, 1.0)",
            hint="You value the policy that is always random: with 1 - epsilon it takes the best.",
        ),
        Mutant(
            "no_gamma",
            old="gamma * P_pi",
            new="P_pi",
            hint="The future is discounted: `gamma` multiplies `P_pi`.",
        ),
        Mutant(
            "gamma_outside",
            old="system, R_pi[live])",
            new="system, gamma * R_pi[live])",
            hint="Rewards come undiscounted: `gamma` multiplies `P_pi` and nothing else.",
        ),
        Mutant(
            "terminal_not_absorbing",
            old="live = ~(stays & (R == 0.0)).all(axis=1)",
            new="live = np.ones(len(P), dtype=bool)",
            hint="With gamma 1 the equation of a terminal observation reads V = V and the system"
            " is singular. Set its value to 0 and solve for the others.",
        ),
        Mutant(
            "transposed",
            old="sa,sax->sx",
            new="sa,sax->xs",
            hint="Your transition matrix is transposed: rows are where a step starts, columns"
            " where it ends.",
        ),
        Mutant(
            "uniform_reward",
            old="(pi * R).sum(axis=1)",
            new="R.mean(axis=1)",
            hint="You average the rewards over actions as if all were equally likely: weigh them"
            " by the policy.",
        ),
        Mutant(
            "uniform_transitions",
            old='np.einsum("sa,sax->sx", pi, P)',
            new="P.mean(axis=1)",
            hint="You average the transitions over actions as if all were equally likely: weigh"
            " them by the policy.",
        ),
        Mutant(
            "believes_the_table",
            old="return V",
            new="return (pi * Q).sum(axis=1)",
            hint="You return what `Q` believes. Here `Q` only says what the policy does; what that"
            " is worth follows from `P` and `R`.",
        ),
        Mutant(
            "one_step_only",
            old="np.linalg.solve(system, R_pi[live])",
            new="R_pi[live]",
            hint="You have the reward of one step; the value adds all that follows. Solve the"
            " system.",
        ),
    ),
    variants=(variants.value_by_sweeps, variants.value_in_torch),
)


# ---- the bug clinic ---------------------------------------------------------------------------


BEST_NEXT = "best_next = (not terminated) * Q[next_obs].max()"
Q_LEARN = "Q[obs, action] += alpha * (reward + gamma * best_next - Q[obs, action])"
Q_LEARNING_EPISODE = Exercise(
    reference=reference.q_learning_episode,
    points=2,
    probe=Mutates(("Q",)),
    clinic="as_posted",
    time_limit=3.0,
    groups=(
        Group("to the goal", cases.to_the_goal, public=True),
        Group("the time is up", cases.time_is_up, public=True),
        Group("steps run out", cases.steps_run_out, public=True),
        Group("a winding road", cases.stuck_on_the_start, public=True),
        Group(
            "exploring",
            cases.exploring,
            public=True,
            probe=Samples(count=500, of=Mutates(("Q",))),
        ),
        Group("to the goal, other tables", cases.to_the_goal),
        Group("other time limits", cases.time_is_up),
        Group("another winding road", cases.stuck_on_the_start),
        Group(
            "exploring, other tables",
            cases.exploring,
            probe=Samples(count=500, of=Mutates(("Q",))),
        ),
    ),
    mutants=(
        Mutant(
            "as_posted",
            old=f"{BEST_NEXT}\n        {Q_LEARN}\n        obs = next_obs",
            new=f"best_next = Q[next_obs].max()\n        {Q_LEARN}",
            hint="It behaves as it was posted. Follow one episode with a pencil: which row does"
            " the second step change, and what does the step into the goal add?",
        ),
        Mutant(
            "no_mask",
            old="(not terminated) * ",
            new="",
            hint="One bug is left: the goal has no future, whatever its row of `Q` says.",
        ),
        Mutant(
            "never_advances",
            old="        obs = next_obs\n",
            new="",
            hint="One bug is left: the agent moves, but `obs` never does, so that every step is"
            " booked on the start.",
        ),
        Mutant(
            "truncation_is_terminal",
            old="not terminated",
            new="not (terminated or truncated)",
            hint="Your mask goes too far: a time limit ends the episode, not the future.",
        ),
        Mutant(
            "advances_too_early",
            old=f"{Q_LEARN}\n        obs = next_obs",
            new=f"obs = next_obs\n        {Q_LEARN}",
            hint="You move on before you learn: then the reward is booked on where the step led.",
        ),
        Mutant(
            "sarsa",
            old="Q[next_obs].max()",
            new="Q[next_obs, rng.choice(Q.shape[1], p=epsilon_greedy_probs(Q[next_obs], epsilon))]",
            hint="The maximum was right: this is Q-learning, which values the best next action.",
        ),
        Mutant(
            "ends_on_terminated_only",
            old="if terminated or truncated",
            new="if terminated",
            hint="You play on after the time limit: the episode ends on `terminated` or"
            " `truncated`.",
        ),
        Mutant(
            "skips_the_last_update",
            old="        best_next =",
            new="        if terminated or truncated:\n            return total_reward\n"
            "        best_next =",
            hint="You leave before learning from the last step: learn first, then end.",
        ),
        Mutant(
            "one_step_short",
            old="range(max_steps)",
            new="range(max_steps - 1)",
            hint="You stop one step early: `max_steps` steps are allowed.",
        ),
    ),
    variants=(variants.q_learning_with_while, variants.q_learning_with_zeroed_future),
)


# ---- predictions ------------------------------------------------------------------------------

PREDICTED_ONLINE_VALUE = Numeric(
    "predicted_online_value",
    points=1,
    answer=-50.80,
    tolerance=0.05,
    mistakes=(
        Mistake(-45.80, "You gave all of a tie to the first action; equal actions share it."),
        Mistake(-51.81, "You gave all of a tie to the last action; equal actions share it."),
        Mistake(
            -13.0, "That is the greedy path. Online, one step in ten is random, next to a cliff."
        ),
        Mistake(-20.71, "That is the best an exploring agent can do; this one believes in Q*."),
    ),
)

BEST_WITHOUT_EXPLORING = Choice(
    "best_without_exploring",
    points=1,
    answer="B",
    why={
        "A": "SARSA's detour pays while it explores. Without exploring nobody falls, and the detour"
        " is only longer; some of its tables even walk in circles.",
        "C": "Expected SARSA takes row 1: 15 steps. With epsilon 0 that caution buys nothing.",
        "D": "Greedy paths differ, because the tables answer different questions: what if I go on"
        " exploring, and what if I don't.",
    },
)


# ---- trained agents ---------------------------------------------------------------------------


CLIFF_AGENTS = Outcome(
    "cliff_agents",
    points=3,
    reference=agents.trained,
    artifact="cliff_agents.safetensors",
    tensors={"q_learning": agents.SHAPE, "sarsa": agents.SHAPE, "expected_sarsa": agents.SHAPE},
    # Limits from 10,000 agents a method (benchmarks/results/lab02_batched_cpu.json): each is missed
    # by right agents with a probability below 4e-8. SARSA's greedy path is luck and is not judged.
    gates=(
        Gate(
            "Q-learning, greedy return",
            agents.median(agents.greedy_return, "q_learning"),
            low=-13.5,
            high=-12.5,
            hint="Greedy Q-learning walks along the edge, 13 steps. If it never arrives, look at"
            " `q_learning_episode`: does `obs` move on?",
        ),
        Gate(
            "Q-learning, exact online value",
            agents.median(agents.online_value, "q_learning"),
            low=-56.0,
            high=-46.0,
            hint="At epsilon 0.1 the edge costs Q-learning about -51 an episode. Far better than"
            " that is another method's table.",
        ),
        Gate(
            "SARSA, its own belief about the start",
            agents.median(agents.belief, "sarsa"),
            low=-34.0,
            high=-18.2,
            hint="SARSA believes the start to be worth about -21: it expects its own falls. -13"
            " would be Q-learning's belief, -17.4 Expected SARSA's.",
        ),
        Gate(
            "SARSA, exact online value of the best agent",
            agents.best(agents.online_value, "sarsa"),
            low=-30.0,
            high=-20.7,
            hint="The best of ten SARSA agents earns about -22 while it explores; yours falls too"
            " often or never arrives.",
        ),
        Gate(
            "Expected SARSA, greedy return",
            agents.median(agents.greedy_return, "expected_sarsa"),
            low=-15.5,
            high=-14.5,
            hint="Expected SARSA keeps one row away from the edge, 15 steps. 13 means that the"
            " target took the maximum.",
        ),
        Gate(
            "Expected SARSA, its own belief about the start",
            agents.median(agents.belief, "expected_sarsa"),
            low=-17.8,
            high=-17.0,
            hint="Expected SARSA believes the first step up to be worth -17.4, almost without"
            " noise. Is the target's average the one over your policy?",
        ),
        Gate(
            "Expected SARSA, exact online value",
            agents.median(agents.online_value, "expected_sarsa"),
            low=-24.0,
            high=-20.7,
            hint="Expected SARSA comes close to the best that an exploring agent can do, -20.71.",
        ),
    ),
    wrong=(
        Wrong("untrained", lambda: {name: np.zeros(agents.SHAPE) for name in agents.trained()}),
        Wrong("twenty episodes", lambda: agents.trained(20)),
        Wrong(
            "Q-learning and SARSA swapped", agents.mixed("sarsa", "q_learning", "expected_sarsa")
        ),
        Wrong(
            "SARSA and Expected SARSA swapped",
            agents.mixed("q_learning", "expected_sarsa", "sarsa"),
        ),
        Wrong("SARSA is Q-learning", agents.mixed("q_learning", "q_learning", "expected_sarsa")),
        Wrong("Expected SARSA is Q-learning", agents.mixed("q_learning", "sarsa", "q_learning")),
        Wrong(
            "SARSA is Expected SARSA",
            agents.mixed("q_learning", "expected_sarsa", "expected_sarsa"),
        ),
        Wrong(
            "actions reversed",
            lambda: {k: v[..., ::-1].copy() for k, v in agents.trained().items()},
        ),
    ),
)
