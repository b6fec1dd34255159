"""Lab 5, checks: points, groups of cases, and the mistakes that they can tell apart."""

from autograder.spec import (
    Choice,
    Exercise,
    Gate,
    Gradient,
    Group,
    Mistake,
    Mutant,
    Numeric,
    Outcome,
    Wrong,
)
from solutions.lab05_policy_gradients import agents, cases, reference, variants

CATEGORICAL_LOGP = Exercise(
    reference=reference.categorical_logp,
    points=2,
    probe=Gradient(("logits",)),
    groups=(
        Group("by hand", cases.logp_by_hand, public=True),
        Group("a batch", cases.logp_batch, public=True),
        Group("large logits", cases.logp_large, public=True),
        Group("other batches", cases.logp_batch),
        Group("other large logits", cases.logp_large),
    ),
    mutants=(
        Mutant(
            "log_of_softmax",
            old="torch.log_softmax(logits, dim=-1)",
            new="torch.log(torch.softmax(logits, dim=-1))",
            hint="The softmax of a logit far below the others is 0, and its logarithm minus"
            " infinity. `torch.log_softmax` never leaves the logarithm.",
        ),
        Mutant(
            "clamped",
            old="torch.log_softmax(logits, dim=-1)",
            new="torch.log(torch.softmax(logits, dim=-1).clamp_min(1e-8))",
            hint="Clamping a probability keeps its logarithm finite and makes it wrong, and where"
            " it was clamped no gradient is left. `torch.log_softmax` needs no clamp.",
        ),
        Mutant(
            "not_normalised",
            old="torch.log_softmax(logits, dim=-1)",
            new="logits",
            hint="A logit is no log-probability yet: subtract the log of the sum of exponentials"
            " (`log_softmax`).",
        ),
        Mutant(
            "over_the_batch",
            old="log_softmax(logits, dim=-1)",
            new="log_softmax(logits, dim=0)",
            hint="You normalise over the batch: probabilities sum to 1 over the actions, the last"
            " axis.",
        ),
        Mutant(
            "probability",
            old="torch.log_softmax(logits, dim=-1)",
            new="torch.softmax(logits, dim=-1)",
            hint="That is the probability; its logarithm was asked for.",
        ),
        Mutant(
            "negative",
            old="return logp",
            new="return -logp",
            hint="That is the negative log-likelihood, a loss: a log-probability is never above 0.",
        ),
        Mutant(
            "likeliest",
            old="logp.gather(-1, action.unsqueeze(-1)).squeeze(-1)",
            new="logp.max(dim=-1).values",
            hint="You take the likeliest action of each row; the one that was taken is `action`.",
        ),
        Mutant(
            "keeps_a_column",
            old=".squeeze(-1)",
            new="",
            hint="Your result has shape (batch, 1). Minus or times something of shape (batch,) it"
            " would grow to (batch, batch) without an error: drop the last axis.",
        ),
        Mutant(
            "sums",
            old=".squeeze(-1)",
            new=".sum()",
            hint="One number per row: the sum over the batch comes later, in the loss.",
        ),
        Mutant(
            "detached",
            old="torch.log_softmax(logits, dim=-1)",
            new="torch.log_softmax(logits, dim=-1).detach()",
            hint="No gradient reaches the logits: without it there is nothing to learn from.",
        ),
    ),
    variants=(variants.logp_by_logsumexp, variants.logp_by_distribution),
)

