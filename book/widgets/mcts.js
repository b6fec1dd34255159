// A search tree growing on tic-tac-toe, phase by phase or by the thousand; and somebody to play against.
// height: 1095 wide, 1690 narrow
import { SearchTree, exact, isTerminal, play, rollout, toMove, winner } from "./mcts-core.js";
import { random } from "./cliff-core.js";
import { colours, fixed, font, keepDrawn, knob, pencil, wire } from "./parts.js";

const POSITIONS = {
  empty: ["empty board", [0, 0, 0, 0, 0, 0, 0, 0, 0]],
  win: ["X wins in one", [1, 1, 0, -1, -1, 0, 0, 0, 0]],
  block: ["O must block", [1, 0, 1, 0, -1, 0, 0, 0, 0]],
  trap: ["a trap for O", [1, 0, 0, 0, -1, 0, 0, 0, 1]],
};
const RULES = { uct: "UCT, no prior", good: "PUCT, good prior", wrong: "PUCT, bad prior" };
const KNOBS = [
  { name: "position", label: "position", options: Object.entries(POSITIONS).map(([id, [words]]) => [id, words]) },
  { name: "rule", label: "selection", options: Object.entries(RULES) },
  { name: "c", label: "c exploration", min: 0, max: 4, step: 0.1, show: (v) => fixed(v, 1) },
];
const SQUARES = ["top left", "top", "top right", "left", "centre", "right", "bottom left", "bottom", "bottom right"];
const PHASES = ["Select", "Expand", "Rollout", "Backup"];
const REPLY = 500; // simulations before it answers
const DEPTH = 3, SLOT = 48, BOARD = 33, ROW = 80; // of the drawn tree: levels below the root, pixels

const name = (player) => ({ 1: "X", "-1": "O" })[player];
const signed = (value) => (value > 0.004 ? "+" : "") + fixed(value);
const outcome = (value) => (value ? `${name(value)} wins` : "a draw");
const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

// What there is to see, in words.
export function describe(tree) {
  const state = tree.state[0], player = toMove(state), count = tree.visits[0];
  if (isTerminal(state)) return winner(state) ? `The game is over: ${name(winner(state))} has won.` : "The game is over: a draw.";
  const truth = `With perfect play from here: ${outcome(exact(state))}.`;
  if (!count) return `${name(player)} is to move. ${truth} Grow the tree, and see whether it finds out.`;
  const move = tree.best(), child = tree.children[0].find((node) => tree.move[node] === move);
  const keeps = exact(play(state, move)) === exact(state) ? "That move keeps it." : "That move gives it away!";
  return `After ${plural(count, "simulation")} ${name(player)} would play ${SQUARES[move]}, visited ${plural(tree.visits[child], "time")}, with a mean result of ${signed(tree.mean(child))}. ${truth} ${keeps}`;
}

// What the phases of the newest simulation did, as far as it has come.
export function tell(tree, { path, move, leaf, end, isDone } = {}) {
  if (!path) return PHASES.map(() => "");
  const player = toMove(tree.state[0]), steps = path.slice(1).map((node) => SQUARES[tree.move[node]]);
  const walk = steps.slice(0, 3).join(", ") + (steps.length > 3 ? ", …" : "");
  const here = tree.state[path.at(-1)];
  const texts = [walk ? `Walks down by the largest score: ${walk}${walk.endsWith("…") ? "" : "."}` : "Stays at the root, which has a move without a node."];
  if (move === null) texts[0] += " There the game is over.";
  if (leaf === undefined) return [...texts, "", "", ""];
  texts.push(move === null ? "Nothing to add: a finished game has no moves." : `Adds the board after ${name(toMove(here))} plays ${SQUARES[move]}.`);
  if (!end) return [...texts, "", ""];
  texts.push(end.moves.length ? `${plural(end.moves.length, "random move")} to the end: ${outcome(winner(end.state))}.` : `No move left: ${outcome(winner(end.state))}.`);
  if (!isDone) return [...texts, ""];
  return [...texts, end.value ? `Up to the root: +1 for each board that ${name(player * end.value)} moved into, −1 for ${name(-player * end.value)}’s.` : "Up to the root: one visit and a 0 for every board."];
}

