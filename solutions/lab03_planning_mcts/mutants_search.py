"""Lab 3, what goes wrong in a tree search: its formulas, its parts, and the whole."""

from autograder.spec import Mutant

UCB_ROOT = "c * math.sqrt(math.log(num_parent) / num_visits)"
UCB = (
    Mutant(
        "sum_for_mean",
        old="total_value / num_visits + c",
        new="total_value + c",
        hint="You add up the results: then whoever was visited most looks best. What counts is"
        " their mean, `total_value / num_visits`.",
    ),
    Mutant(
        "log_of_child",
        old="math.log(num_parent)",
        new="math.log(num_visits)",
        hint="Your logarithm is of the child's own visits. It is of the parent's: the bonus grows"
        " while others are being tried.",
    ),
    Mutant(
        "nan_at_zero",
        old="        return math.inf",
        new="        return math.nan",
        hint="At n = 0 you return a number that is none. Comparisons with NaN are all false, so"
        " such a child may never be chosen: return infinity.",
    ),
    Mutant(
        "nothing_at_zero",
        old="        return math.inf",
        new="        return 0.0",
        hint="A child that was never tried gets 0 from you: return infinity, so that it comes"
        " first.",
    ),
    Mutant(
        "divides_by_zero",
        old="    if num_visits == 0:\n        return math.inf\n",
        new="",
        hint="You divide by zero visits: deal with `num_visits == 0` before the formula.",
    ),
    Mutant(
        "no_root",
        old=UCB_ROOT,
        new="c * (math.log(num_parent) / num_visits)",
        hint="The square root is missing: the error of a mean falls with the root of its visits.",
    ),
    Mutant(
        "root_of_the_log_alone",
        old=UCB_ROOT,
        new="c * math.sqrt(math.log(num_parent)) / num_visits",
        hint="Your root covers the logarithm alone: `num_visits` belongs under it too.",
    ),
    Mutant(
        "no_log",
        old="math.log(num_parent)",
        new="num_parent",
        hint="You forgot the logarithm: without it the bonus never fades beside the mean.",
    ),
    Mutant(
        "log_of_ten",
        old="math.log(num_parent)",
        new="math.log10(num_parent)",
        hint="That is the logarithm to base 10: use the natural one, `math.log`.",
    ),
    Mutant(
        "c_under_the_root",
        old=UCB_ROOT,
        new="math.sqrt(c * math.log(num_parent) / num_visits)",
        hint="`c` stands before the root, not under it.",
    ),
    Mutant(
        "minus",
        old="total_value / num_visits + c",
        new="total_value / num_visits - c",
        hint="You subtract the bonus: that is a lower bound, and avoids what is little known.",
    ),
    Mutant(
        "no_bonus",
        old=f" + {UCB_ROOT}",
        new="",
        hint="You return the mean alone: add the bonus for what was seldom tried.",
    ),
)


SEARCH_TREE = (
    Mutant(
        "no_sign_flip",
        old="value if moved_in == root_player else -value",
        new="value",
        hint="You add the same value everywhere. What is good for one player is bad for the"
        " other: the sign changes with every ply.",
    ),
    Mutant(
        "inverted_sign",
        old="value if moved_in == root_player else -value",
        new="-value if moved_in == root_player else value",
        hint="Your signs are exchanged: `totals` is kept in the view of the player who moved"
        " *into* the node, and into the root's children the root player moves.",
    ),
    Mutant(
        "flips_from_the_leaf",
        old="self.totals[node] += value if moved_in == root_player else -value",
        new="self.totals[node] += value\n            value = -value",
        hint="You change the sign with every ply, but start with plus at the leaf, however deep"
        " it is. The value comes in the view of the root player: what the leaf gets depends on"
        " who moved into it.",
    ),
    Mutant(
        "view_of_x",
        old="root_player = to_move(self.state[0])",
        new="root_player = 1",
        hint="You take every result for X's. It comes in the view of the root player, who is O in"
        " half of all positions.",
    ),
    Mutant(
        "skips_the_root",
        old="while node >= 0:",
        new="while node > 0:",
        hint="Your backup stops below the root. The root's visits are in its children's bonus: it"
        " counts too.",
    ),
    Mutant(
        "leaf_only",
        old="node = self.parent[node]",
        new="node = -1",
        hint="Only the last node learns: walk up to the root, one parent after the other.",
    ),
    Mutant(
        "counts_no_visits",
        old="self.visits[node] += 1",
        new="self.visits[node] = 1",
        hint="Your visits do not add up: each backup counts one more at every node on the way.",
    ),
    Mutant(
        "expands_the_end",
        old="if is_terminal(state):\n            return node",
        new="if 0 not in state:\n            return node",
        hint="You go on playing a game that is won. A terminal node is never expanded, free cells"
        " or not: return it, so that its own result is backed up.",
    ),
    Mutant(
        "largest_total",
        old="self.totals[child] / self.visits[child] + c",
        new="self.totals[child] + c",
        hint="You compare sums of results: then whoever was visited most looks best. Divide by"
        " the visits.",
    ),
    Mutant(
        "log_of_the_root",
        old="log = math.log(self.visits[node])",
        new="log = math.log(self.visits[0])",
        hint="Your logarithm is of the root's visits at every depth: it is of the node whose"
        " children are compared.",
    ),
    Mutant(
        "smallest_score",
        old="max(scores)",
        new="min(scores)",
        hint="You follow the smallest score. The totals are in the view of whoever chooses, so"
        " both players take the largest.",
    ),
    Mutant(
        "no_exploration",
        old=" + c * math.sqrt(log / self.visits[child])",
        new="",
        hint="You follow the mean alone: add the bonus, or a child that was unlucky once is never"
        " seen again.",
    ),
    Mutant(
        "one_ply",
        old="            node = children[scores.index(max(scores))]",
        new="            return children[scores.index(max(scores))]",
        hint="You stop at the root's children. Go on down while the node's moves were all tried.",
    ),
    Mutant(
        "highest_move_first",
        old="[len(self.children[node])]",
        new="[-1 - len(self.children[node])]",
        hint="You try the highest move first: here the lowest untried one is next.",
    ),
)