CATEGORICAL_ENTROPY = Exercise(
    reference=reference.categorical_entropy,
    points=2,
    probe=Gradient(("logits",)),
    groups=(
        Group("by hand", cases.entropy_by_hand, public=True),
        Group("a batch", cases.entropy_batch, public=True),
        Group("large logits", cases.entropy_large, public=True),
        Group("other batches", cases.entropy_batch),
        Group("other large logits", cases.entropy_large),
    ),
    mutants=(
        Mutant(
            "sign",
            old="return -(",
            new="return (",
            hint="The sign is wrong: an entropy is never below 0.",
        ),
        Mutant(
            "mean_over_actions",
            old=".sum(dim=-1)",
            new=".mean(dim=-1)",
            hint="You average over the actions as if they were equally likely: the probabilities"
            " are the weights already, so it is a sum.",
        ),
        Mutant(
            "over_the_batch",
            old=".sum(dim=-1)",
            new=".sum(dim=0)",
            hint="You sum over the batch: one entropy per row, summed over the actions.",
        ),
        Mutant(
            "one_number",
            old=".sum(dim=-1)",
            new=".sum(dim=-1).mean()",
            hint="One entropy per row: the mean over the batch comes later, in the loss.",
        ),
        Mutant(
            "no_weights",
            old="logp.exp() * logp",
            new="logp",
            hint="Each log-probability counts as often as its action happens: weigh it by p.",
        ),
        Mutant(
            "weights_detached",
            old="logp.exp() * logp",
            new="logp.exp().detach() * logp",
            hint="The number is right, its gradient is not: the weights p depend on the logits"
            " too.",
        ),
        Mutant(
            "bits",
            old="-(logp.exp() * logp)",
            new="-(logp.exp() * logp / 0.6931471805599453)",
            hint="You measure in bits; the lab, like every library, uses natural logarithms.",
        ),
        Mutant(
            "log_of_softmax",
            old="torch.log_softmax(logits, dim=-1)",
            new="torch.log(torch.softmax(logits, dim=-1))",
            hint="0 times the logarithm of 0 is not a number, although it should be 0:"
            " `torch.log_softmax` never leaves the logarithm.",
        ),
        Mutant(
            "hidden_nan",
            old="logp = torch.log_softmax(logits, dim=-1)\n    return -(logp.exp() * logp)",
            new="p = torch.softmax(logits, dim=-1)\n    return -torch.nan_to_num(p * p.log())",
            hint="Replacing the nan by 0 mends the number and not its gradient, which is still nan:"
            " `torch.log_softmax` never makes one.",
        ),
        Mutant(
            "not_normalised",
            old="torch.log_softmax(logits, dim=-1)",
            new="logits",
            hint="Logits are no log-probabilities yet: normalise them first (`log_softmax`).",
        ),
    ),
    variants=(variants.entropy_by_logsumexp, variants.entropy_by_distribution),
)

SCORE_GRAD_EXACT = Exercise(
    reference=reference.score_grad_exact,
    points=3,
    groups=(
        Group("by hand", cases.bandit_by_hand, public=True),
        Group("bandits", cases.bandits, public=True),
        Group("other bandits", cases.bandits),
    ),
    mutants=(
        Mutant(
            "no_probability",
            old="(p * reward) @ grad_logp",
            new="reward @ grad_logp",
            hint="You add up the actions as if each happened once: an expectation weighs them by"
            " p.",
        ),
        Mutant(
            "uniform",
            old="(p * reward) @ grad_logp",
            new="(reward / len(p)) @ grad_logp",
            hint="You weigh the actions equally; they happen with the probabilities of the policy.",
        ),
        Mutant(
            "gradient_of_p",
            old="(p * reward) @ grad_logp",
            new="(p * reward) @ (p[:, None] * grad_logp)",
            hint="You multiplied by p twice: `p_a grad log p_a` is `grad p_a` already.",
        ),
        Mutant(
            "forgets_the_others",
            old="torch.eye(len(p), dtype=p.dtype) - p",
            new="torch.eye(len(p), dtype=p.dtype) * (1.0 - p)",
            hint="Raising one preference lowers every other action's probability: row a of the"
            " gradient is 1 for a itself, minus p everywhere.",
        ),
        Mutant(
            "no_softmax",
            old="torch.eye(len(p), dtype=p.dtype) - p",
            new="torch.eye(len(p), dtype=p.dtype)",
            hint="You left out the gradient of the normaliser: `log p_a = theta_a - log sum exp"
            " theta`, and its gradient has a second part, minus p.",
        ),
        Mutant(
            "sign",
            old="return (p * reward)",
            new="return -(p * reward)",
            hint="This points downhill: it is the gradient of the expected reward, not of a loss.",
        ),
        Mutant(
            "spoiled_baseline",
            old="(p * reward) @ grad_logp",
            new="(p * (reward - reward * p)) @ grad_logp",
            hint="A baseline may depend on anything but the action: yours differs from action to"
            " action, and biases the gradient.",
        ),
        Mutant(
            "mean_of_the_rewards",
            old="(p * reward) @ grad_logp",
            new="p * (reward - reward.mean())",
            hint="`p_b (r_b - J)` is the closed form, but J is the expected reward,"
            " `sum_a p_a r_a`, and not the plain mean of the rewards.",
        ),
        Mutant(
            "columns_for_rows",
            old="torch.eye(len(p), dtype=p.dtype) - p",
            new="torch.eye(len(p), dtype=p.dtype) - p[:, None]",
            hint="In the row of action a you subtract p_a everywhere: element b of the score of a"
            " is `1[a = b] - p_b`.",
        ),
    ),
    variants=(variants.score_grad_by_autograd, variants.score_grad_with_baseline),
)

