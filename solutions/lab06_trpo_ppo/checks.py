"""Lab 6, checks: points, groups of cases, and the mistakes that they can tell apart."""

from autograder.spec import (
    Exercise,
    Gate,
    Gradient,
    Group,
    Mistake,
    Mutant,
    Mutates,
    Numeric,
    Outcome,
    Passes,
    Wrong,
)
from solutions.lab06_trpo_ppo import agents, cases, reference, variants

SURROGATE = "torch.min(ratio * advantage, clipped * advantage)"
PPO_CLIP_LOSS = Exercise(
    reference=reference.ppo_clip_loss,
    points=4,
    probe=Gradient(("logp",)),
    groups=(
        Group("by hand", cases.clip_by_hand, public=True),
        Group("close to the old policy", cases.near_one, public=True),
        Group("moved far the right way", cases.good_side, public=True),
        Group("moved far the wrong way", cases.bad_side, public=True),
        Group("other small moves", cases.near_one),
        Group("all kinds of moves", cases.all_sides),
    ),
    mutants=(
        Mutant(
            "max",
            old="torch.min(ratio",
            new="torch.max(ratio",
            hint="You take the larger of the two gains. The smaller one is the cautious one:"
            " nothing is won by moving further than the clip, everything can be lost.",
        ),
        Mutant(
            "clip_only",
            old=SURROGATE,
            new="(clipped * advantage)",
            hint="Without the `min` the gradient is 0 also where the ratio is on the wrong side,"
            " so that a bad move is never taken back.",
        ),
        Mutant(
            "no_clip",
            old=SURROGATE,
            new="(ratio * advantage)",
            hint="That is the plain surrogate: the clipped gain has no say in it.",
        ),
        Mutant(
            "difference_for_ratio",
            old="(logp - logp_old).exp()",
            new="1.0 + (logp - logp_old)",
            hint="The ratio of two probabilities is `exp` of the difference of their logarithms.",
        ),
        Mutant(
            "inverted_ratio",
            old="(logp - logp_old).exp()",
            new="(logp_old - logp).exp()",
            hint="Your ratio is upside down: new over old.",
        ),
        Mutant(
            "sign",
            old="loss = -torch.min",
            new="loss = torch.min",
            hint="An optimiser goes downhill: the loss is minus the surrogate.",
        ),
        Mutant(
            "sums",
            old="clipped * advantage).mean()",
            new="clipped * advantage).sum()",
            hint="A sum grows with the batch: take the mean.",
        ),
        Mutant(
            "lower_bound_only",
            old="ratio.clamp(1.0 - clip_coef, 1.0 + clip_coef)",
            new="ratio.clamp(min=1.0 - clip_coef)",
            hint="Your clip has no upper bound: a good action may become as likely as it likes.",
        ),
        Mutant(
            "upper_bound_only",
            old="ratio.clamp(1.0 - clip_coef, 1.0 + clip_coef)",
            new="ratio.clamp(max=1.0 + clip_coef)",
            hint="Your clip has no lower bound: a bad action may become as rare as it likes.",
        ),
        Mutant(
            "clips_around_zero",
            old="ratio.clamp(1.0 - clip_coef, 1.0 + clip_coef)",
            new="ratio.clamp(-clip_coef, clip_coef)",
            hint="A policy that has not moved has ratio 1: clip around 1, not around 0.",
        ),
        Mutant(
            "advantage_inside",
            old=SURROGATE,
            new="torch.min(ratio * advantage, (ratio * advantage)"
            ".clamp(1.0 - clip_coef, 1.0 + clip_coef))",
            hint="You clip the gain. The ratio is what is clipped, and then multiplied.",
        ),
        Mutant(
            "fraction_one_sided",
            old="(ratio - 1.0).abs() > clip_coef",
            new="ratio - 1.0 > clip_coef",
            hint="The loss is right. The clip fraction counts ratios on both sides of the range.",
        ),
        Mutant(
            "fraction_of_clipped_gradients",
            old="(ratio - 1.0).abs() > clip_coef",
            new="clipped * advantage < ratio * advantage",
            hint="The loss is right. The clip fraction counts every ratio outside of the range,"
            " also where the `min` kept its gradient.",
        ),
        Mutant(
            "no_exponential",
            old="(logp - logp_old).exp()",
            new="(logp - logp_old)",
            hint="That is the logarithm of the ratio. Where the policy did not move it is 0,"
            " and the ratio 1.",
        ),
        Mutant(
            "clips_the_logarithm",
            old="ratio.clamp(1.0 - clip_coef, 1.0 + clip_coef)",
            new="(logp - logp_old).clamp(-clip_coef, clip_coef).exp()",
            hint="You clip the logarithm of the ratio, and so to another range: clip the ratio.",
        ),
        Mutant(
            "logp_for_the_ratio",
            old="torch.min(ratio * advantage, clipped * advantage)",
            new="torch.min(logp * advantage, clipped * advantage)",
            hint="Log-probability times advantage is the gain of lab 5. Here the plain gain"
            " has the ratio.",
        ),
        Mutant(
            "normalises",
            old="torch.min(ratio * advantage, clipped * advantage)",
            new="torch.min(ratio * (scaled := (advantage - advantage.mean()) /"
            " (advantage.std() + 1e-8)), clipped * scaled)",
            hint="You normalise the advantages. That is the training loop's work: take them"
            " as they come.",
        ),
        Mutant(
            "fraction_inside",
            old="(ratio - 1.0).abs() > clip_coef",
            new="(ratio - 1.0).abs() <= clip_coef",
            hint="The loss is right. The clip fraction is the share of ratios *outside* of"
            " the range.",
        ),
    ),
    variants=(variants.clip_loss_by_cases, variants.clip_loss_as_maximum),
)