const TEMPLATE = `
  <div class="widget-buttons">
    <button type="button" class="primary" data-do="phase">Next phase</button>
    ${[1, 10, 100, 1000].map((n) => `<button type="button" data-runs="${n}">${n === 1 ? "1 simulation" : `+${n}`}</button>`).join("")}
    <button type="button" data-do="luck">Other luck</button>
  </div>
  <div class="widget-knobs">${KNOBS.map(knob).join("")}</div>
  <ol class="mcts-phases">${PHASES.map((words) => `<li><b>${words}</b> <span></span></li>`).join("")}</ol>
  <div class="mcts-halves">
    <div>
      <div class="mcts-board" role="group" aria-label="The board: choose a square to play it">${SQUARES.map((_, i) => `<button type="button" data-square="${i}"></button>`).join("")}</div>
      <div class="widget-buttons"><button type="button" data-do="engine">Let it move</button><button type="button" data-do="reset">Reset</button></div>
      <label class="tick"><input type="checkbox" name="answers"> it answers me</label>
    </div>
    <table><caption>Moves at the root</caption><thead></thead><tbody></tbody></table>
  </div>
  <p class="widget-says" aria-live="polite"></p>
  <p class="cliff-name"><b>The tree</b> <span>most visited boards. Below each: visits, and the mean result for the player who has just moved there. Thick: the newest simulation; dashed: its rollout.</span></p>
  <canvas data-tree role="img"></canvas>`;