MASK = "if terminated[t]:\n            following = torch.zeros_like(following)"
CUT = "if truncated[t]:\n            following = next_value[t]"
REWARD_TO_GO = Exercise(
    reference=reference.reward_to_go,
    points=3,
    groups=(
        Group("by hand", cases.returns_by_hand, public=True),
        Group("no end in sight", cases.never_ends, public=True),
        Group("an episode terminates", cases.terminates, public=True),
        Group("a time limit strikes", cases.time_is_up, public=True),
        Group("other rollouts", cases.never_ends),
        Group("other endings", cases.terminates),
        Group("other time limits", cases.time_is_up),
        Group("both kinds of ending", cases.both_endings),
    ),
    mutants=(
        Mutant(
            "whole_episode",
            old="return returns",
            new="return returns[0].expand(len(reward)).clone()",
            hint="Every step gets the first return: what happened before an action cannot be its"
            " doing, so each step gets what comes from there on.",
        ),
        Mutant(
            "crosses_every_boundary",
            old=f"{CUT}\n        {MASK}\n",
            new="pass\n",
            hint="Rewards of the next episode flow back into this one: stop at every ending.",
        ),
        Mutant(
            "crosses_time_limits",
            old=CUT,
            new="pass",
            hint="After a time limit the next row is another episode: what would have followed is"
            " worth `next_value`, not the rewards of the next episode.",
        ),
        Mutant(
            "zero_at_time_limits",
            old="following = next_value[t]",
            new="following = torch.zeros_like(following)",
            hint="You treat a time limit as an end of the world: the pole was still up, and what"
            " would have followed is worth `next_value`.",
        ),
        Mutant(
            "adds_the_next_episode",
            old="following = next_value[t]",
            new="following = following + next_value[t]",
            hint="At a time limit you take the value *and* what the next row earned: that row is"
            " another episode.",
        ),
        Mutant(
            "undiscounted_value",
            old="following = reward[t] + gamma * following",
            new="following = reward[t] + (1.0 if truncated[t] and not terminated[t] else gamma)"
            " * following",
            hint="The value at a time limit is that of the next observation: it is discounted like"
            " everything else that comes one step later.",
        ),
        Mutant(
            "value_at_terminal",
            old=MASK,
            new="if terminated[t]:\n            following = next_value[t]",
            hint="After a terminal observation nothing comes, whatever the critic says about it.",
        ),
        Mutant(
            "time_limit_wins",
            old=f"{CUT}\n        {MASK}",
            new=f"{MASK}\n        {CUT}",
            hint="Where a step terminated *and* met the time limit, it terminated: nothing"
            " follows.",
        ),
        Mutant(
            "nothing_after_the_rollout",
            old="following = next_value[-1]",
            new="following = torch.zeros_like(next_value[-1])",
            hint="The rollout ends, the episode doesn't: begin with the last `next_value`.",
        ),
        Mutant(
            "last_row_always_goes_on",
            old=MASK,
            new="if terminated[t] and t < len(reward) - 1:\n"
            "            following = torch.zeros_like(following)",
            hint="The last row of a rollout can be terminal as well: then nothing follows.",
        ),
        Mutant(
            "shifted",
            old="following = next_value[t]",
            new="following = next_value[t - 1]",
            hint="You read `next_value` one row too early: row t is where step t led to.",
        ),
        Mutant(
            "no_gamma",
            old="gamma * following",
            new="following",
            hint="Later rewards are discounted: once more with every step.",
        ),
        Mutant(
            "discounts_now",
            old="reward[t] + gamma * following",
            new="gamma * (reward[t] + following)",
            hint="The reward of the step itself is not discounted.",
        ),
        Mutant(
            "excludes_now",
            old="following = reward[t] + gamma * following\n        returns[t] = following",
            new="returns[t] = following\n        following = reward[t] + gamma * following",
            hint="Your returns begin one step late: the reward of step t is part of G_t.",
        ),
    ),
    variants=(
        variants.returns_by_episode,
        variants.returns_with_float_masks,
        variants.returns_by_matrix,
    ),
)

