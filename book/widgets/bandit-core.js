// Ten-armed bandits and who plays them, without a page: bandit.js draws what this computes.
// Sutton & Barto (2018), chapter 2: true values and the noise of a reward are standard normal.
import { normal } from "./bias-core.js";
import { random } from "./cliff-core.js";

export const NUM_ARMS = 10;
const DRIFT = 0.05; // standard deviation of a true value's step in a world that changes

// A mean and a bonus for what is little known (their equation 2.10); infinite for what is not tried.
export const ucb = (mean, count, total, c) =>
  count ? mean + c * Math.sqrt(Math.log(total) / count) : Infinity;

export function softmax(preferences) {
  const top = Math.max(...preferences);
  const weights = Array.from(preferences, (h) => Math.exp(h - top));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((w) => w / sum);
}

// The index of a largest score; equal ones have equal chances.
export function argmax(scores, next) {
  let best = -Infinity, ties = 0;
  for (const score of scores) {
    if (score > best) [best, ties] = [score, 1];
    else if (score === best) ties += 1;
  }
  let skip = Math.floor(next() * ties);
  return scores.findIndex((score) => score === best && skip-- === 0);
}

// The next arm of an agent {Q, N, time} whose knobs are {method, epsilon, c}.
export function choose({ Q, N, time }, { method, epsilon, c }, next) {
  if (method === "gradient") {
    const chances = softmax(Q);
    let left = next();
    const arm = chances.findIndex((p) => (left -= p) < 0);
    return arm < 0 ? Q.length - 1 : arm;
  }
  if (method === "ucb") return argmax(Q.map((q, a) => ucb(q, N[a], time + 1, c)), next);
  return next() < epsilon ? Math.floor(next() * Q.length) : argmax(Q, next);
}

// Learns from one reward, in place. alpha 0 stands for 1/n, the sample average.
export function learn(agent, arm, reward, { method, alpha }) {
  const { Q, N } = agent;
  N[arm] += 1;
  agent.time += 1;
  if (method === "gradient") { // Q holds preferences; the baseline is the mean of earlier rewards
    const better = agent.time > 1 ? reward - agent.baseline : 0;
    softmax(Q).forEach((p, a) => (Q[a] += alpha * better * ((a === arm) - p)));
  } else Q[arm] += (alpha || 1 / N[arm]) * (reward - Q[arm]);
  agent.baseline += (reward - agent.baseline) / agent.time;
}

export const newAgent = ({ method, initial }) => ({
  Q: new Float64Array(NUM_ARMS).fill(method === "gradient" ? 0 : initial),
  N: new Float64Array(NUM_ARMS),
  time: 0,
  baseline: 0,
});

// Many bandits, each with its own agent, played in step. Two testbeds with one seed have the same
// bandits, whatever their agents do.
export class Testbed {
  constructor(knobs, count, seed) {
    this.knobs = knobs;
    const world = random(seed);
    this.truth = Array.from({ length: count }, () =>
      Float64Array.from({ length: NUM_ARMS }, () => normal(world)),
    );
    this.agents = this.truth.map(() => newAgent(knobs));
    this.next = random(seed + 1e6);
    this.rewards = []; // means over the bandits, by step: what was earned, how often by the best
    this.optimal = []; // arm, and what the best arm would have earned
    this.best = [];
  }
  // Plays one arm of one bandit. `noise` is the reward's distance from the arm's true value.
  pull(bandit, arm, noise = normal(this.next)) {
    const truth = this.truth[bandit], reward = truth[arm] + noise, best = Math.max(...truth);
    learn(this.agents[bandit], arm, reward, this.knobs);
    const step = { arm, reward, best, optimal: truth[arm] === best };
    if (this.knobs.drift) for (let a = 0; a < NUM_ARMS; a++) truth[a] += DRIFT * normal(this.next);
    return step;
  }
  step() {
    let rewards = 0, optimal = 0, best = 0;
    this.agents.forEach((agent, bandit) => {
      const seen = this.pull(bandit, choose(agent, this.knobs, this.next));
      rewards += seen.reward;
      optimal += seen.optimal;
      best += seen.best;
    });
    this.rewards.push(rewards / this.agents.length);
    this.optimal.push(optimal / this.agents.length);
    this.best.push(best / this.agents.length);
  }
}

// Mean of the last `n` numbers.
export const late = (numbers, n = 100) => {
  const last = numbers.slice(-n);
  return last.reduce((a, b) => a + b, 0) / last.length;
};