PPO_VALUE_LOSS = Exercise(
    reference=reference.ppo_value_loss,
    points=2,
    probe=Gradient(("value",)),
    groups=(
        Group("by hand", cases.critic_by_hand, public=True),
        Group("clipped", cases.critics_clipped, public=True),
        Group("not clipped", cases.critics_free, public=True),
        Group("clipped, others", cases.critics_clipped),
        Group("not clipped, others", cases.critics_free),
    ),
    mutants=(
        Mutant(
            "min",
            old="torch.max(error",
            new="torch.min(error",
            hint="You take the smaller error, so that a value which moved too far looks fine. The"
            " larger one counts.",
        ),
        Mutant(
            "clipped_only",
            old="torch.max(error, (near - returns) ** 2)",
            new="(near - returns) ** 2",
            hint="Of a value that moved too far only the clipped one counts here, and that has no"
            " gradient: it stays where it is. Take the larger of both errors.",
        ),
        Mutant(
            "no_half",
            old="0.5 * error.mean()",
            new="error.mean()",
            hint="Half the mean squared error was asked for.",
        ),
        Mutant(
            "sums",
            old="0.5 * error.mean()",
            new="0.5 * error.sum()",
            hint="A sum grows with the batch: take the mean.",
        ),
        Mutant(
            "never_clips",
            old="if clip_coef is not None:",
            new="if False:",
            hint="You never clip: with a `clip_coef` the value may move no further than that.",
        ),
        Mutant(
            "always_clips",
            old="if clip_coef is not None:",
            new="if True:",
            hint="With `clip_coef=None` nothing is clipped: the plain error counts.",
        ),
        Mutant(
            "clips_the_value",
            old="value_old + (value - value_old).clamp(-clip_coef, clip_coef)",
            new="value.clamp(-clip_coef, clip_coef)",
            hint="You clip the value itself. What is clipped is how far it moved from `value_old`.",
        ),
        Mutant(
            "forgets_the_old",
            old="value_old + (value - value_old).clamp",
            new="(value - value_old).clamp",
            hint="That is how far the value moved: add it to `value_old`.",
        ),
        Mutant(
            "max_of_means",
            old="torch.max(error, (near - returns) ** 2)",
            new="torch.max(error.mean(), ((near - returns) ** 2).mean())",
            hint="The larger error is taken sample by sample, before the mean.",
        ),
    ),
    variants=(variants.value_loss_by_loop, variants.value_loss_in_torch),
)

