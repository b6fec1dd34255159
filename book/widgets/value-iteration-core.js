// Small grid worlds and how dynamic programming solves them, without a page: value-iteration.js draws
// what this computes. A step slips to either side; a wall or the border leaves you where you are.

export const ACTIONS = ["up", "right", "down", "left"];
const ROW_STEP = [-1, 0, 1, 0], COL_STEP = [0, 1, 0, -1];
export const GAIN = { G: 1, X: -1 }; // what arriving pays; both end the episode
const CLOSE = 1e-9; // values this near to each other are equal

export const isOpen = (cell) => cell === ".";

// A world from its rows: "." free, "#" wall, "G" goal, "X" pit.
export const parse = (rows) => ({ rows: rows.length, cols: rows[0].length, cells: [...rows.join("")] });

function arrive({ rows, cols, cells }, obs, action) {
  const row = Math.floor(obs / cols) + ROW_STEP[action], col = (obs % cols) + COL_STEP[action];
  if (row < 0 || row >= rows || col < 0 || col >= cols) return obs;
  return cells[row * cols + col] === "#" ? obs : row * cols + col;
}

// outcomes[obs][action]: a list of [probability, next obs, reward]. With probability `slip` a step
// goes to one of its two sides instead; every step costs `cost`.
export function model(world, { slip, cost }) {
  return world.cells.map((cell, obs) =>
    ACTIONS.map((_, action) => {
      if (!isOpen(cell)) return [[1, obs, 0]];
      return [[1 - slip, action], [slip / 2, (action + 1) % 4], [slip / 2, (action + 3) % 4]]
        .filter(([probability]) => probability > 0)
        .map(([probability, way]) => {
          const next = arrive(world, obs, way);
          return [probability, next, (GAIN[world.cells[next]] ?? 0) - cost];
        });
    }),
  );
}

const expected = (V, outcomes, gamma) =>
  outcomes.reduce((sum, [probability, next, reward]) => sum + probability * (reward + gamma * V[next]), 0);

// What each action is worth if V is what follows.
export const qValues = (V, outcomes, gamma) => outcomes.map((list) => expected(V, list, gamma));

// All new values come from the old ones. A value is its best action's, or with `policy`, a list of
// action probabilities by observation, that policy's.
export function sweep(V, outcomes, gamma, policy = null) {
  const next = V.map((_, obs) => {
    const q = qValues(V, outcomes[obs], gamma);
    return policy ? q.reduce((sum, v, a) => sum + policy[obs][a] * v, 0) : Math.max(...q);
  });
  return { V: next, change: largestGap(next, V) };
}

export const largestGap = (V, W) => Math.max(...V.map((v, i) => Math.abs(v - W[i])));

// How far V can be from where the sweeps lead, after a sweep that changed it by `change` at most.
export const bound = (change, gamma) => (gamma / (1 - gamma)) * change;

// Below this change, the greedy policy of V loses less than `loss` anywhere.
export const smallEnough = (loss, gamma) => (loss * (1 - gamma)) / (2 * gamma);

// Sweeps until nothing moves: the optimal values, or a policy's.
export function settled(outcomes, gamma, policy = null) {
  let now = { V: outcomes.map(() => 0), change: Infinity };
  while (now.change > 1e-13) now = sweep(now.V, outcomes, gamma, policy);
  return now.V;
}

// Every action that is best, as good as equal ones included.
export function bestActions(V, outcomes, gamma) {
  const q = qValues(V, outcomes, gamma), best = Math.max(...q);
  return [...q.keys()].filter((a) => q[a] > best - CLOSE);
}

export const random = (outcomes) => outcomes.map((actions) => actions.map(() => 1 / actions.length));

const only = (action) => ACTIONS.map((_, a) => Number(a === action));

// One round of policy iteration: the exact values of `actions` (one per observation), and the actions
// that are greedy for them. An action changes only for a better one, so that rounds come to an end.
export function improve(actions, outcomes, gamma) {
  const V = settled(outcomes, gamma, actions.map(only));
  const better = actions.map((action, obs) => {
    const best = bestActions(V, outcomes[obs], gamma);
    return best.includes(action) ? action : best[0];
  });
  return { V, actions: better, changed: better.filter((action, obs) => action !== actions[obs]).length };
}
