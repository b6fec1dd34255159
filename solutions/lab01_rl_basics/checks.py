"""Lab 1, checks: points and groups of cases; the mistakes stand in modules of their own."""

from autograder.spec import Choice, Exercise, Group, Mistake, Numeric, Part, Samples
from solutions.lab01_rl_basics import (
    cases,
    mistakes_bandits,
    mistakes_time,
    mistakes_worlds,
    reference,
    variants,
)

DISCOUNTED_RETURNS = Exercise(
    reference=reference.discounted_returns,
    points=2,
    groups=(
        Group("by hand", cases.returns_by_hand, public=True),
        Group("the episode is over", cases.finished, public=True),
        Group("something would follow", cases.cut_off, public=True),
        Group("a single step", cases.single_step, public=True),
        Group("whole numbers", cases.whole_numbers, public=True),
        Group("other finished episodes", cases.finished),
        Group("other cuts", cases.cut_off),
    ),
    mutants=mistakes_time.DISCOUNTED_RETURNS,
    variants=(variants.returns_by_powers, variants.returns_in_torch),
)

TD_TARGET = Exercise(
    reference=reference.td_target,
    points=2,
    groups=(
        Group("by hand", cases.targets_by_hand, public=True),
        Group("the episode goes on", cases.targets_go_on, public=True),
        Group("the episode terminates", cases.targets_terminate, public=True),
        Group("the time is up", cases.targets_truncated, public=True),
        Group("both at once", cases.targets_both, public=True),
        Group("other batches", cases.targets_mixed),
    ),
    mutants=mistakes_time.TD_TARGET,
    variants=(variants.targets_by_loop, variants.targets_in_torch),
)

SPLIT_EPISODES = Exercise(
    reference=reference.split_episodes,
    points=2,
    clinic="as_posted",
    groups=(
        Group("by hand", cases.episodes_by_hand, public=True),
        Group("every episode terminates", cases.episodes_whole, public=True),
        Group("some are cut off", cases.episodes_cut_off, public=True),
        Group("the last one goes on", cases.episodes_unfinished, public=True),
        Group("both flags at once", cases.episodes_both, public=True),
        Group("episodes of one step", cases.episodes_short, public=True),
        Group("other recordings", cases.episodes_mixed),
        Group("an empty recording", cases.episodes_none),
    ),
    mutants=mistakes_time.SPLIT_EPISODES,
    variants=(variants.episodes_by_cuts, variants.episodes_by_lengths),
)

POLICY_VALUE = Exercise(
    reference=reference.policy_value,
    points=3,
    groups=(
        Group("two rooms, by hand", cases.two_rooms, public=True),
        Group("random worlds", cases.values_random, public=True),
        Group("a policy that never hesitates", cases.values_settled, public=True),
        Group("other random worlds", cases.values_random),
        Group("another settled policy", cases.values_settled),
    ),
    mutants=mistakes_worlds.POLICY_VALUE,
    variants=(variants.value_by_sums, variants.value_in_float32),
)

Q_FROM_V = Exercise(
    reference=reference.q_from_v,
    points=2,
    groups=(
        Group("by hand", cases.q_by_hand, public=True),
        Group("random worlds", cases.q_random, public=True),
        Group("as many actions as observations", cases.q_square, public=True),
        Group("other random worlds", cases.q_random),
        Group("other square tables", cases.q_square),
    ),
    mutants=mistakes_worlds.Q_FROM_V,
    variants=(variants.q_by_loops, variants.q_in_torch),
)

ADVANTAGE = Exercise(
    reference=reference.advantage,
    points=1,
    groups=(
        Group("by hand", cases.advantage_by_hand, public=True),
        Group("random tables", cases.advantage_random, public=True),
        Group("as many actions as observations", cases.advantage_square, public=True),
        Group("other random tables", cases.advantage_random),
        Group("other square tables", cases.advantage_square),
    ),
    mutants=mistakes_worlds.ADVANTAGE,
    variants=(variants.advantage_by_loop, variants.advantage_in_torch),
)