KL_ESTIMATORS = Exercise(
    reference=reference.kl_estimators,
    points=2,
    rtol=1e-5,
    atol=1e-20,
    groups=(
        Group("by hand", cases.kl_by_hand, public=True),
        Group("samples", cases.kl_samples, public=True),
        Group("a policy that has barely moved", cases.kl_small, public=True),
        Group("other samples", cases.kl_samples),
    ),
    mutants=(
        Mutant(
            "inverted_ratio",
            old="log_ratio = logp - logp_old",
            new="log_ratio = logp_old - logp",
            hint="Your ratio is upside down: the samples come from the old policy, so it is new"
            " over old. (k2 doesn't notice; k1 and k3 estimate something else.)",
        ),
        Mutant(
            "sign_of_k1",
            old="k1 = -log_ratio",
            new="k1 = log_ratio",
            hint="k1 has the wrong sign: log of old over new.",
        ),
        Mutant(
            "k2_without_half",
            old="0.5 * log_ratio**2",
            new="log_ratio**2",
            hint="k2 is half the square.",
        ),
        Mutant(
            "k3_of_the_inverse",
            old="torch.expm1(log_ratio) - log_ratio",
            new="torch.expm1(-log_ratio) + log_ratio",
            hint="k3 has the inverse ratio, and then its mean is no longer this KL: r - 1 - log r"
            " with r new over old.",
        ),
        Mutant(
            "k3_without_one",
            old="torch.expm1(log_ratio)",
            new="torch.exp(log_ratio)",
            hint="k3 is r - 1 - log r: the 1 is missing, and a policy that did not move has KL 1.",
        ),
        Mutant(
            "k3_loses_digits",
            old="torch.expm1(log_ratio)",
            new="(torch.exp(log_ratio) - 1.0)",
            hint="k3 of a policy that barely moved is lost in rounding: exp(x) - 1 of a small x"
            " has few digits. `torch.expm1` keeps them.",
        ),
        Mutant(
            "k3_with_a_sign",
            old="torch.expm1(log_ratio) - log_ratio",
            new="torch.expm1(log_ratio) + log_ratio",
            hint="k3 is r - 1 *minus* log r: it is never below 0.",
        ),
        Mutant(
            "sums",
            old="k1.mean(), k2.mean(), k3.mean()",
            new="k1.sum(), k2.sum(), k3.sum()",
            hint="An estimate of an expectation is a mean.",
        ),
        Mutant(
            "k1_without_its_sign",
            old="k1 = -log_ratio",
            new="k1 = log_ratio.abs()",
            hint="k1 of a sample may be negative: without its sign the mean is no longer the KL.",
        ),
        Mutant(
            "k2_of_the_mean",
            old="k2.mean()",
            new="0.5 * log_ratio.mean() ** 2",
            hint="k2 squares each log-ratio and then takes the mean. In the square of the"
            " mean they cancel.",
        ),
    ),
    variants=(variants.kl_estimators_in_numpy, variants.kl_estimators_backwards),
)