REINFORCE_LOSS = Exercise(
    reference=reference.reinforce_loss,
    points=2,
    probe=Gradient(("logp", "advantage")),
    groups=(
        Group("by hand", cases.loss_by_hand, public=True),
        Group("batches", cases.losses, public=True),
        Group("other batches", cases.losses),
    ),
    mutants=(
        Mutant(
            "sign",
            old="return -(",
            new="return (",
            hint="An optimiser goes downhill: the loss is minus what you want more of.",
        ),
        Mutant(
            "not_detached",
            old="advantage.detach()",
            new="advantage",
            hint="A gradient flows into the advantage, and from there into the critic: it would"
            " learn to flatter the policy. Detach it.",
        ),
        Mutant(
            "sums",
            old=".mean()",
            new=".sum()",
            hint="A sum grows with the batch, and so would every step: take the mean.",
        ),
        Mutant(
            "probabilities",
            old="logp * advantage",
            new="logp.exp() * advantage",
            hint="The score is the gradient of log p, not of p: p counts by being sampled.",
        ),
        Mutant(
            "adds",
            old="logp * advantage",
            new="logp + advantage",
            hint="The advantage says how much each log-probability should move: multiply.",
        ),
        Mutant(
            "detaches_the_policy",
            old="logp * advantage.detach()",
            new="logp.detach() * advantage",
            hint="You detached the wrong factor: the policy gets the gradient, the advantage none.",
        ),
        Mutant(
            "absolute",
            old="advantage.detach()",
            new="advantage.detach().abs()",
            hint="What went worse than expected must become rarer: keep the advantage's sign.",
        ),
        Mutant(
            "centred",
            old="advantage.detach()",
            new="(advantage - advantage.mean()).detach()",
            hint="You subtract the batch's mean here: a step of its own, and not this function's.",
        ),
        Mutant(
            "normalised",
            old="advantage.detach()",
            new="((advantage - advantage.mean()) / (advantage.std() + 1e-8)).detach()",
            hint="You normalise here: a step of its own, and not this function's.",
        ),
        Mutant(
            "no_gradient_at_all",
            old="logp * advantage.detach()",
            new="logp.detach() * advantage.detach()",
            hint="No gradient is left: only the advantage is a number, the log-probabilities have"
            " to lead back to the policy.",
        ),
    ),
    variants=(variants.loss_by_dot_product, variants.loss_without_grad),
)

