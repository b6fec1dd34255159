// The cliff and the three ways to learn on it, without a page: cliff.js draws what this computes.
// Dynamics: Sutton & Barto (2018), example 6.6, as in Gymnasium's CliffWalking: falling costs 100
// and puts you back at the start; only the goal ends an episode.

export const ROWS = 4, COLS = 12, NUM_OBS = ROWS * COLS, NUM_ACTIONS = 4;
export const START = 36, GOAL = 47;
export const METHODS = ["sarsa", "expected", "qlearning"];
const ROW_STEP = [-1, 0, 1, 0], COL_STEP = [0, 1, 0, -1]; // up, right, down, left

export const isCliff = (obs) => obs > START && obs < GOAL;

// One step of the world. `entered` is the cell walked into, the cliff's too.
export function step(obs, action) {
  const row = Math.min(ROWS - 1, Math.max(0, Math.floor(obs / COLS) + ROW_STEP[action]));
  const col = Math.min(COLS - 1, Math.max(0, (obs % COLS) + COL_STEP[action]));
  const entered = row * COLS + col;
  if (isCliff(entered)) return { obs: START, reward: -100, terminated: false, entered };
  return { obs: entered, reward: -1, terminated: entered === GOAL, entered };
}

export const row = (Q, obs) => Q.slice(obs * NUM_ACTIONS, (obs + 1) * NUM_ACTIONS);

// Probabilities of the epsilon-greedy policy; the best share what is not explored.
export function policy(q, epsilon) {
  const best = Math.max(...q), ties = q.reduce((n, v) => n + (v === best), 0);
  return Array.from(q, (v) => epsilon / q.length + (v === best ? (1 - epsilon) / ties : 0));
}

// What the next state is worth, to each method. nextAction is used by SARSA alone.
export function nextValue(method, q, nextAction, epsilon) {
  if (method === "sarsa") return q[nextAction];
  if (method === "qlearning") return Math.max(...q);
  return policy(q, epsilon).reduce((sum, p, a) => sum + p * q[a], 0);
}

// r + gamma * (1 - terminated) * value of what comes next
export function target(method, Q, { reward, nextObs, nextAction, terminated }, { epsilon, gamma }) {
  if (terminated) return reward;
  return reward + gamma * nextValue(method, row(Q, nextObs), nextAction, epsilon);
}

// Moves Q[obs, action] towards the target, in place.
export function update(method, Q, transition, knobs) {
  const i = transition.obs * NUM_ACTIONS + transition.action;
  Q[i] += knobs.alpha * (target(method, Q, transition, knobs) - Q[i]);
}

export function random(seed) { // mulberry32: small, seeded, good enough to look at
  let x = seed >>> 0;
  return () => {
    x = (x + 0x6d2b79f5) >>> 0;
    let t = Math.imul(x ^ (x >>> 15), 1 | x);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export function greedyActions(q) {
  const best = Math.max(...q);
  return Array.from(q.keys()).filter((a) => q[a] === best);
}

export class Agent {
  constructor(method, seed, maxSteps = 2000) {
    Object.assign(this, { method, maxSteps });
    this.reset(seed);
  }
  reset(seed) {
    this.seed = seed;
    this.random = random(seed);
    this.Q = new Float64Array(NUM_OBS * NUM_ACTIONS);
    this.returns = [];
    this.falls = 0;
    this.begin();
  }
  begin() {
    Object.assign(this, { obs: START, action: null, sum: 0, steps: 0 });
  }
  act(obs, epsilon) {
    if (this.random() < epsilon) return Math.floor(this.random() * NUM_ACTIONS);
    const best = greedyActions(row(this.Q, obs));
    return best[Math.floor(this.random() * best.length)];
  }
  // One step and one update. Returns whether that ended the episode.
  tick(knobs) {
    const { obs } = this, action = this.action ?? this.act(obs, knobs.epsilon);
    const { obs: nextObs, reward, terminated, entered } = step(obs, action);
    // SARSA must know its next action before it learns; the others choose after.
    const nextAction = this.method === "sarsa" ? this.act(nextObs, knobs.epsilon) : null;
    update(this.method, this.Q, { obs, action, reward, nextObs, nextAction, terminated }, knobs);
    this.sum += reward;
    this.steps += 1;
    this.falls += isCliff(entered);
    this.obs = nextObs;
    this.action = nextAction;
    const over = terminated || this.steps >= this.maxSteps;
    if (over) {
      this.returns.push(this.sum);
      this.begin();
    }
    return over;
  }
  episode(knobs) {
    while (!this.tick(knobs));
  }
  // Cells of the walk without exploring; stops at the goal, in the cliff, or when it comes round.
  greedyPath() {
    const cells = [START], seen = new Set(cells);
    for (let obs = START; ; ) {
      const next = step(obs, greedyActions(row(this.Q, obs))[0]);
      cells.push(next.entered);
      if (next.terminated || isCliff(next.entered) || seen.has(next.obs)) return cells;
      seen.add((obs = next.obs));
    }
  }
  // Mean return of the last `n` episodes, or null.
  recent(n) {
    const last = this.returns.slice(-n);
    return last.length ? last.reduce((a, b) => a + b, 0) / last.length : null;
  }
}