CATEGORICAL_KL = Exercise(
    reference=reference.categorical_kl,
    points=2,
    groups=(
        Group("by hand", cases.two_by_hand, public=True),
        Group("policies", cases.two_policies, public=True),
        Group("large logits", cases.two_large, public=True),
        Group("other policies", cases.two_policies),
    ),
    mutants=(
        Mutant(
            "reversed",
            old="(logp.exp() * (logp - logq))",
            new="(logq.exp() * (logq - logp))",
            hint="That is KL(q || p). The first argument does the averaging.",
        ),
        Mutant(
            "mean_over_actions",
            old=".sum(dim=-1)",
            new=".mean(dim=-1)",
            hint="The probabilities are the weights already: sum over the actions.",
        ),
        Mutant(
            "over_the_batch",
            old=".sum(dim=-1)",
            new=".sum(dim=0)",
            hint="One divergence per row, summed over the actions.",
        ),
        Mutant(
            "one_number",
            old=".sum(dim=-1)",
            new=".sum(dim=-1).mean()",
            hint="One divergence per row: the mean over states comes later.",
        ),
        Mutant(
            "cross_entropy",
            old="logp.exp() * (logp - logq)",
            new="logp.exp() * -logq",
            hint="That is the cross-entropy; subtract the entropy of p, and equal policies have 0.",
        ),
        Mutant(
            "no_weights",
            old="logp.exp() * (logp - logq)",
            new="logp - logq",
            hint="Each difference counts as often as p takes the action: weigh it by p.",
        ),
        Mutant(
            "not_normalised",
            old="torch.log_softmax(q_logits, dim=-1)",
            new="q_logits",
            hint="Logits are no log-probabilities yet: normalise both.",
        ),
        Mutant(
            "log_of_softmax",
            old="torch.log_softmax(p_logits, dim=-1)",
            new="torch.log(torch.softmax(p_logits, dim=-1))",
            hint="A probability that was rounded to 0 has no logarithm: use `log_softmax`.",
        ),
        Mutant(
            "differences_of_logits",
            old="(logp - logq)",
            new="(p_logits - q_logits)",
            hint="A difference of logits is one of log-probabilities only up to a constant:"
            " normalise both.",
        ),
        Mutant(
            "log_as_target",
            old="(logp.exp() * (logp - logq))",
            new='torch.nn.functional.kl_div(logq, logp, reduction="none")',
            hint="`F.kl_div` takes its target as probabilities, unless you say `log_target=True`.",
        ),
        Mutant(
            "in_bits",
            old=".sum(dim=-1)",
            new=".sum(dim=-1) / np.log(2.0)",
            hint="That is in bits: divergences are in nats here, natural logarithms.",
        ),
    ),
    variants=(variants.kl_by_distribution, variants.kl_by_cross_entropy),
)

ADAPTIVE_BETA = Exercise(
    reference=reference.adaptive_beta,
    points=1,
    groups=(
        Group("by hand", cases.betas_by_hand, public=True),
        Group("around the thresholds", cases.betas, public=True),
        Group("others", cases.betas),
    ),
    mutants=(
        Mutant(
            "the_wrong_way",
            old="if kl > 1.5 * target:\n        return 2.0 * beta\n"
            "    if kl < target / 1.5:\n        return beta / 2.0",
            new="if kl > 1.5 * target:\n        return beta / 2.0\n"
            "    if kl < target / 1.5:\n        return 2.0 * beta",
            hint="A policy that moved too far needs a larger penalty, not a smaller one.",
        ),
        Mutant(
            "always_moves",
            old="if kl > 1.5 * target",
            new="if kl > target",
            hint="Between target / 1.5 and 1.5 * target the weight stays.",
        ),
        Mutant(
            "never_halves",
            old="if kl < target / 1.5",
            new="if kl < 0.0",
            hint="A policy that hardly moves needs a smaller penalty: halve it.",
        ),
        Mutant(
            "never_doubles",
            old="if kl > 1.5 * target",
            new="if kl > 1e9 * target",
            hint="A policy that moves too far needs a larger penalty: double it.",
        ),
        Mutant(
            "lower_threshold",
            old="target / 1.5",
            new="target / 2.0",
            hint="The lower threshold is target / 1.5; the 2 is what beta is divided by.",
        ),
        Mutant(
            "upper_threshold",
            old="1.5 * target",
            new="2.0 * target",
            hint="The upper threshold is 1.5 * target; the 2 is what beta is multiplied by.",
        ),
        Mutant(
            "factor",
            old="2.0 * beta",
            new="1.5 * beta",
            hint="Beta is doubled or halved; 1.5 is for the thresholds.",
        ),
        Mutant(
            "both_factors",
            old="if kl > 1.5 * target:\n"
            "        return 2.0 * beta\n"
            "    if kl < target / 1.5:\n"
            "        return beta / 2.0",
            new="if kl > 1.5 * target:\n"
            "        return 1.5 * beta\n"
            "    if kl < target / 1.5:\n"
            "        return beta / 1.5",
            hint="1.5 is for the thresholds alone: beta is doubled or halved.",
        ),
        Mutant(
            "both_thresholds",
            old="if kl > 1.5 * target:\n"
            "        return 2.0 * beta\n"
            "    if kl < target / 1.5:\n"
            "        return beta / 2.0",
            new="if kl > 2.0 * target:\n"
            "        return 2.0 * beta\n"
            "    if kl < target / 2.0:\n"
            "        return beta / 2.0",
            hint="Both thresholds are a factor of 1.5 away from the target: the 2 is for"
            " beta alone.",
        ),
    ),
    variants=(variants.beta_by_factor, variants.beta_in_sequence),
)