VALUE_LOSS = Exercise(
    reference=reference.value_loss,
    points=2,
    probe=Gradient(("value", "returns")),
    groups=(
        Group("by hand", cases.critic_by_hand, public=True),
        Group("batches", cases.critics, public=True),
        Group("other batches", cases.critics),
    ),
    mutants=(
        Mutant(
            "broadcasts",
            old="value.squeeze(-1) - returns",
            new="value - returns",
            hint="(batch, 1) minus (batch,) is (batch, batch): every prediction is compared with"
            " every return, without an error. Drop the last axis first.",
        ),
        Mutant(
            "moves_the_target",
            old="returns.detach()",
            new="returns",
            hint="The returns are what the critic should say: no gradient goes into them.",
        ),
        Mutant(
            "sums",
            old=".mean()",
            new=".sum()",
            hint="A sum grows with the batch: take the mean.",
        ),
        Mutant(
            "half",
            old="(error * error).mean()",
            new="0.5 * (error * error).mean()",
            hint="Half the error squared is common too, and then `vf_coef` means something else:"
            " here it is the mean squared error itself.",
        ),
        Mutant(
            "absolute",
            old="error * error",
            new="error.abs()",
            hint="That is the absolute error, whose best answer is the median: square it.",
        ),
        Mutant(
            "huber",
            old="(error * error).mean()",
            new="torch.nn.functional.huber_loss(error, torch.zeros_like(error))",
            hint="That is the Huber loss, of which large errors are not squared: here all are.",
        ),
        Mutant(
            "detaches_the_critic",
            old="value.squeeze(-1) - returns.detach()",
            new="value.squeeze(-1).detach() - returns",
            hint="You detached the critic instead of its target: then it learns nothing.",
        ),
    ),
    variants=(variants.value_loss_in_torch, variants.value_loss_by_column),
)

