"""Lab 4, checks: points, groups of cases, and the mistakes that they can tell apart."""

from autograder.spec import (
    Copies,
    Draws,
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
from solutions.lab04_dqn import agents, cases, reference, variants

FILLED = "rng.integers(len(self), size=batch_size)"
REPLAY_BUFFER = Exercise(
    reference=reference.ReplayBuffer,
    points=4,
    probe=Draws(),
    groups=(
        Group("there is room", cases.half_full, public=True),
        Group("just full", cases.just_full, public=True),
        Group("the oldest make room", cases.overwritten, public=True),
        Group("a single row", cases.of_one_row, public=True),
        Group("other shapes", cases.pictures, public=True),
        Group("others, with room", cases.half_full),
        Group("others, overwritten", cases.overwritten),
    ),
    mutants=(
        Mutant(
            "never_wraps",
            old="row = self.num_added % self.capacity",
            new="row = min(self.num_added, self.capacity - 1)",
            hint="When the buffer is full you overwrite the last row again and again: the oldest"
            " one has to go, then the next oldest. Count modulo the capacity.",
        ),
        Mutant(
            "refuses_when_full",
            old="row = self.num_added % self.capacity\n",
            new="row = self.num_added % self.capacity\n"
            "        if self.num_added == self.capacity:\n            return\n",
            hint="A full buffer takes nothing more: what is new has to replace the oldest.",
        ),
        Mutant(
            "wraps_one_late",
            old="self.num_added % self.capacity",
            new="self.num_added % (self.capacity + 1)",
            hint="You wrap one row too late: rows count from 0 to `capacity - 1`.",
        ),
        Mutant(
            "wraps_one_early",
            old="self.num_added % self.capacity",
            new="self.num_added % max(self.capacity - 1, 1)",
            hint="You wrap one row too early: the last row is never used.",
        ),
        Mutant(
            "draws_unfilled_rows",
            old=FILLED,
            new="rng.integers(self.capacity, size=batch_size)",
            hint="You draw from the whole capacity, and so rows that nobody has filled: zeros,"
            " learned from like any other. Draw from `len(self)` rows.",
        ),
        Mutant(
            "never_the_newest",
            old=FILLED,
            new="rng.integers(max(len(self) - 1, 1), size=batch_size)",
            hint="The last row is never drawn: `rng.integers(n)` is below n already.",
        ),
        Mutant(
            "never_the_first",
            old=FILLED,
            new="rng.integers(min(1, len(self) - 1), len(self), size=batch_size)",
            hint="The first row is never drawn: rows count from 0.",
        ),
        Mutant(
            "not_uniform",
            old=FILLED,
            new="(len(self) * rng.random(batch_size) ** 2).astype(int)",
            hint="Some transitions come more often than others: each of those held should be as"
            " likely.",
        ),
        Mutant(
            "without_replacement",
            old=FILLED,
            new="rng.permutation(len(self))[:batch_size]",
            hint="You draw without replacement: a batch that is larger than what is held comes out"
            " too short.",
        ),
        Mutant(
            "in_a_row",
            old=FILLED,
            new="(rng.integers(len(self)) + np.arange(batch_size)) % len(self)",
            hint="Which row comes next depends on the one before: a batch is a piece of an episode,"
            " or all rows are shuffled and gone through. Draw each row anew, without regard to the"
            " others.",
        ),
        Mutant(
            "a_generator_of_its_own",
            old="rng.integers(len(self)",
            new="np.random.default_rng(0).integers(len(self)",
            hint="You draw with a generator that begins anew in every call: each batch holds the"
            " same rows. Draw from the `rng` that you are given.",
        ),
        Mutant(
            "the_global_generator",
            old="rng.integers(len(self)",
            new="np.random.randint(len(self)",
            hint="You draw from numpy's global generator: nobody can repeat your training, whatever"
            " the seed. Draw from the `rng` that you are given.",
        ),
        Mutant(
            "numpys_default_width",
            old="self.obs = np.zeros((capacity, *obs_shape), dtype=np.float32)",
            new="self.obs = np.zeros((capacity, *obs_shape))",
            hint="Your floats are float64, numpy's default, and a network of float32 weights"
            " refuses them: say `dtype=np.float32`.",
        ),
        Mutant(
            "mixes_rows",
            old="{name: getattr(self, name)[row] for name in names}",
            new="{name: getattr(self, name)[rng.permutation(row)] for name in names}",
            hint="Observations, actions and rewards of a row come from different transitions: draw"
            " the indices once and use them for all of them.",
        ),
        Mutant(
            "length_is_capacity",
            old="return min(self.num_added, self.capacity)",
            new="return self.capacity",
            hint="`len` is what the buffer holds, not what it could hold, and rows beyond it are"
            " not to be drawn.",
        ),
        Mutant(
            "length_never_stops",
            old="return min(self.num_added, self.capacity)",
            new="return self.num_added",
            hint="The length goes on growing when the buffer is full: it never holds more than"
            " `capacity` transitions.",
        ),
        Mutant(
            "next_obs_for_obs",
            old="self.obs[row] = obs",
            new="self.obs[row] = next_obs",
            hint="You store `next_obs` twice: `obs` is what the agent saw before it acted.",
        ),
        Mutant(
            "obs_for_next_obs",
            old="self.next_obs[row] = next_obs",
            new="self.next_obs[row] = obs",
            hint="You store `obs` twice: `next_obs` is what the action led to.",
        ),
        Mutant(
            "keeps_references",
            old="self.obs = np.zeros((capacity, *obs_shape), dtype=np.float32)",
            new="self.obs = np.zeros(capacity, dtype=object)",
            hint="You store the caller's array itself, and its owner writes the next observation"
            " into it: every row then shows the latest one. Store a copy.",
        ),
        Mutant(
            "forgets_the_end",
            old="self.terminated[row] = terminated",
            new="self.terminated[row] = False",
            hint="`terminated` gets lost: without it the target bootstraps from terminal states.",
        ),
        Mutant(
            "rounds_rewards",
            old="self.reward = np.zeros(capacity, dtype=np.float32)",
            new="self.reward = np.zeros(capacity, dtype=np.int64)",
            hint="Your rewards are whole numbers: writing 0.7 into an integer array stores 0,"
            " without a word. Let it be float32.",
        ),
    ),
    variants=(variants.ReplayInADeque, variants.ReplayInTensors),
)

GATHER_Q = Exercise(
    reference=reference.gather_q,
    points=2,
    probe=Gradient(("q",)),
    groups=(
        Group("by hand", cases.gather_by_hand, public=True),
        Group("batches", cases.gathers, public=True),
        Group("one row", cases.gather_one, public=True),
        Group("other batches", cases.gathers),
    ),
    mutants=(
        Mutant(
            "max",
            old="q.gather(1, action.unsqueeze(1)).squeeze(1)",
            new="q.max(dim=1).values",
            hint="You take the best action's value; asked for is that of the action that was"
            " taken, which explores now and then.",
        ),
        Mutant(
            "keeps_a_column",
            old=".squeeze(1)",
            new="",
            hint="Your result has shape (batch, 1). Minus a target of shape (batch,) it would grow"
            " to (batch, batch) without an error: drop the last axis.",
        ),
        Mutant(
            "squeezes_everything",
            old=".squeeze(1)",
            new=".squeeze()",
            hint="A bare `squeeze()` also drops the batch axis when the batch has one row: say"
            " which axis.",
        ),
        Mutant(
            "over_the_batch",
            old="q.gather(1, action.unsqueeze(1)).squeeze(1)",
            new="q.gather(0, action.clamp(max=len(q) - 1).unsqueeze(0)).squeeze(0)",
            hint="You gather along the batch: `action` counts along the actions, axis 1.",
        ),
        Mutant(
            "all_pairs",
            old="q.gather(1, action.unsqueeze(1)).squeeze(1)",
            new="q[:, action]",
            hint="`q[:, action]` takes every row's value of every action in the batch: shape"
            " (batch, batch). Each row has one action of its own.",
        ),
        Mutant(
            "detached",
            old="q.gather",
            new="q.detach().gather",
            hint="No gradient reaches the network: it is the target that carries none, not this.",
        ),
        Mutant(
            "sums",
            old=".squeeze(1)",
            new=".sum()",
            hint="One value for each row: the mean over the batch comes later, in the loss.",
        ),
    ),
    variants=(variants.gather_by_index, variants.gather_one_hot),
)

MASK = "reward + gamma * next_value * ~terminated"
DQN_TARGET = Exercise(
    reference=reference.dqn_target,
    points=3,
    probe=Gradient(("next_q_target",)),
    groups=(
        Group("by hand", cases.target_by_hand, public=True),
        Group("episodes go on", cases.goes_on, public=True),
        Group("episodes terminate", cases.terminates, public=True),
        Group("time limits strike", cases.time_is_up, public=True),
        Group("other transitions", cases.goes_on),
        Group("other time limits", cases.time_is_up),
        Group("all kinds of endings", cases.all_endings),
    ),
    mutants=(
        Mutant(
            "masks_on_done",
            old="~terminated",
            new="~(terminated | truncated)",
            hint="A time limit ends the episode, not the world: what would have followed still has"
            " its value. Only `terminated` makes it 0.",
        ),
        Mutant(
            "masks_on_truncated",
            old="~terminated",
            new="~truncated",
            hint="You mask where the clock struck and bootstrap from terminal states: it is the"
            " other way round.",
        ),
        Mutant(
            "the_clock_wins",
            old="~terminated",
            new="~(terminated & ~truncated)",
            hint="A state that terminated in the very step in which the clock struck is terminal"
            " all the same: `truncated` has no say.",
        ),
        Mutant(
            "no_mask",
            old=" * ~terminated",
            new="",
            hint="A terminal observation is worth 0, whatever the network says about it.",
        ),
        Mutant(
            "mask_upside_down",
            old="~terminated",
            new="terminated",
            hint="Your mask is upside down: it keeps what follows only where nothing follows.",
        ),
        Mutant(
            "masks_the_reward",
            old=MASK,
            new="(reward + gamma * next_value) * ~terminated",
            hint="The mask belongs to what follows: the reward of the last step was paid.",
        ),
        Mutant(
            "gradient_flows",
            old="next_q_target.detach()",
            new="next_q_target",
            hint="A gradient flows into the target: the loss would then pull the goal towards the"
            " guess. Detach it.",
        ),
        Mutant(
            "no_gamma",
            old="gamma * next_value",
            new="next_value",
            hint="What comes next is discounted by gamma.",
        ),
        Mutant(
            "discounts_all",
            old=MASK,
            new="gamma * (reward + next_value * ~terminated)",
            hint="The reward of the step itself is not discounted.",
        ),
        Mutant(
            "mean_for_max",
            old="max(dim=1).values",
            new="mean(dim=1)",
            hint="That is the value of acting at random; Q-learning takes the best action, the"
            " maximum.",
        ),
        Mutant(
            "max_over_the_batch",
            old="max(dim=1).values",
            new="max(dim=0).values.max()",
            hint="You take one maximum over the whole batch: each row has its own, over its"
            " actions.",
        ),
        Mutant(
            "largest_size",
            old="next_q_target.detach().max(dim=1).values",
            new="next_q_target.detach().abs().max(dim=1).values",
            hint="The largest value, not the largest absolute value: values may be negative.",
        ),
        Mutant(
            "no_reward",
            old=MASK,
            new="gamma * next_value * ~terminated",
            hint="The reward is missing: it is the only thing in the target that was really seen.",
        ),
    ),
    variants=(variants.target_without_grad, variants.target_by_loop),
)

ROLES = (
    "best = next_q_online.argmax(dim=1, keepdim=True)\n"
    "    next_value = next_q_target.detach().gather(1, best).squeeze(1)\n"
    "    return reward + gamma * next_value * ~terminated"
)
DOUBLE_DQN_TARGET = Exercise(
    reference=reference.double_dqn_target,
    points=3,
    probe=Gradient(("next_q_online", "next_q_target")),
    clinic="as_found",
    groups=(
        Group("by hand", cases.double_by_hand, public=True),
        Group("episodes go on", cases.double_goes_on, public=True),
        Group("episodes terminate", cases.double_terminates, public=True),
        Group("time limits strike", cases.double_time_is_up, public=True),
        Group("other transitions", cases.double_goes_on),
        Group("other time limits", cases.double_time_is_up),
        Group("all kinds of endings", cases.double_all_endings),
    ),
    mutants=(
        Mutant(
            "as_found",
            old=ROLES,
            new="best = next_q_target.argmax(dim=1, keepdim=True)\n"
            "    next_value = next_q_online.detach().gather(1, best).squeeze(1)\n"
            "    return reward + gamma * next_value * ~(terminated | truncated)",
            hint="It behaves as it was found. Which network chooses, which one judges? And what is"
            " a state worth where the clock struck?",
        ),
        Mutant(
            "roles_swapped",
            old="best = next_q_online.argmax(dim=1, keepdim=True)\n"
            "    next_value = next_q_target.detach()",
            new="best = next_q_target.argmax(dim=1, keepdim=True)\n"
            "    next_value = next_q_online.detach()",
            hint="One bug is left: the roles are swapped. The online network chooses the action,"
            " the target network says what it is worth.",
        ),
        Mutant(
            "masks_on_done",
            old="~terminated",
            new="~(terminated | truncated)",
            hint="One bug is left: a time limit ends the episode, not the world. Only `terminated`"
            " makes what follows worth 0.",
        ),
        Mutant(
            "the_clock_wins",
            old="~terminated",
            new="~(terminated & ~truncated)",
            hint="A state that terminated in the very step in which the clock struck is terminal"
            " all the same: `truncated` has no say.",
        ),
        Mutant(
            "target_twice",
            old="next_q_online.argmax",
            new="next_q_target.argmax",
            hint="The target network chooses and judges: that is the plain DQN target again, the"
            " maximum. Let the online network choose.",
        ),
        Mutant(
            "online_twice",
            old="next_q_target.detach()",
            new="next_q_online.detach()",
            hint="The online network chooses and judges: its own errors choose what they inflate."
            " Let the target network judge.",
        ),
        Mutant(
            "no_mask",
            old=" * ~terminated",
            new="",
            hint="A terminal observation is worth 0, whatever the network says about it.",
        ),
        Mutant(
            "gradient_flows",
            old="next_q_target.detach()",
            new="next_q_target",
            hint="A gradient flows into the target: detach it.",
        ),
        Mutant(
            "no_gamma",
            old="gamma * next_value",
            new="next_value",
            hint="What comes next is discounted by gamma.",
        ),
        Mutant(
            "smaller_of_both",
            old=ROLES,
            new="next_value = torch.minimum(\n"
            "        next_q_online.detach().max(dim=1).values, next_q_target.detach().max(dim=1)"
            ".values\n    )\n    return reward + gamma * next_value * ~terminated",
            hint="The smaller of two maxima is another method (clipped double Q-learning): here"
            " one network chooses an action and the other judges that action.",
        ),
    ),
    variants=(variants.double_by_index, variants.double_in_numpy),
)

LINE = "delta * (error - 0.5 * delta)"
BENT = f"torch.where(error <= delta, 0.5 * error**2, {LINE})"
HUBER = Exercise(
    reference=reference.huber,
    points=3,
    probe=Gradient(("pred",)),
    groups=(
        Group("by hand", cases.huber_by_hand, public=True),
        Group("small errors", cases.small_errors, public=True),
        Group("large errors", cases.large_errors, public=True),
        Group("other deltas", cases.other_deltas, public=True),
        Group("other small errors", cases.small_errors),
        Group("other large errors", cases.large_errors),
        Group("more deltas", cases.other_deltas),
    ),
    mutants=(
        Mutant(
            "squared_error",
            old=BENT,
            new="0.5 * error**2",
            hint="That is the squared error: its slope grows without bound, and one wild target"
            " moves everything.",
        ),
        Mutant(
            "mean_squared_error",
            old=BENT,
            new="error**2",
            hint="That is the squared error, without the half and without the straight line.",
        ),
        Mutant(
            "absolute_error",
            old=BENT,
            new="error",
            hint="That is the absolute error: near 0 its slope is still 1, so that it never"
            " settles. Small errors get the parabola.",
        ),
        Mutant(
            "clips_the_loss",
            old=BENT,
            new="(0.5 * error**2).clamp(max=0.5 * delta**2)",
            hint="You clip the loss. Where it is constant its gradient is 0, so that large errors"
            " are never mended: it is the *slope* that is bounded.",
        ),
        Mutant(
            "caps_the_loss",
            old=BENT,
            new="(0.5 * error**2).clamp(max=delta)",
            hint="You cap the loss. Where it is constant its gradient is 0, so that large errors"
            " are never mended: it is the *slope* that is bounded.",
        ),
        Mutant(
            "steep_line",
            old=LINE,
            new="error - 0.5 * delta",
            hint="The line's slope is delta, the parabola's slope where they meet.",
        ),
        Mutant(
            "line_with_a_step",
            old=LINE,
            new="delta * error",
            hint="The two parts don't meet: at `|e| = delta` the parabola stands at delta^2 / 2,"
            " so the line is lower by as much.",
        ),
        Mutant(
            "smooth_l1",
            old="return bent.mean()",
            new="return bent.mean() / delta",
            hint="That is torch's `smooth_l1_loss`, which divides by its beta: Huber's loss has"
            " slope delta on its line. They agree at delta = 1 only.",
        ),
        Mutant(
            "no_half",
            old="0.5 * error**2",
            new="error**2",
            hint="The parabola is half the squared error: then its slope is the error itself, and"
            " the line fits on.",
        ),
        Mutant(
            "parts_swapped",
            old="error <= delta",
            new="error > delta",
            hint="The parts are swapped: the parabola is for small errors, the line for large.",
        ),
        Mutant(
            "no_absolute_value",
            old="(pred - target).abs()",
            new="(pred - target)",
            hint="Large *negative* errors count as small: compare the absolute value with delta.",
        ),
        Mutant(
            "fixed_delta",
            old=BENT,
            new="torch.where(error <= 1.0, 0.5 * error**2, error - 0.5)",
            hint="Your line begins at 1 whatever `delta` says.",
        ),
        Mutant(
            "sums",
            old="bent.mean()",
            new="bent.sum()",
            hint="A sum grows with the batch, and so would every step: take the mean.",
        ),
        Mutant(
            "broadcasts",
            old="(pred - target)",
            new="(pred.unsqueeze(1) - target)",
            hint="(batch, 1) minus (batch,) is (batch, batch): every prediction is compared with"
            " every target, without an error.",
        ),
        Mutant(
            "detached",
            old="(pred - target)",
            new="(pred.detach() - target)",
            hint="No gradient reaches the prediction: there is nothing to learn from.",
        ),
    ),
    variants=(variants.huber_in_torch, variants.huber_by_clamping),
)

PARAMETERS = (
    "for new, old in zip(online.parameters(), target.parameters(), strict=True):\n"
    "            old.copy_(tau * new + (1.0 - tau) * old)"
)
BUFFERS = (
    "for source, kept in zip(online.buffers(), target.buffers(), strict=True):\n"
    "            kept.copy_(source)"
)
SYNC = Exercise(
    reference=reference.sync,
    points=3,
    probe=Copies("online", "target"),
    groups=(
        Group("a copy", cases.whole_copies, public=True),
        Group("part of the way", cases.part_of_the_way, public=True),
        Group("other copies", cases.whole_copies),
        Group("other parts of the way", cases.part_of_the_way),
    ),
    mutants=(
        Mutant(
            "only_the_name",
            old=f"{PARAMETERS}\n        {BUFFERS}",
            new="target = online",
            hint="The target network stays as it was. `target = online` only renames something"
            " inside your function, and `target.state_dict = ...` puts something in the place of a"
            " method: write into its parameters.",
        ),
        Mutant(
            "aliases",
            old="old.copy_(tau * new + (1.0 - tau) * old)",
            new="old.data = new.data if tau == 1.0 else tau * new + (1.0 - tau) * old",
            hint="`old.data = new.data` makes both networks share one memory: from then on the"
            " target moves with every step of the online network. Copy the numbers (`copy_`).",
        ),
        Mutant(
            "aliases_buffers",
            old="for source, kept in zip(online.buffers(), target.buffers(), strict=True):\n"
            "            kept.copy_(source)",
            new="for source, kept in zip(online.buffers(), target.buffers(), strict=True):\n"
            "            kept.data = source.data",
            hint="Parameters are copied, but the buffers of both networks now share one memory.",
        ),
        Mutant(
            "tau_reversed",
            old="tau * new + (1.0 - tau) * old",
            new="tau * old + (1.0 - tau) * new",
            hint="tau is the share of the *online* network: with tau = 1 the target becomes a copy"
            " of it.",
        ),
        Mutant(
            "ignores_tau",
            old="tau * new + (1.0 - tau) * old",
            new="new",
            hint="You copy whole: with tau below 1 the target goes only part of the way.",
        ),
        Mutant(
            "adds_up",
            old="tau * new + (1.0 - tau) * old",
            new="tau * new + old",
            hint="The weights must sum to 1: what the online network adds, the old target loses.",
        ),
        Mutant(
            "skips_buffers",
            old=f"\n        {BUFFERS}",
            new="",
            hint="Buffers are no parameters: the running means of a normalising layer stay behind,"
            " and the target network judges by statistics of the first minute.",
        ),
        Mutant(
            "mixes_buffers",
            old="kept.copy_(source)",
            new="kept.copy_(tau * source + (1.0 - tau) * kept)",
            hint="Buffers are statistics (one is a count): copy them whole, whatever tau is.",
        ),
        Mutant(
            "wrong_way",
            old="zip(online.parameters(), target.parameters(), strict=True)",
            new="zip(target.parameters(), online.parameters(), strict=True)",
            hint="You write into the online network, and what it had learned is gone: the target"
            " follows, not the other way round.",
        ),
        Mutant(
            "last_layer_only",
            old="zip(online.parameters(), target.parameters(), strict=True)",
            new="list(zip(online.parameters(), target.parameters(), strict=True))[-2:]",
            hint="Only the last layer follows: go through all parameters.",
        ),
    ),
    variants=(variants.sync_by_state, variants.sync_by_lerp),
)

LINEAR_SCHEDULE = Exercise(
    reference=reference.linear_schedule,
    points=2,
    groups=(
        Group("by hand", cases.schedule_by_hand, public=True),
        Group("on the way", cases.on_the_way, public=True),
        Group("arrived", cases.there, public=True),
        Group("upwards", cases.upwards, public=True),
        Group("others on the way", cases.on_the_way),
        Group("others arrived", cases.there),
    ),
    mutants=(
        Mutant(
            "not_clamped",
            old="min(step / (fraction * total), 1.0)",
            new="step / (fraction * total)",
            hint="Your line goes on when it has arrived: exploration would become negative. After"
            " `fraction * total` steps the value stays at `end`.",
        ),
        Mutant(
            "divides_by_total",
            old="(fraction * total)",
            new="total",
            hint="You take the whole training for the change: it is over after `fraction * total`"
            " steps.",
        ),
        Mutant(
            "no_total",
            old="(fraction * total)",
            new="fraction",
            hint="`fraction` is a share of `total`, not a number of steps.",
        ),
        Mutant(
            "jumps",
            old="start + progress_made * (end - start)",
            new="start if progress_made < 1.0 else end",
            hint="That is a step, not a line.",
        ),
        Mutant(
            "falls_to_zero",
            old="start + progress_made * (end - start)",
            new="max(start * (1.0 - progress_made), end)",
            hint="Your line aims at 0 and is cut off at `end`: it arrives too early, and it can"
            " only fall.",
        ),
        Mutant(
            "from_end_to_start",
            old="start + progress_made * (end - start)",
            new="end + progress_made * (start - end)",
            hint="You go from `end` to `start`.",
        ),
        Mutant(
            "adds_end",
            old="progress_made * (end - start)",
            new="progress_made * end",
            hint="The way to go is `end - start`.",
        ),
        Mutant(
            "geometric",
            old="start + progress_made * (end - start)",
            new="start * (end / start) ** progress_made",
            hint="That is a geometric decay: equal ratios, not equal steps.",
        ),
        Mutant(
            "clamped_at_end_only_down",
            old="return start + progress_made * (end - start)",
            new="return max(start + step / (fraction * total) * (end - start), end)",
            hint="`max(..., end)` stops a schedule that falls; one that rises jumps to its end at"
            " once. Clamp the share of the way instead.",
        ),
    ),
    variants=(variants.schedule_by_cases, variants.schedule_by_interpolation),
)

KL = "log_teacher.exp() * (log_teacher - log_student)"
KD_LOSS = Exercise(
    reference=reference.kd_loss,
    points=4,
    probe=Gradient(("student_logits", "teacher_logits")),
    groups=(
        Group("by hand", cases.kd_by_hand, public=True),
        Group("temperature 1", cases.kd_plain, public=True),
        Group("soft", cases.kd_soft, public=True),
        Group("sharp", cases.kd_sharp, public=True),
        Group("large logits", cases.kd_large, public=True),
        Group("other policies", cases.kd_plain),
        Group("soft, others", cases.kd_soft),
        Group("sharp, others", cases.kd_sharp),
    ),
    mutants=(
        Mutant(
            "no_t_squared",
            old="temperature**2 * divergence",
            new="divergence",
            hint="The factor T squared is missing: gradients of softened targets shrink like"
            " 1 / T^2, and it brings them back to one scale.",
        ),
        Mutant(
            "t_not_squared",
            old="temperature**2 * divergence",
            new="temperature * divergence",
            hint="The factor is the square of the temperature.",
        ),
        Mutant(
            "kl_reversed",
            old=KL,
            new="log_student.exp() * (log_student - log_teacher)",
            hint="Your divergence is KL(student || teacher): the teacher's probabilities are the"
            " weights, KL(teacher || student).",
        ),
        Mutant(
            "cross_entropy",
            old=KL,
            new="log_teacher.exp() * -log_student",
            hint="That is the cross-entropy. Its gradient is right, but it is larger by the"
            " teacher's entropy: a perfect student would not get 0.",
        ),
        Mutant(
            "sign",
            old="log_teacher - log_student",
            new="log_student - log_teacher",
            hint="The sign is wrong: a divergence is never below 0.",
        ),
        Mutant(
            "no_temperature",
            old="log_softmax(teacher_logits.detach() / temperature, dim=1)\n"
            "    log_student = torch.log_softmax(student_logits / temperature, dim=1)",
            new="log_softmax(teacher_logits.detach(), dim=1)\n"
            "    log_student = torch.log_softmax(student_logits, dim=1)",
            hint="The temperature divides both logits, before the softmax.",
        ),
        Mutant(
            "only_the_teacher_is_softened",
            old="student_logits / temperature",
            new="student_logits",
            hint="The student is softened by the same temperature as the teacher.",
        ),
        Mutant(
            "only_the_student_is_softened",
            old="teacher_logits.detach() / temperature",
            new="teacher_logits.detach()",
            hint="The teacher is softened by the same temperature as the student.",
        ),
        Mutant(
            "multiplies_by_t",
            old="log_softmax(teacher_logits.detach() / temperature, dim=1)\n"
            "    log_student = torch.log_softmax(student_logits / temperature, dim=1)",
            new="log_softmax(teacher_logits.detach() * temperature, dim=1)\n"
            "    log_student = torch.log_softmax(student_logits * temperature, dim=1)",
            hint="You multiply by the temperature: a high one is to make distributions soft.",
        ),
        Mutant(
            "logarithms_for_probabilities",
            old=KL,
            new="torch.nn.functional.kl_div(log_student, log_teacher, reduction='none')",
            hint="`kl_div` takes its second argument for probabilities unless you say"
            " `log_target=True`: given logarithms, it takes logarithms of negative numbers.",
        ),
        Mutant(
            "probabilities_for_logarithms",
            old=KL,
            new="torch.nn.functional.kl_div("
            "log_student.exp(), log_teacher.exp(), reduction='none')",
            hint="`kl_div` wants the *logarithms* of the student's probabilities as its first"
            " argument: `log_softmax`, not `softmax`.",
        ),
        Mutant(
            "mean_over_actions",
            old=".sum(dim=1)",
            new=".mean(dim=1)",
            hint="You average over the actions as well (as `kl_div` with `reduction='mean'`"
            " does): sum over the actions, mean over the batch.",
        ),
        Mutant(
            "sums_over_the_batch",
            old="divergence.mean()",
            new="divergence.sum()",
            hint="A sum grows with the batch: take the mean.",
        ),
        Mutant(
            "teaches_the_teacher",
            old="teacher_logits.detach()",
            new="teacher_logits",
            hint="A gradient flows into the teacher, who would learn to be imitated: detach it.",
        ),
        Mutant(
            "log_of_softmax",
            old="log_student = torch.log_softmax(student_logits / temperature, dim=1)",
            new="log_student = torch.log(torch.softmax(student_logits / temperature, dim=1))",
            hint="The softmax of a logit far below the others is 0, and its logarithm minus"
            " infinity. `torch.log_softmax` never leaves the logarithm.",
        ),
        Mutant(
            "over_the_batch",
            old="log_softmax(teacher_logits.detach() / temperature, dim=1)\n"
            "    log_student = torch.log_softmax(student_logits / temperature, dim=1)",
            new="log_softmax(teacher_logits.detach() / temperature, dim=0)\n"
            "    log_student = torch.log_softmax(student_logits / temperature, dim=0)",
            hint="Probabilities sum to 1 over the actions, axis 1, not over the batch.",
        ),
        Mutant(
            "hard_targets",
            old=KL,
            new="-log_student * (log_teacher == log_teacher.max(dim=1, keepdim=True).values)",
            hint="You learn the teacher's favourite alone: how much it likes the others is what"
            " distillation is about.",
        ),
        Mutant(
            "squared_difference",
            old=KL,
            new="0.5 * (student_logits - teacher_logits.detach()) ** 2",
            hint="You regress the logits. Adding a constant to all of them changes no policy, but"
            " it changes your loss.",
        ),
    ),
    variants=(variants.kd_in_torch, variants.kd_by_cross_entropy),
)

HAPPENED = '~ended_before if mode == "next_step" else np.ones_like(terminated)'
FINAL = (
    'if mode == "same_step":\n'
    "        for env in np.flatnonzero(terminated | truncated):\n"
    '            last_obs[env] = infos["final_obs"][env]'
)
STORE_TRANSITION = Exercise(
    reference=reference.store_transition,
    points=4,
    groups=(
        Group("nothing ended", cases.nothing_ended, public=True),
        Group("reset in the next step", cases.next_step, public=True),
        Group("reset in the same step", cases.same_step, public=True),
        Group("reset by hand", cases.disabled, public=True),
        Group("reset in the next step, others", cases.next_step),
        Group("reset in the same step, others", cases.same_step),
    ),
    mutants=(
        Mutant(
            "keeps_the_dummy",
            old=HAPPENED,
            new="np.ones_like(terminated)",
            hint="In `next_step` mode the step after an ending is a reset: nobody took that"
            " action, and it teaches that a fallen pole stands up. Leave those rows out.",
        ),
        Mutant(
            "drops_the_ending",
            old="~ended_before if",
            new="~(terminated | truncated) if",
            hint="You drop the step that ended the episode, the most telling one there is: the"
            " row to drop comes one step later.",
        ),
        Mutant(
            "drops_what_pays_nothing",
            old="~ended_before if",
            new="reward != 0.0 if",
            hint="A reset pays 0, but not all that pays 0 is a reset: in many worlds most steps"
            " do. `ended_before` says which rows to leave out.",
        ),
        Mutant(
            "keeps_the_dummy_as_an_end",
            old=HAPPENED + "\n",
            new="np.ones_like(terminated)\n    terminated = terminated | "
            '(ended_before & (mode == "next_step"))\n',
            hint="A row that nobody made does not become true by ending there: it would teach that"
            " the last observation of an episode is worth a reward of 0. Leave it out.",
        ),
        Mutant(
            "drops_the_ending_in_same_step",
            old=HAPPENED,
            new='~ended_before if mode == "next_step" else '
            '~((terminated | truncated) & (mode == "same_step"))',
            hint="In `same_step` mode you drop the rows in which an episode ended, the only ones"
            " that tell about endings: keep them, with the last observation from `infos`.",
        ),
        Mutant(
            "drops_in_every_mode",
            old=HAPPENED,
            new="~ended_before",
            hint="A dummy step exists in `next_step` mode alone: in the other modes you throw away"
            " the first step of every episode.",
        ),
        Mutant(
            "drops_in_same_step_too",
            old='mode == "next_step"',
            new='mode != "disabled"',
            hint="In `same_step` mode the reset has happened already: the first step of the new"
            " episode is a real one.",
        ),
        Mutant(
            "drops_in_disabled_too",
            old='mode == "next_step"',
            new='mode != "same_step"',
            hint="In `disabled` mode somebody has reset the environment by hand: the first step of"
            " the new episode is a real one.",
        ),
        Mutant(
            "only_what_was_dropped",
            old="~ended_before if",
            new="ended_before if",
            hint="Your mask is upside down: it keeps the resets and drops what happened.",
        ),
        Mutant(
            "reset_obs",
            old=f"    {FINAL}\n",
            new="",
            hint="In `same_step` mode `next_obs` of an environment that ended is the first"
            " observation of the *next* episode: its last one is in `infos['final_obs']`.",
        ),
        Mutant(
            "final_obs_of_terminated_only",
            old="np.flatnonzero(terminated | truncated)",
            new="np.flatnonzero(terminated)",
            hint="Environments that a time limit cut are reset as well, and there the last"
            " observation matters most: the target bootstraps from it.",
        ),
        Mutant(
            "final_obs_of_truncated_only",
            old="np.flatnonzero(terminated | truncated)",
            new="np.flatnonzero(truncated)",
            hint="Environments that terminated are reset as well: their last observation, too, is"
            " in `infos['final_obs']`.",
        ),
        Mutant(
            "stores_done",
            old='"terminated": terminated}',
            new='"terminated": terminated | truncated}',
            hint="You store `terminated | truncated` as `terminated`: the target will then treat"
            " a time limit as the end of the world.",
        ),
        Mutant(
            "stores_no_end_at_a_limit",
            old='"terminated": terminated}',
            new='"terminated": terminated & ~truncated}',
            hint="An environment that terminated in the very step in which the clock struck has"
            " terminated.",
        ),
        Mutant(
            "next_obs_as_obs",
            old='{"obs": obs,',
            new='{"obs": last_obs,',
            hint="`obs` is what the environments showed *before* the step.",
        ),
        Mutant(
            "next_obs_in_place",
            old="next_obs.copy()",
            new="next_obs",
            hint="You write into `next_obs`, which the loop needs for its next action: work on a"
            " copy.",
        ),
    ),
    variants=(variants.store_by_loop, variants.store_by_where),
)


# ---- predictions ------------------------------------------------------------------------------

TOO_HIGH = Numeric(
    "too_high",
    points=1,
    answer=1.0294,
    tolerance=0.01,
    mistakes=(
        Mistake(0.0, "Each estimate is right on average, but the maximum picks the luckiest one."),
        Mistake(0.5642, "That is the mean of the larger of *two* estimates."),
        Mistake(0.8463, "That is the mean of the largest of *three* estimates."),
        Mistake(0.7979, "That is the mean size of one error; the maximum of four is larger."),
    ),
)


# ---- the trained networks ---------------------------------------------------------------------

BALANCES = (
    "A right DQN balances for 500 steps in nearly every episode, though not with every seed. If"
    " yours stays near 10, look at `gather_q` and the sign of the step; if it never gets past 200,"
    " climb the ladder of probe environments and look at the terminal mask, the copies of the"
    " target network and what goes into the buffer."
)
CARTPOLE_TEACHER = Outcome(
    "cartpole_teacher",
    points=3,
    reference=agents.teacher,
    artifact="cartpole_teacher.safetensors",
    tensors=agents.shapes(agents.TEACHER),
    gates=(
        Gate(
            "mean return of 100 greedy episodes",
            agents.greedy_mean,
            low=475.0,
            high=500.0,
            hint=BALANCES,
        ),
    ),
    wrong=(
        Wrong("untrained", agents.untrained),
        Wrong("bootstraps_from_the_end", agents.bootstraps_from_the_end),
    ),
    time_limit=60.0,
)

CARTPOLE_STUDENT = Outcome(
    "cartpole_student",
    points=2,
    reference=agents.student,
    artifact="cartpole_student.safetensors",
    tensors=agents.shapes(agents.STUDENT),
    gates=(
        Gate(
            "mean return of 100 greedy episodes",
            agents.greedy_mean,
            low=475.0,
            high=500.0,
            hint="A student of a tenth of the size can do what its teacher does. If it can't, look"
            " at the direction of the divergence, at who gets the gradient, and at the"
            " temperature: the teacher's values of the two actions differ by little.",
        ),
    ),
    wrong=(
        Wrong("untaught", agents.untaught),
        Wrong("taught_the_opposite", agents.taught_the_opposite),
    ),
    time_limit=60.0,
)
