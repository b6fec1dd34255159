"""Lab 3, checks: points, groups of cases, and what they are tried with."""

import numpy as np

from autograder.spec import (
    Choice,
    Exercise,
    Gate,
    Group,
    Mistake,
    Mutates,
    Numeric,
    Outcome,
    Samples,
    Trace,
    Wrong,
)
from solutions.lab03_planning_mcts import (
    agents,
    cases,
    mutants_models,
    mutants_search,
    reference,
    variants,
)

VALUE_ITERATION = Exercise(
    reference=reference.value_iteration,
    points=3,
    time_limit=2.0,
    groups=(
        Group("one road, by hand", cases.one_road, public=True),
        Group("costs", cases.costs, public=True),
        Group("gains", cases.gains, public=True),
        Group("a rough tolerance", cases.rough, public=True),
        Group("equal actions", cases.equal_roads, public=True),
        Group("other costs", cases.costs),
        Group("other gains", cases.gains),
        Group("other tolerances", cases.rough),
    ),
    mutants=mutants_models.VALUE_ITERATION,
    variants=(variants.value_iteration_in_place, variants.value_iteration_in_torch),
)

POLICY_ITERATION = Exercise(
    reference=reference.policy_iteration,
    points=3,
    clinic="as_posted",
    time_limit=2.0,
    groups=(
        Group("two cells, by hand", cases.two_cells, public=True),
        Group("a long way to the best", cases.long_way, public=True),
        Group("ties that come late", cases.ties_that_come_late, public=True),
        Group("other processes", cases.long_way),
        Group("other late ties", cases.ties_that_come_late),
        Group("rooms full of ties", cases.rooms),
    ),
    mutants=mutants_models.POLICY_ITERATION,
    variants=(variants.policy_iteration_by_loops, variants.policy_iteration_by_sweeps),
)

FIT_MODEL = Exercise(
    reference=reference.fit_model,
    points=3,
    groups=(
        Group("four steps, by hand", cases.four_steps, public=True),
        Group("nothing ends", cases.goes_on, public=True),
        Group("episodes end", cases.comes_to_an_end, public=True),
        Group("everything was tried", cases.tried_everything, public=True),
        Group("nothing ends, other steps", cases.goes_on),
        Group("other endings", cases.comes_to_an_end),
    ),
    mutants=mutants_models.FIT_MODEL,
    variants=(variants.fit_model_by_pairs, variants.fit_model_with_histograms),
)

CERTAIN = Samples(count=300, of=Mutates(("Q", "model")))
IMAGINING = Samples(count=1_000, of=Mutates(("Q", "model")))
DYNA_Q_STEP = Exercise(
    reference=reference.dyna_q_step,
    points=3,
    probe=Mutates(("Q", "model")),
    time_limit=3.0,
    groups=(
        Group("the first step ever, by hand", cases.first_step_ever, public=True),
        Group("no planning", cases.no_planning, public=True),
        Group("one pair known", cases.one_pair_known, public=True, probe=CERTAIN),
        Group("known before", cases.known_again, public=True, probe=CERTAIN),
        Group("some pairs known", cases.some_pairs_known, public=True, probe=IMAGINING),
        Group("no planning, other steps", cases.no_planning),
        Group("one pair known, other steps", cases.one_pair_known, probe=CERTAIN),
        Group("some pairs known, other models", cases.some_pairs_known, probe=IMAGINING),
    ),
    mutants=mutants_models.DYNA_Q_STEP,
    variants=(variants.dyna_with_update, variants.dyna_with_choice),
)

UCB = Exercise(
    reference=reference.ucb,
    points=2,
    groups=(
        Group("by hand", cases.ucb_by_hand, public=True),
        Group("tried before", cases.tried, public=True),
        Group("never tried", cases.never_tried, public=True),
        Group("an only child", cases.only_child, public=True),
        Group("other numbers", cases.tried),
        Group("never tried, other numbers", cases.never_tried),
    ),
    mutants=mutants_search.UCB,
    variants=(variants.ucb_in_numpy, variants.ucb_from_the_end),
)

SEARCH_TREE = Exercise(
    reference=reference.SearchTree,
    points=4,
    probe=Trace(),
    groups=(
        Group("five simulations, by hand", cases.five_simulations, public=True),
        Group("the tree grows", cases.grows, public=True),
        Group("games end in the tree", cases.ends_in_the_tree, public=True),
        Group("the root is over", cases.is_over, public=True),
        Group("other trees", cases.grows),
        Group("other endings", cases.ends_in_the_tree),
    ),
    mutants=mutants_search.SEARCH_TREE,
    variants=(variants.TreeOfRecords, variants.TreeOfPaths),
)

PLAYING = Samples(count=2_000)
ROLLOUT = Exercise(
    reference=reference.rollout,
    points=2,
    groups=(
        Group("the game is over", cases.over_already, public=True),
        Group("one cell is left", cases.one_cell_left, public=True),
        Group("from the middle", cases.from_the_middle, public=True, probe=PLAYING),
        Group("from the middle, other boards", cases.from_the_middle, probe=PLAYING),
    ),
    mutants=mutants_search.ROLLOUT,
    variants=(variants.rollout_by_recursion, variants.rollout_by_order),
)

MCTS_MOVE = Exercise(
    reference=reference.mcts_move,
    points=4,
    groups=(
        Group("a win in one move", cases.win_in_one, public=True),
        Group("a threat to block", cases.block_in_one, public=True),
        Group("each move as often", cases.each_move_as_often, public=True),
        Group("other wins", cases.win_in_one),
        Group("other threats", cases.block_in_one),
        Group("each move as often, other boards", cases.each_move_as_often),
    ),
    mutants=mutants_search.MCTS_MOVE,
    variants=(variants.mcts_with_nodes, variants.mcts_with_recursion),
)