DELTA = "delta = reward + gamma * next_value * ~terminated - value"
GAE = Exercise(
    reference=reference.gae,
    points=5,
    groups=(
        Group("by hand", cases.gae_by_hand, public=True),
        Group("no end in sight", cases.gae_goes_on, public=True),
        Group("episodes terminate", cases.gae_terminates, public=True),
        Group("time limits strike", cases.gae_time_is_up, public=True),
        Group("other rollouts", cases.gae_goes_on),
        Group("other endings", cases.gae_terminates),
        Group("other time limits", cases.gae_time_is_up),
        Group("both kinds of ending", cases.gae_both),
        Group("lambda 0 and 1", cases.gae_extremes),
    ),
    mutants=(
        Mutant(
            "done_in_delta",
            old="next_value * ~terminated - value",
            new="next_value * ~(terminated | truncated) - value",
            hint="A time limit ends the episode, not the value of where it struck: the error"
            " `delta` is masked by `terminated` alone.",
        ),
        Mutant(
            "time_limit_wins",
            old="next_value * ~terminated - value",
            new="next_value * (~terminated | truncated) - value",
            hint="Where a step terminated *and* met the time limit, it terminated: its next"
            " observation is worth 0.",
        ),
        Mutant(
            "last_row_ends",
            old=DELTA,
            new=DELTA + "\n    delta[-1] = reward[-1] - value[-1]",
            hint="The rollout ends, the episode need not: the last row has a `next_value` too.",
        ),
        Mutant(
            "no_mask_in_delta",
            old=" * ~terminated - value",
            new=" - value",
            hint="A terminal observation is worth 0, whatever the critic says about it.",
        ),
        Mutant(
            "terminated_in_recursion",
            old="goes_on = ~(terminated | truncated)",
            new="goes_on = ~terminated",
            hint="Advantages of the next episode leak back across a time limit: the sum stops at"
            " every ending, `terminated | truncated`.",
        ),
        Mutant(
            "truncated_in_recursion",
            old="goes_on = ~(terminated | truncated)",
            new="goes_on = ~truncated",
            hint="Advantages of the next episode leak back across a terminal step: the sum stops"
            " at every ending, `terminated | truncated`.",
        ),
        Mutant(
            "no_stop",
            old=" * later * goes_on[t]",
            new=" * later",
            hint="Advantages of the next episode leak back into this one: the sum stops at every"
            " ending.",
        ),
        Mutant(
            "next_done_shift",
            old="later * goes_on[t]",
            new="later * goes_on[min(t + 1, len(delta) - 1)]",
            hint="Your mask is one step late: `goes_on[t]` says whether step t + 1 belongs to the"
            " same episode.",
        ),
        Mutant(
            "value_of_the_next_row",
            old=DELTA,
            new="following = torch.cat([value[1:], next_value[-1:]])\n    "
            + DELTA.replace("next_value", "following"),
            hint="`value[t + 1]` is the value of the next row, which after an ending belongs to"
            " the next episode. Where step t led to is `next_value[t]`.",
        ),
        Mutant(
            "no_lambda",
            old="gamma * gae_lambda * later",
            new="gamma * later",
            hint="Later errors count `gamma * lambda` each step, not `gamma`.",
        ),
        Mutant(
            "no_gamma_in_the_sum",
            old="gamma * gae_lambda * later",
            new="gae_lambda * later",
            hint="Later errors count `gamma * lambda` each step, not `lambda`.",
        ),
        Mutant(
            "no_gamma_in_delta",
            old="reward + gamma * next_value",
            new="reward + next_value",
            hint="What comes next is discounted in `delta` too.",
        ),
        Mutant(
            "lambda_mixes",
            old="later = delta[t] +",
            new="later = (1 - gae_lambda) * delta[t] +",
            hint="The factor 1 - lambda belongs to the average of n-step advantages; once that"
            " average is written as a sum of errors it has cancelled.",
        ),
        Mutant(
            "forward",
            old="range(len(delta) - 1, -1, -1)",
            new="range(len(delta))",
            hint="You go forward in time: A_t needs A_{t+1}, so begin with the last step.",
        ),
        Mutant(
            "targets_are_advantages",
            old="return advantage, advantage + value",
            new="return advantage, advantage",
            hint="The critic's target is the advantage plus what it was measured against, `value`.",
        ),
        Mutant(
            "targets_of_one_step",
            old="return advantage, advantage + value",
            new="return advantage, delta + value",
            hint="Your targets look one step ahead: they are the advantages, lambda and all, plus"
            " `value`.",
        ),
        Mutant(
            "swapped",
            old="return advantage, advantage + value",
            new="return advantage + value, advantage",
            hint="The other way round: first the advantages, then the targets.",
        ),
        Mutant(
            "normalises",
            old="return advantage, advantage + value",
            new="return (advantage - advantage.mean()) / (advantage.std() + 1e-8), "
            "advantage + value",
            hint="You normalise here: a step of its own, and not this function's.",
        ),
        Mutant(
            "targets_on_next_value",
            old="return advantage, advantage + value",
            new="return advantage, advantage + next_value",
            hint="The critic's target for s_t is A_t plus V(s_t): you added the value of s_{t+1}.",
        ),
        Mutant(
            "bootstraps_the_sum",
            old="later = torch.zeros_like(delta[0])",
            new="later = next_value[-1]",
            hint="Behind the last row there is no error to add: the recursion starts at 0, and the"
            " last `next_value` is in the last `delta` already.",
        ),
    ),
    variants=(variants.gae_by_sums, variants.gae_with_float_masks, variants.gae_in_numpy),
)