DRAW = "moves[rng.integers(len(moves))]"
ROLLOUT = (
    Mutant(
        "last_mover",
        old="winner(state) * player",
        new="-winner(state) * to_move(state)",
        hint="You see the result with the eyes of whoever moved last: who wins always moved last,"
        " so you return 1 for every game that is won. Use `player`.",
    ),
    Mutant(
        "next_mover",
        old="winner(state) * player",
        new="winner(state) * to_move(state)",
        hint="You see the result with the eyes of whoever would move next: who wins has just"
        " moved, so every game that is won counts -1. Use `player`.",
    ),
    Mutant(
        "view_of_x",
        old="winner(state) * player",
        new="winner(state)",
        hint="You return X's result. Asked for is the one of `player`, who may be O.",
    ),
    Mutant(
        "view_of_the_mover",
        old="    while not is_terminal(state):",
        new="    player = to_move(state)\n    while not is_terminal(state):",
        hint="You take the result in the view of who is to move in `state`: `player` says whose"
        " it is.",
    ),
    Mutant(
        "plays_on",
        old="while not is_terminal(state):",
        new="while 0 in state:",
        hint="You go on until the board is full, although somebody may have won: the game ends"
        " there.",
    ),
    Mutant(
        "one_move",
        old="while not is_terminal(state):",
        new="if not is_terminal(state):",
        hint="You play one move and look. Play to the end of the game.",
    ),
    Mutant(
        "first_move",
        old=DRAW,
        new="moves[0]",
        hint="You always play the first free cell: draw any of them, each as likely as the others.",
    ),
    Mutant(
        "never_the_last_cell",
        old=DRAW,
        new="moves[rng.integers(max(1, len(moves) - 1))]",
        hint="The last free cell never comes up: the upper bound of `rng.integers` is exclusive.",
    ),
    Mutant(
        "takes_wins",
        old=DRAW,
        new="next((m for m in moves if winner(play(state, m))), moves[rng.integers(len(moves))])",
        hint="Your players take a win when they see one. Stronger rollouts are a fine idea, but"
        " here all moves are equally likely.",
    ),
    Mutant(
        "draw_is_a_loss",
        old="float(winner(state) * player)",
        new="1.0 if winner(state) == player else -1.0",
        hint="You count a draw as lost: it is worth 0.",
    ),
    Mutant(
        "nothing_below_zero",
        old="float(winner(state) * player)",
        new="float(winner(state) == player)",
        hint="You return 0 for a lost game: it is worth -1, or a draw looks no better than a loss.",
    ),
    Mutant(
        "inverted",
        old="float(winner(state) * player)",
        new="float(-winner(state) * player)",
        hint="Your sign is upside down: 1 if `player` wins.",
    ),
)


TREES = """    visits: dict[State, int] = {(): 0}  # a node is named by the moves that lead to it
    totals: dict[State, float] = {(): 0.0}"""
