// Tic-tac-toe and a search tree on it, without a page: mcts.js draws what this computes.
// UCT: Kocsis & Szepesvari (2006); PUCT as in AlphaGo Zero, with a rollout in place of a value network.
import { ucb } from "./bandit-core.js";

// A state is nine numbers, row by row: 1 is X, who moves first, -1 is O, 0 is empty.
const LINES = [[0, 1, 2], [3, 4, 5], [6, 7, 8], [0, 3, 6], [1, 4, 7], [2, 5, 8], [0, 4, 8], [2, 4, 6]];

export const legalMoves = (state) => [...state.keys()].filter((cell) => state[cell] === 0);
export const toMove = (state) => (state.reduce((sum, mark) => sum + mark, 0) ? -1 : 1);
export const play = (state, move) => state.map((mark, cell) => (cell === move ? toMove(state) : mark));
export function winner(state) {
  const line = LINES.find(([i, j, k]) => state[i] && state[i] === state[j] && state[i] === state[k]);
  return line ? state[line[0]] : 0;
}
export const isTerminal = (state) => !state.includes(0) || winner(state) !== 0;

// The result for X if both sides play perfectly.
const known = new Map();
export function exact(state) {
  const name = String(state);
  if (!known.has(name)) {
    const results = isTerminal(state) ? [winner(state)] : legalMoves(state).map((move) => exact(play(state, move)));
    known.set(name, toMove(state) === 1 ? Math.max(...results) : Math.min(...results));
  }
  return known.get(name);
}

// What each rule thinks of the moves before it looks: wins, then blocks, then good squares; or only
// squares, in the wrong order. Nine numbers that sum to 1, 0 for illegal moves.
const SQUARES = [2, 1, 2, 1, 4, 1, 2, 1, 2];
export const PRIORS = {
  uct: () => 1,
  good: (state, move) => {
    const me = toMove(state), mine = (player) => winner(state.map((mark, cell) => (cell === move ? player : mark)));
    return mine(me) ? 32 : mine(-me) ? 16 : SQUARES[move];
  },
  wrong: (_, move) => 4 / SQUARES[move] ** 2,
};
export function prior(rule, state) {
  const weights = state.map((mark, move) => (mark ? 0 : PRIORS[rule](state, move)));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}

// What PUCT adds to a mean value: large for moves that the prior likes and that few visits went to.
export const bonus = (p, visits, total, c) => (c * p * Math.sqrt(total)) / (1 + visits);

// Random moves to the end. The result is in the view of `player`.
export function rollout(state, player, next) {
  const moves = [];
  while (!isTerminal(state)) {
    const legal = legalMoves(state), move = legal[Math.floor(next() * legal.length)];
    moves.push(move);
    state = play(state, move);
  }
  return { moves, state, value: winner(state) * player };
}

// Nodes are numbered as they come; node 0 is the root. totals[node] is in the view of the player who
// moved into the node, so that whoever chooses among children wants totals / visits large.
export class SearchTree {
  constructor(state, rule = "uct") {
    Object.assign(this, { rule, state: [], parent: [], move: [], children: [], visits: [], totals: [] });
    this.add(state, -1, -1);
  }
  add(state, parent, move) {
    this.state.push(state);
    this.parent.push(parent);
    this.move.push(move);
    this.children.push([]);
    this.visits.push(0);
    this.totals.push(0);
    return this.state.length - 1;
  }
  mean(node) {
    return this.visits[node] ? this.totals[node] / this.visits[node] : 0;
  }
  // How the player to move at a node sees the moves: {move, child, visits, mean, prior, score}.
  options(node, c) {
    const state = this.state[node], priors = prior(this.rule, state);
    const children = new Map(this.children[node].map((child) => [this.move[child], child]));
    const tried = this.children[node].reduce((sum, child) => sum + this.visits[child], 0);
    return legalMoves(state).map((move) => {
      const child = children.get(move), visits = child ? this.visits[child] : 0, mean = child ? this.mean(child) : 0;
      const score = this.rule === "uct" ? ucb(mean, visits, this.visits[node], c) : mean + bonus(priors[move], visits, tried, c);
      return { move, child, visits, mean, prior: priors[move], score };
    });
  }
  // Walks down by the largest score, to a terminal node or a move that has no node yet. Of equal
  // scores the likelier move counts, then the lower one.
  select(c) {
    const path = [0];
    for (;;) {
      const node = path.at(-1);
      if (isTerminal(this.state[node])) return { path, move: null };
      const best = this.options(node, c).reduce((a, b) => (b.score > a.score || (b.score === a.score && b.prior > a.prior) ? b : a));
      if (best.child === undefined) return { path, move: best.move };
      path.push(best.child);
    }
  }
  // Adds the node that `move` leads to; a terminal node (no move) is returned itself.
  expand(node, move) {
    if (move === null) return node;
    const child = this.add(play(this.state[node], move), node, move);
    this.children[node].push(child);
    this.children[node].sort((a, b) => this.move[a] - this.move[b]);
    return child;
  }
  // `value` is in the view of the player to move at the root.
  backup(node, value) {
    const player = toMove(this.state[0]);
    for (; node >= 0; node = this.parent[node]) {
      this.visits[node] += 1;
      this.totals[node] += -toMove(this.state[node]) === player ? value : -value;
    }
  }
  // One simulation in its four phases; returns what each of them did.
  simulate(c, next) {
    const { path, move } = this.select(c), leaf = this.expand(path.at(-1), move);
    const end = rollout(this.state[leaf], toMove(this.state[0]), next);
    this.backup(leaf, end.value);
    return { path, move, leaf, end };
  }
  // The root move that was visited most, the lowest of equal ones; null before the first visit.
  best() {
    const first = this.children[0];
    if (!first.length) return null;
    return this.move[first.reduce((a, b) => (this.visits[b] > this.visits[a] ? b : a))];
  }
}