NORMALISE = Exercise(
    reference=reference.normalise,
    points=2,
    groups=(
        Group("by hand", cases.normalise_by_hand, public=True),
        Group("all of them", cases.normalise_all, public=True),
        Group("some do not count", cases.normalise_masked, public=True),
        Group("all the same", cases.normalise_equal, public=True),
        Group("others", cases.normalise_all),
        Group("others do not count", cases.normalise_masked),
    ),
    mutants=(
        Mutant(
            "per_row",
            old="(advantage - counted.mean()) / (counted.std() + 1e-8)",
            new="(advantage - counted.mean()) / (counted.std(dim=0) + 1e-8)",
            hint="One mean and one deviation for all entries, not one for each column.",
        ),
        Mutant(
            "no_epsilon",
            old=" + 1e-8",
            new="",
            hint="Where all advantages are equal their deviation is 0, and 0 / 0 is not a number.",
        ),
        Mutant(
            "only_centred",
            old=" / (counted.std() + 1e-8)",
            new="",
            hint="The mean is gone, the scale is not: divide by the standard deviation.",
        ),
        Mutant(
            "only_scaled",
            old="(advantage - counted.mean())",
            new="advantage",
            hint="The scale is right, the mean is not 0: subtract it.",
        ),
        Mutant(
            "variance",
            old="counted.std()",
            new="counted.var()",
            hint="You divide by the variance: its square root is the deviation.",
        ),
        Mutant(
            "population",
            old="counted.std()",
            new="counted.std(correction=0)",
            hint="Divide the sum of squares by n - 1, as `torch.std` does of itself.",
        ),
        Mutant(
            "mask_ignored",
            old="advantage if mask is None else advantage[mask]",
            new="advantage",
            hint="Entries that do not count still have a say in mean and deviation.",
        ),
        Mutant(
            "no_mask_at_all",
            old="advantage if mask is None else advantage[mask]",
            new="advantage\n    mask = None",
            hint="You never look at `mask`: what does not count has no say, and becomes 0.",
        ),
        Mutant(
            "deviation_of_all",
            old="counted.std()",
            new="advantage.std()",
            hint="The mean leaves out what does not count; the deviation has to as well.",
        ),
        Mutant(
            "flat",
            old="scaled if mask is None else scaled * mask",
            new="scaled if mask is None else scaled[mask]",
            hint="You return only the entries that count: keep the shape, with 0 in the others.",
        ),
        Mutant(
            "mask_as_zeros",
            old="advantage if mask is None else advantage[mask]",
            new="advantage if mask is None else advantage * mask",
            hint="You set to 0 what does not count, and a 0 counts in the mean: select, don't"
            " multiply.",
        ),
        Mutant(
            "leaves_the_others",
            old="scaled if mask is None else scaled * mask",
            new="scaled",
            hint="Entries that do not count must become 0.",
        ),
    ),
    variants=(variants.normalise_in_numpy, variants.normalise_with_nan),
)

