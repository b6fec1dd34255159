"""Lab 1, mistakes about time: returns, targets, and where an episode ends."""

from autograder.spec import Mutant

STEP = "return_ = rewards[t] + gamma * return_\n        returns[t] = return_"
DISCOUNTED_RETURNS = (
    Mutant(
        "forward",
        old="reversed(range(len(rewards)))",
        new="range(len(rewards))",
        hint="You add up from the first step on, so that each number sums up the past. A return"
        " looks ahead: begin at the last step.",
    ),
    Mutant(
        "first_return_discounted",
        old="return returns",
        new="return returns[0] * gamma ** np.arange(len(returns))",
        hint="You multiply the first return by gamma^t. Each step has a return of its own, over"
        " the rewards from there on.",
    ),
    Mutant(
        "discounts_from_the_start",
        old="return returns",
        new="return returns * gamma ** np.arange(len(returns))",
        hint="You discount from the start of the episode. Discounting starts anew in every step:"
        " the reward of the step itself counts in full.",
    ),
    Mutant(
        "excludes_own_reward",
        old=STEP,
        new="returns[t] = return_\n        return_ = rewards[t] + gamma * return_",
        hint="Your numbers stand one step too early: the return of step t includes the reward of"
        " step t.",
    ),
    Mutant(
        "undiscounted",
        old="gamma * return_",
        new="return_",
        hint="You sum up the rewards. A return is discounted: each step further away costs one"
        " more factor `gamma`.",
    ),
    Mutant(
        "discounts_reward",
        old="rewards[t] + gamma * return_",
        new="gamma * (rewards[t] + return_)",
        hint="The reward of step t itself is not discounted: `gamma` multiplies what comes after"
        " it.",
    ),
    Mutant(
        "ignores_bootstrap",
        old="return_ = bootstrap",
        new="return_ = 0.0",
        hint="`bootstrap` has no effect. It stands for what would have come after the last reward:"
        " begin with it.",
    ),
    Mutant(
        "bootstrap_undiscounted",
        old="return_ = bootstrap",
        new="return_ = bootstrap / gamma",
        hint="You add `bootstrap` to the last reward as it is. It lies one step further away:"
        " discount it once.",
    ),
    Mutant(
        "bootstrap_discounted_twice",
        old="return_ = bootstrap",
        new="return_ = gamma * bootstrap",
        hint="You discount `bootstrap` once too often: seen from the last step it lies one step"
        " away.",
    ),
    Mutant(
        "bootstrap_is_the_last_return",
        old=STEP,
        new="returns[t] = return_\n        if t:\n"
        "            return_ = rewards[t - 1] + gamma * return_",
        hint="You take `bootstrap` for the return of the last step. It comes after that step, whose"
        " reward counts too.",
    ),
    Mutant(
        "bootstraps_everywhere",
        old="return_ = bootstrap",
        new="return_, rewards = 0.0, rewards + gamma * bootstrap",
        hint="You add the bootstrap value in every step. It stands for what follows the last"
        " reward, and reaches the earlier steps through the recursion.",
    ),
    Mutant(
        "backwards",
        old="return returns",
        new="return returns[::-1]",
        hint="Your numbers are right, but in reverse: what was computed last belongs to the first"
        " step.",
    ),
    Mutant(
        "total_only",
        old="return returns",
        new="return returns[0]",
        hint="You return one number; asked for is the return from every step on, as an array.",
    ),
    Mutant(
        "whole_numbers",
        old="np.zeros(len(rewards))",
        new="np.zeros_like(rewards)",
        hint="`np.zeros_like(rewards)` holds whole numbers where the rewards are whole numbers, and"
        " cuts off what stands after the point. `np.zeros(...)` holds floats.",
    ),
    Mutant(
        "overwrites_rewards",
        old="returns[t] = return_",
        new="rewards[t] = returns[t] = return_",
        hint="You write into `rewards`: who called you still needs them. Write into a new array.",
    ),
)