export function render(element, options = {}) {
  element.innerHTML = TEMPLATE;
  const find = (selector) => element.querySelector(selector);
  const knobs = { position: "empty", rule: "uct", c: 1.4, ...options };
  let seed = options.seed ?? 1, state, tree, next, sim, note = "";

  function plant() {
    tree = new SearchTree(state, knobs.rule);
    next = random(seed);
    sim = {};
  }
  function reset() {
    state = POSITIONS[knobs.position][1];
    note = "";
    plant();
  }
  const isOver = () => isTerminal(state);

  // One phase; the four of them are SearchTree.simulate.
  function phase() {
    if (!sim.path || sim.isDone) sim = tree.select(knobs.c);
    else if (sim.leaf === undefined) sim.leaf = tree.expand(sim.path.at(-1), sim.move);
    else if (!sim.end) sim.end = rollout(tree.state[sim.leaf], toMove(state), next);
    else {
      tree.backup(sim.leaf, sim.end.value);
      sim.isDone = true;
    }
  }
  function simulate(count) {
    while (sim.path && !sim.isDone) phase(); // one that was begun ends first, and counts
    const begun = tree.visits[0];
    for (let i = 0; i < count && !isOver(); i++) sim = { ...tree.simulate(knobs.c, next), isDone: true };
    return tree.visits[0] - begun;
  }
  function move(square) {
    state = play(state, square);
    plant();
  }
  function answer() {
    if (isOver()) return;
    if (tree.visits[0] < REPLY) simulate(REPLY - tree.visits[0]);
    const player = toMove(state), square = tree.best(), count = tree.visits[0];
    move(square);
    note = `${name(player)} searched ${count} times and plays ${SQUARES[square]}. `;
  }

  function showBoard() {
    const shares = tree.options(0, knobs.c), most = Math.max(1, ...shares.map(({ visits }) => visits));
    state.forEach((mark, square) => {
      const node = find(`[data-square="${square}"]`), seen = shares.find((o) => o.move === square);
      node.disabled = mark !== 0 || isOver();
      node.className = mark ? `mark-${name(mark)}` : "";
      node.textContent = mark ? name(mark) : seen?.visits || "";
      node.style.setProperty("--heat", seen ? (seen.visits / most).toFixed(3) : 0);
      node.setAttribute("aria-label", mark ? `${SQUARES[square]}: ${name(mark)}` : `${SQUARES[square]}: empty, ${plural(seen?.visits ?? 0, "visit")}`);
    });
    for (const id of ["engine", "phase"]) find(`[data-do=${id}]`).disabled = isOver();
    element.querySelectorAll("[data-runs]").forEach((node) => (node.disabled = isOver()));
  }
  function showTable() {
    const isPuct = knobs.rule !== "uct", rows = isOver() ? [] : tree.options(0, knobs.c);
    const most = Math.max(1, ...rows.map(({ visits }) => visits));
    const heads = ["move", "visits", ...(isPuct ? ["prior"] : []), "mean", "+ bonus", "= score"];
    find("thead").innerHTML = `<tr>${heads.map((words) => `<th scope="col">${words}</th>`).join("")}</tr>`;
    const top = Math.max(...rows.map(({ score }) => score));
    find("tbody").innerHTML = rows.map((o) => {
      const keeps = exact(play(state, o.move)) === exact(state);
      const first = o.score === Infinity;
      return `<tr class="${o.move === tree.best() ? "best" : ""}"><th scope="row">${SQUARES[o.move]}${keeps ? ` <span title="keeps the result of perfect play">✓</span>` : ""}</th>` +
        `<td class="bar" style="--share:${(100 * o.visits) / most}%">${o.visits}</td>${isPuct ? `<td>${fixed(o.prior)}</td>` : ""}` +
        `<td>${o.visits ? signed(o.mean) : "–"}</td><td>${first ? "∞" : fixed(o.score - o.mean)}</td><td>${o.score === top ? "<b>" : ""}${first ? "∞" : signed(o.score)}${o.score === top ? "</b>" : ""}</td></tr>`;
    }).join("");
  }

  // The newest simulation's nodes, then the most visited ones, while there is room for their leaves.
  function chosen(room) {
    const path = sim.path ? [...new Set([...sim.path, sim.leaf ?? sim.path.at(-1)])].slice(0, DEPTH + 1) : [0];
    const depth = new Map([[0, 0]]), kept = new Map([[0, []]]);
    let leaves = 1;
    const add = (node) => {
      const parent = tree.parent[node];
      if (kept.get(parent).length) leaves += 1;
      kept.get(parent).push(node);
      kept.set(node, []);
      depth.set(node, depth.get(parent) + 1);
    };
    path.slice(1).forEach(add);
    const waiting = () => [...kept.keys()].filter((node) => depth.get(node) < DEPTH).flatMap((node) => tree.children[node].filter((child) => !kept.has(child)));
    for (;;) {
      const best = waiting().filter((node) => tree.visits[node] && (leaves < room || !kept.get(tree.parent[node]).length)).reduce((a, b) => (a !== null && tree.visits[a] >= tree.visits[b] ? a : b), null);
      if (best === null) return { kept, depth, path };
      add(best);
    }
  }
  function drawBoard(pen, colour, cells, left, top, last) {
    const cell = BOARD / 3;
    pen.fillStyle = colour("--pst-color-background");
    pen.fillRect(left, top, BOARD, BOARD);
    cells.forEach((mark, i) => {
      const x = left + (i % 3) * cell, y = top + Math.floor(i / 3) * cell, margin = 2.8;
      pen.lineWidth = 1;
      pen.setLineDash([]);
      if (i === last) {
        pen.fillStyle = colour("--accent-soft");
        pen.fillRect(x, y, cell, cell);
      }
      pen.strokeStyle = colour("--pst-color-border");
      pen.strokeRect(x, y, cell, cell);
      pen.lineWidth = i === last ? 2.4 : 1.6;
      pen.strokeStyle = colour(mark === 1 ? "--hue-1" : "--hue-2");
      pen.beginPath();
      if (mark === 1) {
        pen.moveTo(x + margin, y + margin);
        pen.lineTo(x + cell - margin, y + cell - margin);
        pen.moveTo(x + cell - margin, y + margin);
        pen.lineTo(x + margin, y + cell - margin);
      } else if (mark) pen.arc(x + cell / 2, y + cell / 2, cell / 2 - margin, 0, 2 * Math.PI);
      pen.stroke();
    });
  }
  function drawTree() {
    const { pen, width } = pencil(find("[data-tree]")), colour = colours(element);
    const { kept, depth, path } = chosen(Math.floor(width / SLOT));
    const leaves = [...kept.keys()].filter((node) => !kept.get(node).length).length;
    const slot = Math.min(SLOT * 1.6, width / leaves), at = new Map();
    let used = 0;
    const lay = (node) => {
      const children = kept.get(node).sort((a, b) => tree.move[a] - tree.move[b]);
      const places = children.map(lay);
      const x = places.length ? (places[0] + places.at(-1)) / 2 : (width - slot * leaves) / 2 + slot * (used++ + 0.5);
      at.set(node, [x, 4 + depth.get(node) * ROW]);
      return x;
    };
    lay(0);
    pen.lineCap = "round";
    for (const [node, children] of kept) {
      for (const child of children) {
        const [x, y] = at.get(node), [toX, toY] = at.get(child), isNew = path.includes(child);
        pen.strokeStyle = colour(isNew ? "--accent" : "--pst-color-text-muted");
        pen.lineWidth = isNew ? 3.5 : 0.75;
        pen.beginPath();
        pen.moveTo(x, y + BOARD + (node ? 28 : 17));
        pen.lineTo(toX, toY - 2);
        pen.stroke();
      }
    }
    pen.textAlign = "center";
    pen.textBaseline = "top";
    for (const [node, [x, y]] of at) {
      drawBoard(pen, colour, tree.state[node], x - BOARD / 2, y, tree.move[node]);
      if (path.includes(node)) {
        pen.strokeStyle = colour("--accent");
        pen.lineWidth = 2;
        pen.strokeRect(x - BOARD / 2 - 2, y - 2, BOARD + 4, BOARD + 4);
      }
      pen.fillStyle = colour("--pst-color-text-base");
      pen.font = font(colour, 11.5, 600);
      pen.fillText(String(tree.visits[node]), x, y + BOARD + 3);
      pen.font = font(colour, 11);
      pen.fillStyle = colour("--pst-color-text-muted");
      if (node) pen.fillText(tree.visits[node] ? signed(tree.mean(node)) : "new", x, y + BOARD + 15);
    }
    if (sim.end) {
      const [x, y] = at.get(path.at(-1)), top = 4 + (DEPTH + 1) * ROW;
      const middle = Math.min(width - 60, Math.max(BOARD / 2 + 2, x));
      pen.strokeStyle = colour("--accent");
      pen.lineWidth = 1.5;
      pen.setLineDash([3, 4]);
      pen.beginPath();
      pen.moveTo(x, y + BOARD + 30);
      pen.lineTo(middle, top - 3);
      pen.stroke();
      drawBoard(pen, colour, sim.end.state, middle - BOARD / 2, top, sim.end.moves.at(-1));
      pen.textAlign = "left";
      pen.fillStyle = colour("--pst-color-text-base");
      pen.font = font(colour, 12, 600);
      pen.fillText(outcome(winner(sim.end.state)), middle + BOARD / 2 + 6, top + 10);
    }
    const told = tree.children[0].map((child) => `${SQUARES[tree.move[child]]} ${tree.visits[child]}`).join(", ");
    find("[data-tree]").setAttribute("aria-label", `A tree of ${plural(tree.state.length, "board")}. Visits of the root's moves: ${told || "none yet"}.`);
  }
  function draw() {
    showBoard();
    showTable();
    drawTree();
  }
  // Phases are read out one by one; after many simulations only what came of them is.
  function say(isPhase = false) {
    const texts = tell(tree, sim);
    find(".mcts-phases").setAttribute("aria-live", isPhase ? "polite" : "off");
    element.querySelectorAll(".mcts-phases li").forEach((item, i) => {
      item.toggleAttribute("data-now", isPhase && texts[i] && !texts[i + 1]);
      item.lastElementChild.textContent = texts[i];
    });
    if (!isPhase || sim.isDone) find(".widget-says").textContent = note + describe(tree);
  }

  const does = { engine: answer, reset, phase, luck: () => {
    seed += 1;
    plant();
  } };
  element.addEventListener("click", ({ target }) => {
    const { dataset } = target.closest("button") ?? { dataset: {} };
    if (!Object.keys(dataset).length) return;
    note = "";
    if (dataset.do) does[dataset.do]();
    else if (dataset.runs) simulate(Number(dataset.runs));
    else {
      move(Number(dataset.square));
      if (find("[name=answers]").checked) answer();
    }
    draw();
    say(dataset.do === "phase");
  });
  wire(element, KNOBS, knobs, (changed) => {
    if (changed === "position") reset();
    if (changed === "rule") plant();
    draw();
    if (changed !== "c") say();
  });
  reset();
  draw();
  say();
  keepDrawn(element, draw);
}