ADD = "advantage[start] += discount * reward[t]\n            discount *= gamma"
LOOK = "if terminated[t] or truncated[t]:\n                break"
BOOTSTRAP = "if not terminated[t]:\n            advantage[start] += discount * next_value[t]"
N_STEP_ADVANTAGE = Exercise(
    reference=reference.n_step_advantage,
    points=2,
    clinic="as_found",
    groups=(
        Group("by hand", cases.n_steps_by_hand, public=True),
        Group("no end in sight", cases.n_steps_go_on, public=True),
        Group("an episode terminates", cases.n_steps_terminate, public=True),
        Group("a time limit strikes", cases.n_steps_time_is_up, public=True),
        Group("more steps than there are", cases.more_steps_than_there_are, public=True),
        Group("other rollouts", cases.n_steps_go_on),
        Group("other endings", cases.n_steps_terminate),
        Group("other time limits", cases.n_steps_time_is_up),
    ),
    mutants=(
        Mutant(
            "as_found",
            old=f"            {LOOK}\n        {BOOTSTRAP}",
            new="        if not (terminated[t] or truncated[t]):\n"
            "            advantage[start] += discount * next_value[t]",
            hint="It behaves as it was found. Take n = 3 and an episode that ends after one step:"
            " which rewards are added, and what is added where the clock ran out?",
        ),
        Mutant(
            "crosses_endings",
            old=f"            {LOOK}\n",
            new="",
            hint="One bug is left: rewards of the next episode are added. Stop at an ending.",
        ),
        Mutant(
            "zero_at_time_limits",
            old="if not terminated[t]:\n            advantage",
            new="if not (terminated[t] or truncated[t]):\n            advantage",
            hint="One bug is left: where a time limit struck, what would have followed is worth"
            " `next_value`.",
        ),
        Mutant(
            "value_at_terminal",
            old=BOOTSTRAP,
            new="advantage[start] += discount * next_value[t]",
            hint="Your repair goes too far: after a terminal observation nothing comes.",
        ),
        Mutant(
            "crosses_time_limits",
            old="if terminated[t] or truncated[t]:",
            new="if terminated[t]:",
            hint="After a time limit the next row is another episode: stop there as well.",
        ),
        Mutant(
            "gamma_power",
            old="advantage[start] += discount * next_value[t]",
            new="advantage[start] += discount * gamma * next_value[t]",
            hint="After m rewards the value counts gamma^m; yours has one power too many.",
        ),
        Mutant(
            "gamma_to_the_n",
            old="advantage[start] += discount * next_value[t]",
            new="advantage[start] += gamma**n * next_value[t]",
            hint="Where the episode or the rollout ends before n rewards, the value counts gamma^m"
            " for the m rewards that there were.",
        ),
        Mutant(
            "value_of_the_next_row",
            old="advantage[start] += discount * next_value[t]",
            new="advantage[start] += discount * (value[t + 1] if t + 1 < len(value)"
            " else next_value[t])",
            hint="`value[t + 1]` is the value of the next row, which after an ending belongs to the"
            " next episode. Where step t led to is `next_value[t]`.",
        ),
        Mutant(
            "stops_too_early",
            old=f"{ADD}\n            {LOOK}",
            new=f"{LOOK}\n            {ADD}",
            hint="You stop before the reward of the step that ends the episode is added.",
        ),
        Mutant(
            "one_too_many",
            old="min(start + n, len(reward))",
            new="min(start + n + 1, len(reward))",
            hint="You add n + 1 rewards: n were asked for.",
        ),
        Mutant(
            "no_baseline",
            old="-value.clone()",
            new="torch.zeros_like(value)",
            hint="That is the return. The advantage is what it is more than V(s_t).",
        ),
    ),
    variants=(variants.n_step_by_recursion, variants.n_step_from_the_back),
)


# ---- predictions ------------------------------------------------------------------------------

WEIGHT_OF_TWENTY = Numeric(
    "weight_of_twenty",
    points=1,
    answer=0.7068,
    tolerance=0.0005,
    mistakes=(
        Mistake(0.6415, "You left out gamma: an error k steps later counts (gamma lambda)^k."),
        Mistake(0.1821, "You left out lambda: an error k steps later counts (gamma lambda)^k."),
        Mistake(0.2932, "That is the share of all the later ones."),
        Mistake(0.7242, "You counted one error too many: twenty of them are k = 0 to 19."),
        Mistake(0.6883, "You counted one error too few: twenty of them are k = 0 to 19."),
    ),
)

PENDULUM_LIMIT = Choice(
    "who_is_right",
    points=1,
    answer="C",
    why={
        "A": "The step ended the episode, but the clock did it: the pole was up, and the critic's"
        " value of that very observation is the best guess of what was cut off.",
        "B": "That row belongs to the next episode: its first observation has nothing to do with"
        " where this one was cut.",
        "D": "A bias that is in every episode does not average out: with a limit of 500 steps and"
        " gamma 0.99 the last hundred steps are told that the world ends.",
    },
)


# ---- the trained agent ------------------------------------------------------------------------

CARTPOLE_AGENT = Outcome(
    "cartpole_agent",
    points=3,
    reference=agents.trained,
    artifact="cartpole_agent.safetensors",
    tensors=agents.SHAPES,
    gates=(
        Gate(
            "mean return of 20 greedy episodes",
            agents.greedy_mean,
            low=150.0,
            high=500.0,
            hint="A right A2C balances for 400 steps and more. If yours stays near 10, check the"
            " loss's sign; if it stays near 30, check that advantages stop at the end of an"
            " episode.",
        ),
    ),
    wrong=(
        Wrong("untrained", lambda: agents.parameters(reference.ActorCritic(4, 2))),
        Wrong("uphill", agents.uphill),
    ),
    time_limit=60.0,
)
