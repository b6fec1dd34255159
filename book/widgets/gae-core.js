// GAE on one stretch of a rollout, without a page: Schulman et al. (2016), equation 16, with the two
// masks of chapter 5. Each function takes rows of time: reward[t], value[t], nextValue[t], the two
// endings, and knobs { gamma, lambda }.
import { normal } from "./bias-core.js";
import { random } from "./cliff-core.js";

export const STEPS = 20, END = 11; // the step that ends an episode, where one ends

// A[t] = delta[t] + gamma lambda (1 - done[t]) A[t + 1], delta masked by terminated alone.
export function gae({ reward, value, nextValue, terminated, truncated }, { gamma, lambda }) {
  const delta = reward.map((r, t) => r + gamma * (terminated[t] ? 0 : nextValue[t]) - value[t]);
  const advantage = Array(reward.length);
  let later = 0;
  for (let t = reward.length - 1; t >= 0; t--) {
    const goesOn = terminated[t] || truncated[t] ? 0 : 1;
    later = advantage[t] = delta[t] + gamma * lambda * goesOn * later;
  }
  return { delta, advantage };
}

// How much delta[t] counts in the advantage of the first step.
export function weights({ terminated, truncated }, { gamma, lambda }) {
  let weight = 1;
  return terminated.map((ends, t) => {
    const now = weight;
    weight *= ends || truncated[t] ? 0 : gamma * lambda;
    return now;
  });
}

// The flags of an ending ("none", "terminal", "limit"), and what code with a mistake makes of them.
export function flags(ending, mistake) {
  const at = (name) => Array.from({ length: STEPS }, (_, t) => ending === name && t === END);
  const terminated = at("terminal"), truncated = at("limit");
  if (mistake === "done") return { terminated: terminated.map((ends, t) => ends || truncated[t]), truncated: at("never") };
  return { terminated, truncated };
}

// Rows as a rollout has them. A step pays 1 and luck. The critic says what a state is worth (how many
// discounted steps are left) and errs by error[t] at the observation of step t. The observations that
// begin no step come last: the one after the rollout's last step, and the one that ended the episode.
export function rollout(ending, { gamma }, { luck, error }) {
  const forever = 1 / (1 - gamma);
  const left = (t) => (ending === "terminal" && t <= END ? (1 - gamma ** (END + 1 - t)) / (1 - gamma) : forever);
  const value = luck.map((_, t) => left(t) + error[t]);
  const nextValue = luck.map((_, t) => {
    if (ending === "none" || t !== END) return t + 1 === STEPS ? forever + error[STEPS] : value[t + 1];
    return (ending === "terminal" ? 0 : forever) + error[STEPS + 1];
  });
  return { reward: luck.map((noise) => 1 + noise), value, nextValue };
}

// The first step's advantage in one draw, by code that may have a mistake.
export function estimate(ending, mistake, knobs, drawn) {
  const { terminated, truncated } = flags(ending, mistake);
  const { delta } = gae({ ...rollout(ending, knobs, drawn), terminated, truncated }, knobs);
  const weight = weights(mistake === "leak" ? flags("none") : { terminated, truncated }, knobs);
  return { delta, weight, advantage: delta.reduce((sum, d, t) => sum + weight[t] * d, 0) };
}

// Squared bias and variance of that advantage, expected over luck (deviation sigma) and over critics
// (independent errors of deviation c). The first state's own error is left out: it is a baseline, the
// same for every action, and no gradient feels it.
export function errors(ending, mistake, knobs, { sigma, c }) {
  const none = { luck: Array(STEPS).fill(0), error: Array(STEPS + 2).fill(0) };
  const { advantage: offset, weight } = estimate(ending, mistake, knobs, none);
  const fromCritic = none.error.map((_, t) => {
    const error = none.error.map((_, other) => (other === t ? 1 : 0));
    return (estimate(ending, mistake, knobs, { ...none, error }).advantage - offset) ** 2;
  });
  const sum = (numbers) => numbers.reduce((total, x) => total + x, 0);
  return { bias: offset ** 2 + c ** 2 * sum(fromCritic.slice(1)), variance: sigma ** 2 * sum(weight.map((w) => w * w)) };
}

// One draw of luck and of a critic, in units of their deviations.
export function draw(seed) {
  const next = random(seed), many = (count) => Array.from({ length: count }, () => normal(next));
  return { luck: many(STEPS), error: many(STEPS + 2) };
}