PUCT = Exercise(
    reference=reference.puct,
    points=2,
    groups=(
        Group("by hand", cases.puct_by_hand, public=True),
        Group("shares that sum to 1", cases.sure_prior, public=True),
        Group("illegal moves masked", cases.masked_prior, public=True),
        Group("nothing visited yet", cases.nothing_visited, public=True),
        Group("other priors", cases.sure_prior),
        Group("other masks", cases.masked_prior),
    ),
    mutants=mutants_search.PUCT,
    variants=(variants.puct_by_loop, variants.puct_in_torch),
)

FITTED_Q_ITERATION = Exercise(
    reference=reference.fitted_q_iteration,
    points=4,
    groups=(
        Group("three steps, by hand", cases.three_logged_steps, public=True),
        Group("everything was tried", cases.all_tried, public=True),
        Group("no penalty", cases.naive, public=True),
        Group("a penalty", cases.cautious, public=True),
        Group("a penalty among gains", cases.cautious_among_gains, public=True),
        Group("no penalty, other data", cases.naive),
        Group("a penalty, other data", cases.cautious),
    ),
    mutants=mutants_models.FITTED_Q_ITERATION,
    variants=(variants.fitted_by_dictionary, variants.fitted_by_matrix),
)


# ---- predictions ------------------------------------------------------------------------------

PREDICTED_SWEEPS = Numeric(
    "predicted_sweeps",
    points=1,
    answer=73,
    tolerance=0.1,
    mistakes=(
        Mistake(72, "Nearly: the change of sweep k is gamma ** (k - 1), since the first adds 1."),
        Mistake(45, "You compared the change with tol itself, not with tol (1 - gamma) / 2 gamma."),
        Mistake(66, "The threshold has a 2 below the line: tol (1 - gamma) / (2 gamma)."),
    ),
)

NEEDS_A_LEARNED_MODEL = Choice(
    "needs_a_learned_model",
    points=1,
    answer="C",
    why={
        "A": "Value iteration needs P and R, but nobody learned them: the cliff's were given.",
        "B": "UCT needs to be told what a move leads to, and the rules of the game say that."
        " Nothing in it was learned: model-based it is, with a model that was given.",
        "D": "Q-learning needs no model at all, neither a given one nor a learned one.",
    },
)


# ---- trained tables ---------------------------------------------------------------------------

MAZE_AGENTS = Outcome(
    "maze_agents",
    points=3,
    reference=agents.trained,
    artifact="maze_agents.safetensors",
    tensors={"n0": agents.SHAPE, "n5": agents.SHAPE, "n50": agents.SHAPE},
    # Limits from 200 agents a method (benchmarks/results/lab03_dyna.json), medians of twenty drawn
    # 20,000 times: each limit is six standard deviations of that median away, or more.
    gates=(
        Gate(
            "n = 0, pairs with a value",
            agents.median(agents.num_known, "n0"),
            low=45,
            high=72,
            hint="Without planning about 58 pairs have a value after 50 episodes: news travels"
            " one step back per episode. 0 means that nothing was learned, 170 that something"
            " planned.",
        ),
        Gate(
            "n = 0, what it believes the start is worth",
            agents.median(agents.belief, "n0"),
            low=1e-9,
            high=1e-3,
            hint="Without planning the start is worth about 0.00001 in the table after 50"
            " episodes. Far more than that is another agent's table.",
        ),
        Gate(
            "n = 5, what it believes the start is worth",
            agents.median(agents.belief, "n5"),
            low=0.001,
            high=0.03,
            hint="With 5 imagined steps the start is worth about 0.010 in the table after 50"
            " episodes. Are imagined pairs drawn from all that were visited?",
        ),
        Gate(
            "n = 5, greedy steps",
            agents.median(agents.greedy_steps, "n5"),
            low=13.5,
            high=18.5,
            hint="With 5 imagined steps most agents walk 14 or 16 steps to the goal.",
        ),
        Gate(
            "n = 50, what it believes the start is worth",
            agents.median(agents.belief, "n50"),
            low=0.42,
            high=0.5134,
            hint="With 50 imagined steps the start's value arrives: 0.95 ** 13 = 0.513 for who"
            " walks 14 steps, 0.463 for 16. More than 0.513 is not to be had: is an end masked?",
        ),
        Gate(
            "n = 50, greedy steps",
            agents.median(agents.greedy_steps, "n50"),
            low=13.5,
            high=18.5,
            hint="With 50 imagined steps most agents walk 14 or 16 steps to the goal.",
        ),
    ),
    wrong=(
        Wrong("untrained", lambda: {name: np.zeros(agents.SHAPE) for name in agents.trained()}),
        Wrong("three episodes", lambda: agents.trained(3)),
        Wrong("n = 0 and n = 50 swapped", agents.mixed("n50", "n5", "n0")),
        Wrong("n = 5 and n = 50 swapped", agents.mixed("n0", "n50", "n5")),
        Wrong("nobody plans", agents.mixed("n0", "n0", "n0")),
        Wrong("everybody plans 5 steps", agents.mixed("n5", "n5", "n5")),
        Wrong(
            "actions reversed",
            lambda: {k: v[..., ::-1].copy() for k, v in agents.trained().items()},
        ),
    ),
)