CONJUGATE_GRADIENT = Exercise(
    reference=reference.conjugate_gradient,
    points=4,
    groups=(
        Group("by hand", cases.systems_by_hand, public=True),
        Group("solved", cases.solved, public=True),
        Group("the products are spent", cases.out_of_iterations, public=True),
        Group("close enough", cases.good_enough, public=True),
        Group("nothing to do", cases.nothing_to_do, public=True),
        Group("others solved", cases.solved),
        Group("others, products spent", cases.out_of_iterations),
        Group("others close enough", cases.good_enough),
    ),
    mutants=(
        Mutant(
            "steepest_descent",
            old="residual + (new_squared / squared) * direction",
            new="residual.clone()",
            hint="You go along the residual each time, which is steepest descent: it undoes with"
            " one step what it did with another. Add the share of the old direction.",
        ),
        Mutant(
            "share_upside_down",
            old="(new_squared / squared)",
            new="(squared / new_squared)",
            hint="The share of the old direction is new over old squared residual.",
        ),
        Mutant(
            "share_of_the_new_product",
            old="(new_squared / squared)",
            new="(new_squared / (direction @ product))",
            hint="The share of the old direction is the ratio of two squared residuals; the"
            " curvature belongs to the step alone.",
        ),
        Mutant(
            "ignores_tolerance",
            old="if squared < tolerance:\n            break",
            new="if squared == 0.0:\n            break",
            hint="You go on after it is good enough: stop when the squared residual is below the"
            " tolerance. Each product costs a pass through the network.",
        ),
        Mutant(
            "one_more",
            old="for _ in range(num_iterations):",
            new="for _ in range(num_iterations + 1):",
            hint="You ask for one product too many.",
        ),
        Mutant(
            "one_fewer",
            old="for _ in range(num_iterations):",
            new="for _ in range(num_iterations - 1):",
            hint="You stop one product early.",
        ),
        Mutant(
            "step_without_curvature",
            old="squared / (direction @ product)",
            new="squared / (direction @ direction)",
            hint="The step is the squared residual over the curvature along the direction,"
            " d^T A d.",
        ),
        Mutant(
            "residual_not_updated",
            old="residual = residual - step * product",
            new="residual = residual - step * direction",
            hint="The residual is b - A x: when x moves by `step * direction`, it moves by"
            " `step` times the *product*.",
        ),
        Mutant(
            "tolerance_of_the_length",
            old="if squared < tolerance",
            new="if squared**0.5 < tolerance",
            hint="The tolerance is for the squared length of the residual.",
        ),
        Mutant(
            "wrong_way",
            old="x = x + step * direction",
            new="x = x - step * direction",
            hint="You walk away from the solution: the residual b - A x points where x must go.",
        ),
        Mutant(
            "looks_late",
            old="if squared < tolerance:",
            new="if squared < tolerance and x.any():",
            hint="Where `b` is below the tolerance already, x = 0 is close enough: look at"
            " the residual before the first product, or a `b` of zeros gives 0 / 0.",
        ),
    ),
    variants=(variants.conjugate_gradient_from_the_book, variants.conjugate_gradient_by_krylov),
)

