// A small DQN that learns CartPole, without a page: replay-target.js draws what this computes.
// Dynamics as in Gymnasium's CartPole-v1; network, target and loss as in the lab, Adam as in torch.
import { random } from "./cliff-core.js";

export const OBS = 4, ACTIONS = 2, HIDDEN = 24, CAPACITY = 5000, LIMIT = 500, STARTS = 32;
const GRAVITY = 9.8, FORCE = 10, SECONDS = 0.02, POLE = 0.1, HALF = 0.5, MASS = 1 + POLE;
const STEEPEST = (12 * 2 * Math.PI) / 360;

// One step of the world.
export function step([x, v, angle, spin], action) {
  const sin = Math.sin(angle), cos = Math.cos(angle);
  const push = ((action ? FORCE : -FORCE) + POLE * HALF * spin * spin * sin) / MASS;
  const turn = (GRAVITY * sin - cos * push) / (HALF * (4 / 3 - (POLE * cos * cos) / MASS));
  const pull = push - (POLE * HALF * turn * cos) / MASS;
  const state = [x + SECONDS * v, v + SECONDS * pull, angle + SECONDS * spin, spin + SECONDS * turn];
  return { state, terminated: Math.abs(state[0]) > 2.4 || Math.abs(state[2]) > STEEPEST };
}

// r + gamma max Q(s'), nothing behind a terminal state.
export const dqnTarget = (nextQ, reward, terminated, gamma) => reward + (terminated ? 0 : gamma * Math.max(...nextQ));

export const huber = (error, delta = 1) =>
  Math.abs(error) <= delta ? (error * error) / 2 : delta * (Math.abs(error) - delta / 2);

export const huberSlope = (error, delta = 1) => Math.max(-delta, Math.min(delta, error));

const layers = (hidden) => [[OBS, hidden], [hidden, hidden], [hidden, ACTIONS]];

// Weights of a layer: rows of `inputs` numbers, one row for each output, then the biases.
export function network(next, hidden = HIDDEN) {
  return layers(hidden).map(([inputs, outputs]) => {
    const bound = 1 / Math.sqrt(inputs); // as torch.nn.Linear begins
    return Float64Array.from({ length: (inputs + 1) * outputs }, () => (2 * next() - 1) * bound);
  });
}

// What each layer says, the observation first and the values of the actions last.
export function forward(net, obs) {
  const said = [obs];
  for (const weights of net) {
    const input = said.at(-1), inputs = input.length, outputs = weights.length / (inputs + 1);
    const output = new Float64Array(outputs), last = said.length === net.length;
    for (let o = 0; o < outputs; o++) {
      let sum = weights[inputs * outputs + o];
      for (let i = 0; i < inputs; i++) sum += weights[o * inputs + i] * input[i];
      output[o] = last || sum > 0 ? sum : 0;
    }
    said.push(output);
  }
  return said;
}

export const values = (net, obs) => forward(net, obs).at(-1);

// The gradient of the mean Huber loss of a batch, and the mean absolute error.
export function gradient(net, targetNet, batch, { gamma, delta }) {
  const slopes = net.map((weights) => new Float64Array(weights.length));
  let off = 0;
  for (const { obs, action, reward, nextObs, terminated } of batch) {
    const said = forward(net, obs);
    const error = said.at(-1)[action] - dqnTarget(values(targetNet, nextObs), reward, terminated, gamma);
    off += Math.abs(error) / batch.length;
    let back = new Float64Array(ACTIONS);
    back[action] = huberSlope(error, delta) / batch.length;
    for (let l = net.length - 1; l >= 0; l--) {
      const input = said[l], inputs = input.length, outputs = back.length, before = new Float64Array(inputs);
      for (let o = 0; o < outputs; o++) {
        if (back[o] === 0) continue;
        slopes[l][inputs * outputs + o] += back[o];
        for (let i = 0; i < inputs; i++) {
          slopes[l][o * inputs + i] += back[o] * input[i];
          if (input[i] > 0) before[i] += back[o] * net[l][o * inputs + i]; // behind a ReLU
        }
      }
      back = before;
    }
  }
  return { slopes, off };
}

export class Adam {
  constructor(net, rate) {
    Object.assign(this, { rate, time: 0, mean: net.map((w) => new Float64Array(w.length)), square: net.map((w) => new Float64Array(w.length)) });
  }
  move(net, slopes) {
    this.time += 1;
    const first = 1 - 0.9 ** this.time, second = 1 - 0.999 ** this.time;
    net.forEach((weights, l) => {
      const mean = this.mean[l], square = this.square[l];
      for (let i = 0; i < weights.length; i++) {
        const slope = slopes[l][i];
        mean[i] = 0.9 * mean[i] + 0.1 * slope;
        square[i] = 0.999 * square[i] + 0.001 * slope * slope;
        weights[i] -= ((this.rate * mean[i]) / first) / (Math.sqrt(square[i] / second) + 1e-8);
      }
    });
  }
}

export const sync = (net, target) => net.forEach((weights, l) => target[l].set(weights));

// One agent and its pole. Without replay it learns from its latest transitions, each batch in a row;
// without a target network it asks itself. One update after each step.
export class Agent {
  constructor({ replay, target, batchSize, syncEvery, seed, steps, delta = 1, rate = 1e-3, gamma = 0.99 }) {
    Object.assign(this, { batchSize, steps, gamma, delta, time: 0, row: 0, memory: [], lasted: [], played: 0 });
    this.capacity = replay ? CAPACITY : batchSize;
    this.syncEvery = target ? syncEvery : 1;
    this.next = random(seed);
    this.net = network(this.next);
    this.targetNet = this.net.map((weights) => weights.slice());
    this.adam = new Adam(this.net, rate);
    this.starts = Array.from({ length: STARTS }, () => this.start());
    this.state = this.start();
  }
  start() {
    return Array.from({ length: OBS }, () => 0.1 * this.next() - 0.05);
  }
  get epsilon() {
    return Math.max(0.05, 1 - (0.95 * this.time) / (0.25 * this.steps));
  }
  // What it expects from the start, on average over a few starts.
  believed() {
    return this.starts.reduce((sum, obs) => sum + Math.max(...values(this.net, obs)), 0) / STARTS;
  }
  // One step of the world and one update; returns the mean absolute error of the batch, if any.
  step() {
    const q = values(this.net, this.state);
    const action = this.next() < this.epsilon ? Math.floor(2 * this.next()) : Number(q[1] > q[0]);
    const { state, terminated } = step(this.state, action);
    this.memory[this.row] = { obs: this.state, action, reward: 1, nextObs: state, terminated };
    this.row = (this.row + 1) % this.capacity;
    this.played += 1;
    this.state = state;
    if (terminated || this.played === LIMIT) { // a time limit ends the episode, not the future
      this.lasted.push(this.played);
      this.played = 0;
      this.state = this.start();
    }
    this.time += 1;
    if (this.time < 500) return null;
    const held = this.memory.length;
    const batch = held === this.batchSize ? this.memory : Array.from({ length: this.batchSize }, () => this.memory[Math.floor(this.next() * held)]);
    const { slopes, off } = gradient(this.net, this.targetNet, batch, this);
    this.adam.move(this.net, slopes);
    if (this.time % this.syncEvery === 0) sync(this.net, this.targetNet);
    return off;
  }
  // Steps that the pole stayed up in the latest episodes.
  recent(count = 10) {
    const latest = this.lasted.slice(-count);
    return latest.length ? latest.reduce((sum, n) => sum + n, 0) / latest.length : 0;
  }
}