ITERATIVE_POLICY_EVAL = Exercise(
    reference=reference.iterative_policy_eval,
    points=3,
    time_limit=3.0,
    groups=(
        Group("rewards of both signs", cases.sweeps_of_both_signs, public=True),
        Group("every step costs", cases.sweeps_of_costs, public=True),
        # the number of sweeps depends on their order, which is free: only the values are compared
        Group("the values of a world", cases.sweeps_in_a_world, public=True, probe=Part(0)),
        # without a discount several mistakes never end, and what comes after them is not run
        Group("stay or end, by hand", cases.stay_or_end, public=True),
        Group("nothing is discounted", cases.sweeps_undiscounted, public=True, probe=Part(0)),
        Group("other rewards of both signs", cases.sweeps_of_both_signs),
        Group("other costs", cases.sweeps_of_costs),
        Group("the values of another world", cases.sweeps_in_a_world, probe=Part(0)),
    ),
    mutants=mistakes_worlds.ITERATIVE_POLICY_EVAL,
    variants=(variants.sweeps_in_place, variants.sweeps_backwards, variants.sweeps_in_torch),
)

EPSILON_GREEDY_PROBS = Exercise(
    reference=reference.epsilon_greedy_probs,
    points=2,
    groups=(
        Group("by hand", cases.probs_by_hand, public=True),
        Group("one best arm", cases.probs_one_best, public=True),
        Group("several best arms", cases.probs_ties, public=True),
        Group("nothing is known", cases.probs_all_equal, public=True),
        Group("never, always, and a single arm", cases.probs_limits, public=True),
        Group("other values", cases.probs_one_best),
        Group("other ties", cases.probs_ties),
    ),
    mutants=mistakes_bandits.EPSILON_GREEDY_PROBS,
    variants=(variants.probs_by_loop, variants.probs_in_float32),
)

BANDIT_RUN = Exercise(
    reference=reference.bandit_run,
    points=4,
    time_limit=10.0,
    groups=(
        Group("flags of a single arm", cases.one_arm, public=True, probe=Part(1)),
        Group("greedy", cases.greedy, public=True, probe=Samples(count=300)),
        Group("greedy, constant step", cases.constant_step, public=True, probe=Samples(count=300)),
        Group("exploring", cases.exploring, public=True, probe=Samples(count=1_000)),
        Group("exploring much", cases.exploring_much, public=True, probe=Samples(count=1_000)),
        Group("close arms", cases.close_arms, public=True, probe=Samples(count=600)),
        Group("other greedy runs", cases.greedy, probe=Samples(count=150)),
        Group("another constant step", cases.constant_step, probe=Samples(count=150)),
        Group("exploring, other arms", cases.exploring, probe=Samples(count=400)),
    ),
    mutants=mistakes_bandits.BANDIT_RUN,
    variants=(variants.bandit_with_lists, variants.bandit_with_totals),
)

PREDICTED_REWARD = Numeric(
    "predicted_reward",
    points=1,
    answer=1.385,
    tolerance=0.002,
    mistakes=(
        Mistake(1.539, "That is the best arm in every step: one step in ten is still random."),
        Mistake(
            1.400,
            "The best arm is taken in 91% of the steps, but the other 9% do not pay 0: without the"
            " best, the other nine arms average less than 0.",
        ),
        Mistake(0.91, "That is how often the best arm is taken. Asked for is the mean reward."),
        Mistake(
            1.367,
            "That is what 1,000 steps reach, when estimates still err. Asked for is where it"
            " leads.",
        ),
    ),
)

SHIFTED_REWARDS = Choice(
    "shifted_rewards",
    points=1,
    answer="C",
    why={
        "A": "Only differences count, but the shift adds to a return as often as the episode has"
        " steps: returns of episodes that last longer gain more.",
        "B": "Values grow, but not all by the same amount: by how much depends on how long the"
        " episode lasts, and that is up to the policy.",
        "D": "Twice as much of everything changes no comparison. Adding is not multiplying: what"
        " lasts longer gains more.",
    },
)