FISHER_VECTOR_PRODUCT = Exercise(
    reference=reference.fisher_vector_product,
    points=4,
    groups=(
        Group("with damping", cases.products, public=True),
        Group("without damping", cases.products_undamped, public=True),
        Group("others with damping", cases.products),
        Group("others without", cases.products_undamped),
    ),
    mutants=(
        Mutant(
            "against_itself",
            old="old = logp.detach()",
            new="old = logp",
            hint="Both policies move with the parameters, so their KL is 0 and stays 0: hold the"
            " old one fixed (`detach`).",
        ),
        Mutant(
            "no_damping",
            old=" + damping * v",
            new="",
            hint="The damping is missing: it is added to the diagonal, so to the product as"
            " `damping * v`.",
        ),
        Mutant(
            "damping_alone",
            old="+ damping * v",
            new="+ damping",
            hint="Damping is a multiple of the identity: it adds `damping * v`.",
        ),
        Mutant(
            "sums_over_states",
            old=".sum(dim=-1).mean()",
            new=".sum(dim=-1).sum()",
            hint="The mean KL over the states, not its sum.",
        ),
        Mutant(
            "mean_over_actions",
            old=".sum(dim=-1).mean()",
            new=".mean()",
            hint="The KL of a state is a sum over the actions; the mean is over the states.",
        ),
        Mutant(
            "entropy",
            old="(old.exp() * (old - logp))",
            new="(logp.exp() * logp)",
            hint="That is the entropy's Hessian. The Fisher matrix is the KL's.",
        ),
        Mutant(
            "hessian_of_logits",
            old="kl = (old.exp() * (old - logp)).sum(dim=-1).mean()",
            new="kl = ((policy(obs) - policy(obs).detach()) ** 2).sum(dim=-1).mean() / 2",
            hint="You measure the distance of the logits. The policy's is the KL, in which unlikely"
            " actions hardly count.",
        ),
        Mutant(
            "empirical",
            old="(old.exp() * (old - logp))",
            new="((old - logp) ** 2 / len(old))",
            hint="Squared log-ratios have to be weighed by how likely the action is.",
        ),
        Mutant(
            "sign",
            old="(old.exp() * (old - logp))",
            new="(old.exp() * (logp - old))",
            hint="The sign is wrong: the KL has its minimum here, so v^T F v is never below 0.",
        ),
        Mutant(
            "damping_as_a_share",
            old=" + damping * v",
            new=" * (1.0 + damping)",
            hint="Damping is added to the diagonal, `damping * v`. You scale F, which leaves"
            " a direction without curvature as it is.",
        ),
        Mutant(
            "damping_subtracted",
            old=" + damping * v",
            new=" - damping * v",
            hint="Damping is added, so that no direction is free: you take it away.",
        ),
    ),
    variants=(variants.fisher_by_jacobian, variants.fisher_by_gradient_of_q),
)

