"""Lab 1, mistakes about bandits: how to explore, and how to average."""

from autograder.spec import Mutant

PROBS = "epsilon / q.size + (1.0 - epsilon) * best / best.sum()"
EPSILON_GREEDY_PROBS = (
    Mutant(
        "greedy_weight",
        old=PROBS,
        new="np.where(best, (1.0 - epsilon) / best.sum(), epsilon / q.size)",
        hint="Your probabilities sum to less than 1: exploring may pick the best arm too, so it has"
        " 1 - epsilon + epsilon / k.",
    ),
    Mutant(
        "explores_the_others",
        old=PROBS,
        new="np.where(best, (1.0 - epsilon) / best.sum(), epsilon / (q.size - best.sum()))",
        hint="You share epsilon among the other arms only. Exploring draws from all, so the best"
        " one has 1 - epsilon + epsilon / k.",
    ),
    Mutant(
        "first_of_ties",
        old="best = q == q.max()",
        new="best = np.arange(q.size) == q.argmax()",
        hint="`argmax` gives everything to the first of equal arms. At the start all are equal:"
        " let the best ones share.",
    ),
    Mutant(
        "last_of_ties",
        old="best = q == q.max()",
        new="best = np.arange(q.size) == np.flatnonzero(q == q.max())[-1]",
        hint="Of equal arms the last gets everything: let the best ones share.",
    ),
    Mutant(
        "ties_not_shared",
        old=" / best.sum()",
        new="",
        hint="Each of several best arms gets the whole 1 - epsilon, and your probabilities sum to"
        " more than 1: divide it by their number.",
    ),
    Mutant(
        "epsilon_swapped",
        old=PROBS,
        new="(1.0 - epsilon) / q.size + epsilon * best / best.sum()",
        hint="You exchanged epsilon and 1 - epsilon: epsilon is how often the agent explores.",
    ),
    Mutant(
        "never_explores",
        old=PROBS,
        new="1.0 * best / best.sum()",
        hint="Your policy never explores: every arm has at least epsilon / k.",
    ),
    Mutant(
        "uniform",
        old=PROBS,
        new="np.full(q.size, 1.0 / q.size)",
        hint="Your policy does not look at `q`: the best arm has 1 - epsilon more than the others.",
    ),
    Mutant(
        "takes_the_worst",
        old="q.max()",
        new="q.min()",
        hint="You prefer the lowest value. `q` holds what an arm is worth: more is better.",
    ),
    Mutant(
        "epsilon_each",
        old="epsilon / q.size +",
        new="epsilon +",
        hint="You give every arm the whole epsilon, and your probabilities sum to more than 1:"
        " divide it by their number.",
    ),
    Mutant(
        "softmax",
        old=PROBS,
        new="np.exp(q - q.max()) / np.exp(q - q.max()).sum()",
        hint="That is a softmax, another way to explore: here all arms but the best are equally"
        " likely.",
    ),
    Mutant(
        "an_arm",
        old="return probs",
        new="return int(q.argmax())",
        hint="You return an arm. Asked for is the probability of each, an array.",
    ),
)

GREEDY = "greedy[rng.integers(greedy.size)]"
FRACTION = "1 / counts[action] if step_size is None else step_size"
BANDIT_RUN = (
    Mutant(
        "divides_before_counting",
        old=f"counts[action] += 1\n        fraction = {FRACTION}",
        new=f"fraction = {FRACTION}\n        counts[action] += 1",
        hint="You divide by the count before you raise it: the first time an arm is taken, that is"
        " a division by 0.",
    ),
    Mutant(
        "constant_when_none",
        old=FRACTION,
        new="0.1 if step_size is None else step_size",
        hint="With `step_size=None` you use a constant step. It asks for an average: the n-th"
        " reward of an arm moves its estimate by 1/n of the error.",
    ),
    Mutant(
        "ignores_step_size",
        old=FRACTION,
        new="1 / counts[action]",
        hint="You average always. Where `step_size` is a number, that is the fraction of the error"
        " to learn.",
    ),
    Mutant(
        "counts_all_steps",
        old="1 / counts[action]",
        new="1 / (t + 1)",
        hint="You divide by the number of all steps so far: count how often this arm was taken.",
    ),
    Mutant(
        "optimal_by_estimates",
        old="action == best_arm",
        new="action == estimates.argmax()",
        hint="You compare with the arm that looks best to the agent. Optimal is the arm that is"
        " best, the argmax of `q_star`.",
    ),
    Mutant(
        "knows_the_truth",
        old="estimates == estimates.max()",
        new="q_star == q_star.max()",
        hint="Your agent looks at `q_star` to choose. It may not know that: it has its estimates.",
    ),
    Mutant(
        "first_of_ties",
        old=GREEDY,
        new="greedy[0]",
        hint="Of equal estimates you always take the first. At the start all are equal: draw among"
        " them.",
    ),
    Mutant(
        "takes_the_worst",
        old="estimates == estimates.max()",
        new="estimates == estimates.min()",
        hint="You prefer the lowest estimate: more is better.",
    ),
    Mutant(
        "inverted_test",
        old="rng.random() < epsilon",
        new="rng.random() >= epsilon",
        hint="You explore with probability 1 - epsilon: turn the comparison round.",
    ),
    Mutant(
        "never_explores",
        old="rng.random() < epsilon",
        new="epsilon > 1",
        hint="You never explore: with probability epsilon the arm is drawn from all.",
    ),
    Mutant(
        "always_explores",
        old="rng.random() < epsilon",
        new="True",
        hint="Your agent always acts at random. Is the test the right one? And does each reward"
        " change the estimate of its own arm alone? If all move, all stay equal.",
    ),
    Mutant(
        "explores_the_others",
        old="action = rng.integers(q_star.size)",
        new="others = np.flatnonzero(estimates < estimates.max())\n"
        "            action = rng.choice(others if others.size else q_star.size)",
        hint="Exploring means any arm, the best one too.",
    ),
    Mutant(
        "adds_reward",
        old="fraction * (reward - estimates[action])",
        new="fraction * reward",
        hint="You add the reward itself. What is added is a fraction of the error, reward minus"
        " estimate; otherwise estimates grow with every visit.",
    ),
    Mutant(
        "forgets_the_past",
        old="estimates[action] += fraction * (reward - estimates[action])",
        new="estimates[action] = reward",
        hint="You replace the estimate by the last reward. Move towards it, by a fraction.",
    ),
    Mutant(
        "no_noise",
        old="rng.normal(q_star[action])",
        new="q_star[action]",
        hint="Your rewards have no noise: draw them from a normal distribution around"
        " `q_star[action]`, with standard deviation 1.",
    ),
    Mutant(
        "numbers_for_flags",
        old="return rewards, optimal",
        new="return rewards, optimal.astype(float)",
        hint="Whether an arm was optimal is true or false: `np.zeros(num_steps, dtype=bool)`.",
    ),
    Mutant(
        "rewards_only",
        old="return rewards, optimal",
        new="return rewards",
        hint="You return the rewards alone; asked for are two arrays: the second says where the"
        " best arm was taken.",
    ),
)