FUTURE = "np.where(terminated, 0.0, next_value)"
TD_TARGET = (
    Mutant(
        "masks_done",
        old="np.where(terminated,",
        new="np.where(terminated | truncated,",
        hint="A time limit ends the episode, not the task: where the clock cut it off, the future"
        " still counts. Mask on `terminated` alone.",
    ),
    Mutant(
        "no_mask",
        old=FUTURE,
        new="next_value",
        hint="A terminal observation has no future, whatever `next_value` says there: mask it.",
    ),
    Mutant(
        "inverted_mask",
        old="np.where(terminated,",
        new="np.where(~terminated,",
        hint="Your mask is upside down: the future counts unless the step terminated.",
    ),
    Mutant(
        "masks_truncated_only",
        old="np.where(terminated,",
        new="np.where(truncated,",
        hint="You mask where the time ran out. It is the other way: mask where the step"
        " terminated.",
    ),
    Mutant(
        "truncated_wins",
        old="np.where(terminated,",
        new="np.where(terminated & ~truncated,",
        hint="A step can terminate just when the time is up. Then it is terminal: `truncated`"
        " changes nothing.",
    ),
    Mutant(
        "masks_both_only",
        old="np.where(terminated,",
        new="np.where(terminated & truncated,",
        hint="You mask only where both flags are set: `terminated` alone is enough.",
    ),
    Mutant(
        "masks_reward",
        old="reward + gamma * future",
        new="(reward + gamma * future) * ~terminated",
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
        hint="The reward of the step comes now, undiscounted: `gamma` multiplies the future alone.",
    ),
    Mutant(
        "forgets_reward",
        old="reward + gamma * future",
        new="gamma * future",
        hint="Your target has no reward in it: the step's own reward comes first.",
    ),
    Mutant(
        "one_number",
        old="return target",
        new="return target.mean()",
        hint="You return one number; asked for is a target for each step, as an array.",
    ),
    Mutant(
        "masks_in_place",
        old=f"future = {FUTURE}",
        new="next_value[terminated] = 0.0\n    future = next_value",
        hint="The targets are right, but you set entries of `next_value` itself to 0: who called"
        " you still needs them. `np.where` makes a new array.",
    ),
)

END = "if terminated[step] or truncated[step]:"
CLOSED = "episodes.append(slice(start, step + 1))\n            start = step + 1"
TAIL = """    if start < len(terminated):
        episodes.append(slice(start, len(terminated)))
"""
SPLIT_EPISODES = (
    Mutant(
        "as_posted",
        old=f"{END}\n            {CLOSED}\n{TAIL}",
        new=f"if terminated[step]:\n            {CLOSED}\n",
        hint="It behaves as it was posted. Take a recording of eight steps in which nothing"
        " terminates, and follow the loop: what is in the list at the end?",
    ),
    Mutant(
        "terminated_only",
        old=END,
        new="if terminated[step]:",
        hint="One bug is left: a time limit ends an episode too. What comes after it begins with a"
        " reset, somewhere else.",
    ),
    Mutant(
        "drops_the_tail",
        old=TAIL,
        new="",
        hint="One bug is left: the steps after the last end are lost. They are an episode that is"
        " still going on.",
    ),
    Mutant(
        "truncated_only",
        old=END,
        new="if truncated[step]:",
        hint="You split where the time ran out, and not where the step terminated: both end an"
        " episode.",
    ),
    Mutant(
        "needs_both",
        old=END,
        new="if terminated[step] and truncated[step]:",
        hint="You split only where both flags are set: one of them is enough.",
    ),
    Mutant(
        "not_if_both",
        old=END,
        new="if terminated[step] != truncated[step]:",
        hint="A step can terminate just when the time is up: an end with both flags is an end.",
    ),
    Mutant(
        "boundary_in_the_next",
        old=CLOSED,
        new="episodes.append(slice(start, step))\n            start = step",
        hint="The step that ends an episode belongs to it: its reward was earned there. A slice"
        " stops before its `stop`.",
    ),
    Mutant(
        "loses_the_boundary",
        old="slice(start, step + 1)",
        new="slice(start, step)",
        hint="The last step of each episode is in no slice: a slice stops before its `stop`.",
    ),
    Mutant(
        "overlapping",
        old="start = step + 1",
        new="start = step",
        hint="The step that ends an episode is also the first of your next one: begin one later.",
    ),
    Mutant(
        "never_moves_the_start",
        old="\n            start = step + 1",
        new="",
        hint="All your episodes begin at 0: after an end, the next one begins one step later.",
    ),
    Mutant(
        "empty_tail",
        old="if start < len(terminated):",
        new="if True:",
        hint="Where the recording stops with an end, you add an episode without steps.",
    ),
    Mutant(
        "open_tail",
        old="slice(start, len(terminated))",
        new="slice(start, None)",
        hint="The last slice has no end: what it selects depends on what you slice. Write the"
        " number of steps.",
    ),
)