TRPO_STEP = Exercise(
    reference=reference.trpo_step,
    points=3,
    probe=Mutates(("policy",)),
    groups=(
        Group("the first try", cases.first_try, public=True),
        Group("a step that has to be shortened", cases.shortened, public=True),
        Group("no gain", cases.no_gain, public=True),
        Group("the tries are spent", cases.out_of_tries, public=True),
        Group("another first try", cases.first_try),
        Group("another step to shorten", cases.last_try),
        Group("no gain, another", cases.gain_in_logarithms),
    ),
    mutants=(
        Mutant(
            "missing_two",
            old="(2.0 * max_kl / curvature)",
            new="(max_kl / curvature)",
            hint="The KL grows like half of the step squared times the curvature: the step to the"
            " edge is sqrt(2 max_kl / curvature).",
        ),
        Mutant(
            "no_root",
            old="(2.0 * max_kl / curvature) ** 0.5",
            new="(2.0 * max_kl / curvature)",
            hint="The KL grows with the square of the step: take the square root.",
        ),
        Mutant(
            "breaks_the_region",
            old="if gain > 0.0 and kl <= max_kl:",
            new="if gain > 0.0:",
            hint="You take a step that leaves the trust region: check the KL that it really has.",
        ),
        Mutant(
            "takes_a_loss",
            old="if gain > 0.0 and kl <= max_kl:",
            new="if kl <= max_kl:",
            hint="You take a step that does not improve the surrogate.",
        ),
        Mutant(
            "no_way_back",
            old="        nn.utils.vector_to_parameters(start, parameters)\n        return False",
            new="        return False",
            hint="No step was good enough, but the policy is where the last try left it: put the"
            " old parameters back.",
        ),
        Mutant(
            "no_shortening",
            old="length = 0.5 * length",
            new="length = 1.0 * length",
            hint="Each try is half as long as the one before, and starts from the old parameters.",
        ),
        Mutant(
            "downhill",
            old="start + length * direction",
            new="start - length * direction",
            hint="The direction points uphill: add it.",
        ),
        Mutant(
            "reversed_kl",
            old="(old.exp() * (old - new))",
            new="(new.exp() * (new - old))",
            hint="The region is measured by KL(old || new): the old policy does the averaging.",
        ),
        Mutant(
            "reports_a_step",
            old="return False, 0.0",
            new="return True, 0.0",
            hint="No step was taken: say so.",
        ),
        Mutant(
            "logarithms_for_ratios",
            old="(taken(new - old).exp() - 1.0)",
            new="taken(new - old)",
            hint="The surrogate weighs advantages with ratios: you forgot the `exp` of the"
            " difference.",
        ),
        Mutant(
            "table_of_gains",
            old="action.unsqueeze(-1)).squeeze(-1)",
            new="action.unsqueeze(-1))",
            hint="Ratios of shape (batch, 1) times advantages of shape (batch,) make a table of"
            " all pairs: `squeeze` the ratios.",
        ),
        Mutant(
            "compares_with_zero",
            old="(taken(new - old).exp() - 1.0)",
            new="taken(new - old).exp()",
            hint="The old policy's surrogate is the mean advantage, not 0: compare with that.",
        ),
        Mutant(
            "takes_no_change",
            old="gain > 0.0 and",
            new="gain >= 0.0 and",
            hint="A surrogate that stays as it is has not improved: no step.",
        ),
        Mutant(
            "estimates_the_kl",
            old="float((old.exp() * (old - new)).sum(dim=-1).mean())",
            new="float(taken(old - new).mean())",
            hint="You estimate the KL from the actions that were taken. All probabilities"
            " are known here: sum over the actions.",
        ),
        Mutant(
            "one_more_try",
            old="range(num_backtracks)",
            new="range(num_backtracks + 1)",
            hint="`num_backtracks` is the number of tries, the first one included: you make"
            " one more.",
        ),
        Mutant(
            "one_try_fewer",
            old="range(num_backtracks)",
            new="range(num_backtracks - 1)",
            hint="`num_backtracks` is the number of tries, the first one included: you make"
            " one fewer.",
        ),
        Mutant(
            "reports_a_kl",
            old="return False, 0.0",
            new="return False, kl",
            hint="No step was taken, so the policy has moved by 0: that is the KL to report.",
        ),
    ),
    variants=(variants.trpo_step_by_powers, variants.trpo_step_on_a_copy),
)