MCTS_MOVE = (
    Mutant(
        "highest_mean",
        old="key=lambda move: visits[(move,)])",
        new="key=lambda move: totals[(move,)] / visits[(move,)])",
        hint="You return the move with the highest mean. A move that was tried once and was lucky"
        " has a high mean: return the one that was visited most.",
    ),
    Mutant(
        "stale_tree",
        old=TREES,
        new="    visits, totals = mcts_move.__dict__.setdefault('tree', ({(): 0}, {(): 0.0}))",
        hint="Your tree outlives the call: the next search starts with the numbers of another"
        " position. Make it anew in every call (a default argument is made only once).",
    ),
    Mutant(
        "no_sign_flip",
        old="value if depth % 2 else -value",
        new="value",
        hint="You add the same value everywhere, so the opponent in your tree helps you. Change"
        " the sign with every ply.",
    ),
    Mutant(
        "inverted_sign",
        old="value if depth % 2 else -value",
        new="-value if depth % 2 else value",
        hint="Your search plays to lose: somewhere a sign is exchanged. A node's total is in the"
        " view of the player who moved into it.",
    ),
    Mutant(
        "view_of_x",
        old="winner(board) * to_move(state)",
        new="winner(board)",
        hint="Your search is X's, whoever is to move: take results in the view of the root player.",
    ),
    Mutant(
        "plays_on_after_a_win",
        old="        while not is_terminal(board):\n            moves = legal_moves(board)",
        new="        while 0 in board:\n            moves = legal_moves(board)",
        hint="You play on after a game is won, so that a win in one move may still be lost: a"
        " terminal leaf is worth its own result, and nothing is played from it.",
    ),
    Mutant(
        "least_visited",
        old="return max(legal_moves(state)",
        new="return min(legal_moves(state)",
        hint="You return the move that was visited least: the search spends its time on what is"
        " good.",
    ),
    Mutant(
        "no_tree",
        old="            if untried:\n                break",
        new="            break",
        hint="Your tree has one level: replies are only ever random. Go on down while all moves"
        " of a node were tried.",
    ),
    Mutant(
        "ignores_c",
        old="n + c * math.sqrt(",
        new="n + 1.4 * math.sqrt(",
        hint="Your search explores as much whatever `c` is: use the argument.",
    ),
    Mutant(
        "log_of_child",
        old="math.log(visits[node])",
        new="math.log(n)",
        hint="The logarithm in your bonus is of the child's own visits: it is of the parent's.",
    ),
    Mutant(
        "index_for_move",
        old="return max(legal_moves(state), key=lambda move: visits[(move,)])",
        new="return int(np.argmax([visits[(move,)] for move in legal_moves(state)]))",
        hint="You return the place of the move in the list of legal moves, not the move.",
    ),
    Mutant(
        "one_simulation_short",
        old="range(num_simulations)",
        new="range(num_simulations - 1)",
        hint="You run one simulation too few.",
    ),
)


PUCT_SHARE = "p = prior / prior.sum()"
PUCT_ROOT = "np.sqrt(num_visits.sum()) / (1 + num_visits)"
PUCT = (
    Mutant(
        "root_of_the_child",
        old="np.sqrt(num_visits.sum())",
        new="np.sqrt(num_visits)",
        hint="You take the root of each child's own visits. It is of their sum, the visits of the"
        " parent: the bonus of one child grows while others are visited.",
    ),
    Mutant(
        "prior_as_it_comes",
        old=PUCT_SHARE,
        new="p = prior",
        hint="You use the prior as it comes. After illegal moves were set to 0 it no longer sums"
        " to 1: divide by its sum.",
    ),
    Mutant(
        "softmax",
        old=PUCT_SHARE,
        new="p = np.exp(prior) / np.exp(prior).sum()",
        hint="You take a softmax of what are probabilities already: it flattens them, and gives"
        " illegal moves a share. Divide by the sum.",
    ),
    Mutant(
        "changes_the_prior",
        old=PUCT_SHARE,
        new="prior /= prior.sum()\n    p = prior",
        hint="You divide the prior in place: whoever passed it gets it back changed. Make a new"
        " array.",
    ),
    Mutant(
        "no_one",
        old="(1 + num_visits)",
        new="num_visits",
        hint="You divide by the visits alone: at 0 visits that is no number. Add 1.",
    ),
    Mutant(
        "no_root",
        old="np.sqrt(num_visits.sum())",
        new="num_visits.sum()",
        hint="The square root is missing: without it the bonus of what was seldom tried explodes.",
    ),
    Mutant(
        "root_of_all",
        old=PUCT_ROOT,
        new="np.sqrt(num_visits.sum() / (1 + num_visits))",
        hint="Your root covers the whole fraction: it is over the sum of visits alone.",
    ),
    Mutant(
        "ucb",
        old=PUCT_ROOT,
        new="np.sqrt(np.log(np.maximum(num_visits.sum(), 1)) / (1 + num_visits))",
        hint="That is the bonus of UCB with a prior before it. PUCT's has no logarithm, and falls"
        " with 1 / (1 + n) rather than its root.",
    ),
    Mutant(
        "no_prior",
        old="c * p * ",
        new="c * ",
        hint="The prior is missing: it multiplies the bonus.",
    ),
    Mutant(
        "no_c",
        old="c * p * ",
        new="p * ",
        hint="You do not use `c`: it multiplies the bonus.",
    ),
    Mutant(
        "no_value",
        old="Q + c * p",
        new="c * p",
        hint="Your score is the bonus alone: what the search found, `Q`, comes on top.",
    ),
    Mutant(
        "prior_times_value",
        old="Q + c * p",
        new="p * Q + c * p",
        hint="You weigh the values by the prior too: it belongs to the bonus alone, so that what"
        " the search found can outvote the network.",
    ),
)