MINIBATCHES = Exercise(
    reference=reference.minibatches,
    points=2,
    probe=Passes(),
    clinic="as_found",
    groups=(
        Group("passes", cases.passes, public=True),
        Group("passes with a rest", cases.passes_with_a_rest, public=True),
        Group("other passes", cases.passes),
        Group("others with a rest", cases.passes_with_a_rest),
    ),
    mutants=(
        Mutant(
            "as_found",
            old="    for _ in range(num_epochs):\n        order = rng.permutation(num_samples)\n"
            "        for start in range(0, num_samples, batch_size):",
            new="    order = rng.permutation(num_samples)\n    for _ in range(num_epochs):\n"
            "        for start in range(0, num_samples - batch_size + 1, batch_size):",
            hint="It behaves as it was found. Count the indices of one pass of 23 samples, and"
            " print two passes below each other.",
        ),
        Mutant(
            "same_order",
            old="    for _ in range(num_epochs):\n        order = rng.permutation(num_samples)\n",
            new="    order = rng.permutation(num_samples)\n    for _ in range(num_epochs):\n",
            hint="One bug is left: every pass has the same order.",
        ),
        Mutant(
            "drops_the_rest",
            old="range(0, num_samples, batch_size)",
            new="range(0, num_samples - batch_size + 1, batch_size)",
            hint="One bug is left: the samples of the last, smaller batch are never learned from.",
        ),
        Mutant(
            "not_shuffled",
            old="rng.permutation(num_samples)",
            new="np.arange(num_samples)",
            hint="The samples come in the order of time: shuffle them.",
        ),
        Mutant(
            "with_replacement",
            old="rng.permutation(num_samples)",
            new="rng.integers(num_samples, size=num_samples)",
            hint="Some indices come twice and others never: draw without replacement.",
        ),
        Mutant(
            "one_pass",
            old="for _ in range(num_epochs):",
            new="for _ in range(1):",
            hint="You make one pass; `num_epochs` were asked for.",
        ),
        Mutant(
            "ignores_rng",
            old="rng.permutation",
            new="np.random.permutation",
            hint="The orders come from `rng`, so that who knows its seed can repeat them.",
        ),
        Mutant(
            "drops_a_rest_of_one",
            old="range(0, num_samples, batch_size)",
            new="range(0, num_samples - 1, batch_size)",
            hint="A last batch of a single sample is missing.",
        ),
        Mutant(
            "even_batches",
            old="        order = rng.permutation(num_samples)\n"
            "        for start in range(0, num_samples, batch_size):\n"
            "            yield order[start : start + batch_size]",
            new="        order = rng.permutation(num_samples)\n"
            "        yield from np.array_split(order, -(-num_samples // batch_size))",
            hint="You share the samples out evenly. All batches have `batch_size` but the"
            " last, which has what is left.",
        ),
        Mutant(
            "shuffles_batches",
            old="        order = rng.permutation(num_samples)\n"
            "        for start in range(0, num_samples, batch_size):\n"
            "            yield order[start : start + batch_size]",
            new="        for start in rng.permutation(np.arange(0, num_samples,"
            " batch_size)):\n"
            "            yield np.arange(start, min(start + batch_size, num_samples))",
            hint="You shuffle the batches, and in each of them neighbours in time stay"
            " together: shuffle the samples.",
        ),
    ),
    variants=(variants.minibatches_by_shuffle, variants.minibatches_by_split),
)

# ---- prediction and trained agent -------------------------------------------------------------

KL_AT_THE_EDGE = Numeric(
    "kl_at_the_edge",
    points=1,
    answer=0.0204,
    tolerance=0.0001,
    mistakes=(
        Mistake(0.0201, "That is KL(new || old): here the old policy does the averaging."),
        Mistake(-0.0912, "You added the one action that moved; the other one moved too."),
        Mistake(0.0294, "You measured in bits; the lab uses natural logarithms."),
    ),
)

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
            low=200.0,
            high=500.0,
            hint="A right PPO balances to the end or nearly so. If yours stays near 10, check the"
            " loss's sign; if it rises and collapses, check that the ratio is clipped.",
        ),
    ),
    wrong=(
        Wrong("untrained", lambda: agents.parameters(reference.ActorCritic(4, 2))),
        Wrong("uphill", agents.uphill),
    ),
    time_limit=60.0,
)
