// A grid world solved sweep by sweep: values, greedy arrows, what is still wrong, and the bound on it.
// height: 650 wide, 1050 narrow
import * as core from "./value-iteration-core.js";
import { calm, colours, fixed, font, keepDrawn, knob, pencil, wire } from "./parts.js";

const MAPS = {
  ledge: ["Ledge", [".......", ".#####.", ".......", ".XXXXXG"]],
  textbook: ["Textbook 4 × 3", ["...G", ".#.X", "...."]],
  maze: ["Maze", ["....#..", ".##.#.#", ".#.....", ".#.##..", "...#..G"]],
  open: ["Open field", [".......", ".......", "...G...", ".......", "X......"]],
};
const METHODS = { values: "value iteration", policies: "policy iteration", random: "value of the random policy" };
const KNOBS = [
  { name: "map", label: "world", options: Object.entries(MAPS).map(([id, [words]]) => [id, words]) },
  { name: "method", label: "method", options: Object.entries(METHODS) },
  { name: "gamma", label: "γ discount", min: 0.5, max: 0.99, step: 0.01, show: fixed },
  { name: "slip", label: "slip", min: 0, max: 0.6, step: 0.05, show: fixed },
  { name: "cost", label: "cost of a step", min: 0, max: 0.2, step: 0.02, show: fixed },
];
const LINES = [["bound", "bound", "--hue-2"], ["change", "largest change", "--hue-1"], ["error", "largest error", "--hue-3"]];
const LOSS = 0.01; // what the greedy policy may lose when Run stops
const PER_SECOND = 5; // sweeps when Run begins; later, when little happens, one more for each sweep
const LOWEST = 1e-6; // bottom of the error's axis
const ARROWS = ["↑", "→", "↓", "←"];

const few = (value) => {
  if (!Number.isFinite(value)) return "–";
  return value && value < 0.001 ? value.toExponential(0).replace("e-", " · 10⁻").replace(/\d+$/, (n) => [...n].map((d) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]).join("")) : fixed(value, 3);
};
const place = (obs, cols) => `row ${Math.floor(obs / cols) + 1}, column ${(obs % cols) + 1}`;

// What there is to see, in words. `history` has one entry per sweep.
export function describe(history, { method, gamma }, isFresh = true) {
  if (!history.length) {
    if (!isFresh) return "The world has changed, and the values are still those of the old one. Sweep on, or reset them.";
    return method === "policies" ? "Policy iteration starts with an arrow up in every cell. A step values those arrows exactly, then improves them."
      : "All values are 0 so far, as nobody has looked. Sweep once: only cells beside the goal or a pit learn anything. Why?";
  }
  const { change, bound, error, changed } = history.at(-1), count = history.length;
  const settledAt = history.length - [...history].reverse().findIndex((h) => !h.isOptimal) + 1;
  const since = history.every((h) => h.isOptimal) ? 1 : settledAt;
  const isOptimal = history.at(-1).isOptimal;
  if (method === "policies")
    return `Step ${count}: the arrows were valued exactly, then ${changed || "none"} of them changed. ` +
      (changed ? `The values are up to ${few(error)} below the best possible.` : "So they are optimal, and policy iteration is done.");
  const text = `After ${count} sweep${count > 1 ? "s" : ""} the last one changed no value by more than ${few(change)}. So with γ = ${fixed(gamma)} no value is off by more than ${few(bound)}; in truth the worst is off by ${few(error)}.`;
  if (method === "random") return `${text} The arrows are greedy for these values: one step of improvement.`;
  return isOptimal ? `${text} The arrows have been optimal since sweep ${since}.` : `${text} Some arrows still point the wrong way.`;
}

const TEMPLATE = `
  <div class="widget-buttons">
    <button type="button" class="primary" data-do="sweep"></button>
    <button type="button" data-do="run">Run</button>
    <button type="button" data-do="reset">Reset values</button>
  </div>
  <div class="widget-knobs">${KNOBS.map(knob).join("")}</div>
  <div class="grid-halves">
    <div class="grid-board">
      <div class="grid-cells" role="group" aria-label="Cells: arrow keys move, Enter builds or removes a wall"></div>
      <p class="cliff-facts">Click a cell to build a wall or remove one. By keyboard: arrow keys and Enter.</p>
    </div>
    <div>
      <p class="cliff-name"><b>What is still wrong</b> <span>by sweep, logarithmic</span></p>
      <p class="legend">${LINES.map(([, words, hue]) => `<span><i class="cliff-dot" style="--hue:var(${hue})"></i> ${words}</span>`).join("")}</p>
      <canvas data-errors role="img"></canvas>
      <p class="grid-backup"></p>
    </div>
  </div>
  <p class="widget-says" aria-live="polite"></p>`;

export function render(element, options = {}) {
  element.innerHTML = TEMPLATE;
  const find = (selector) => element.querySelector(selector);
  const knobs = { map: "ledge", method: "values", gamma: 0.9, slip: 0.2, cost: 0, ...options };
  let world, outcomes, V, actions, truth, best, history, at = 0;
  let playing = false, visible = true, frame = 0, due = 0;

  // The model changed: sweeps go on from the values that are there, towards other ones.
  function remodel() {
    outcomes = core.model(world, knobs);
    const policy = knobs.method === "random" ? core.random(outcomes) : null;
    truth = core.settled(outcomes, knobs.gamma, policy);
    best = truth.map((_, obs) => core.bestActions(truth, outcomes[obs], knobs.gamma));
    history = [];
  }
  function reset() {
    V = world.cells.map(() => 0);
    actions = world.cells.map(() => 0);
    history = [];
  }
  function load() {
    world = core.parse(MAPS[knobs.map][1]);
    at = (world.rows - 1) * world.cols - world.cols;
    remodel();
    reset();
    find(".grid-cells").style.setProperty("--cols", world.cols);
    find(".grid-cells").innerHTML = world.cells.map((_, obs) => `<button type="button" data-cell="${obs}"></button>`).join("");
  }
  const isOver = () => {
    const last = history.at(-1);
    if (!last) return false;
    return knobs.method === "policies" ? last.changed === 0 : last.change < core.smallEnough(LOSS, knobs.gamma);
  };
  const open = () => [...world.cells.keys()].filter((obs) => core.isOpen(world.cells[obs]));
  function advance() {
    const before = V;
    let changed;
    if (knobs.method === "policies") {
      const policy = core.improve(actions, outcomes, knobs.gamma);
      [V, actions, changed] = [policy.V, policy.actions, policy.changed];
    } else V = core.sweep(V, outcomes, knobs.gamma, knobs.method === "random" ? core.random(outcomes) : null).V;
    const change = core.largestGap(V, before);
    history.push({
      change, changed,
      bound: knobs.method === "policies" ? NaN : core.bound(change, knobs.gamma),
      error: core.largestGap(V, truth),
      isOptimal: open().every((obs) => core.bestActions(V, outcomes[obs], knobs.gamma).every((a) => best[obs].includes(a))),
    });
  }
  function arrows(obs) {
    if (!core.isOpen(world.cells[obs])) return [];
    if (knobs.method === "policies") return [actions[obs]];
    const q = core.qValues(V, outcomes[obs], knobs.gamma);
    return Math.max(...q) - Math.min(...q) < 1e-9 ? [] : core.bestActions(V, outcomes[obs], knobs.gamma);
  }

  function drawCells() {
    const words = { "#": "wall", G: "goal, pays 1", X: "pit, costs 1" }, marks = { "#": "", G: "+1", X: "−1" };
    world.cells.forEach((cell, obs) => {
      const node = find(`[data-cell="${obs}"]`), ways = arrows(obs), value = fixed(V[obs]);
      const told = words[cell] ?? `value ${value}${ways.length ? `, best ${ways.map((a) => core.ACTIONS[a]).join(" or ")}` : ""}`;
      node.setAttribute("aria-label", `${place(obs, world.cols)}: ${told}`);
      node.className = { "#": "wall", G: "goal", X: "pit" }[cell] ?? (V[obs] < 0 ? "low" : "high");
      node.tabIndex = obs === at ? 0 : -1;
      node.toggleAttribute("data-at", obs === at);
      node.style.setProperty("--heat", Math.min(1, Math.abs(V[obs])).toFixed(3));
      node.innerHTML = `<b>${marks[cell] ?? value}</b>${ways.length ? `<i>${ways.map((a) => ARROWS[a]).join("")}</i>` : ""}`;
    });
  }
  // The backup of the marked cell, with its numbers.
  function drawBackup() {
    const node = find(".grid-backup");
    if (!core.isOpen(world.cells[at])) {
      node.textContent = `The marked cell, ${place(at, world.cols)}, has no value of its own: nothing follows it.`;
      return;
    }
    const q = core.qValues(V, outcomes[at], knobs.gamma), top = core.bestActions(V, outcomes[at], knobs.gamma)[0];
    const terms = outcomes[at][top].map(([p, next, reward]) => `${fixed(p)} · (${fixed(reward)} + ${fixed(knobs.gamma)} · ${fixed(V[next])})`);
    node.innerHTML = `The marked cell, ${place(at, world.cols)}: ${q.map((v, a) => `${a === top ? "<b>" : ""}${core.ACTIONS[a]} ${fixed(v)}${a === top ? "</b>" : ""}`).join(", ")}. ` +
      `${core.ACTIONS[top][0].toUpperCase()}${core.ACTIONS[top].slice(1)} is ${terms.join(" + ")} = ${fixed(q[top])}.`;
  }
  function drawErrors() {
    const { pen, width, height } = pencil(find("[data-errors]")), colour = colours(element);
    const left = 46, right = width - 8, bottom = height - 20, count = Math.max(10, history.length), highest = 10;
    const x = (sweep) => left + ((right - left) * (sweep - 1)) / (count - 1);
    const y = (value) => 8 + ((bottom - 8) * Math.log(highest / Math.min(highest, Math.max(LOWEST, value)))) / Math.log(highest / LOWEST);
    pen.font = font(colour, 12);
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    pen.fillStyle = colour("--pst-color-text-muted");
    pen.strokeStyle = colour("--pst-color-border");
    for (const [value, words] of [[1, "1"], [0.01, "0.01"], [1e-4, "10⁻⁴"], [1e-6, "10⁻⁶"]]) {
      pen.fillText(words, left - 6, y(value));
      pen.beginPath();
      pen.moveTo(left, y(value));
      pen.lineTo(right, y(value));
      pen.stroke();
    }
    pen.fillText(`${count} ${knobs.method === "policies" ? "steps" : "sweeps"}`, right, height - 7);
    pen.lineWidth = 2;
    for (const [name, , hue] of LINES) {
      pen.strokeStyle = pen.fillStyle = colour(hue);
      pen.beginPath();
      const points = history.map((h, i) => [x(i + 1), y(h[name])]).filter(([, at]) => !Number.isNaN(at));
      for (const point of points) pen.lineTo(...point);
      pen.stroke();
      if (count > 40) continue;
      for (const point of points) {
        pen.beginPath();
        pen.arc(...point, 3, 0, 2 * Math.PI);
        pen.fill();
      }
    }
  }
  function draw() {
    drawCells();
    drawBackup();
    drawErrors();
  }
  function say() {
    const text = describe(history, knobs, V.every((v) => v === 0));
    find(".widget-says").textContent = text;
    find("[data-errors]").setAttribute("aria-label", `Errors by sweep. ${text}`);
    find("[data-do=sweep]").textContent = knobs.method === "policies" ? "Value, improve" : "Sweep once";
  }

  function play(on) {
    playing = on;
    find(".widget-says").setAttribute("aria-live", on ? "off" : "polite"); // heard where it stops
    find("[data-do=run]").textContent = on ? "Pause" : "Run";
    if (on) resume();
  }
  function run(now) {
    frame = 0;
    if (!playing || !visible) return;
    if (now >= due) {
      due = now + 1000 / (PER_SECOND + history.length);
      do advance();
      while (calm() && !isOver()); // who wants no motion sees the end
      if (isOver()) play(false);
      draw();
      say();
    }
    resume();
  }
  function resume() {
    if (playing && visible && !frame) frame = requestAnimationFrame(run);
  }
  function toggle(obs) {
    const cell = world.cells[obs];
    if (cell !== "#" && !core.isOpen(cell)) return;
    world.cells[obs] = cell === "#" ? "." : "#";
    V[obs] = 0;
    remodel();
  }
  function mark(obs, isFocused) {
    at = obs;
    draw();
    if (isFocused) find(`[data-cell="${obs}"]`).focus();
  }

  const does = {
    sweep: () => {
      play(false);
      advance();
    },
    run: () => play(!playing),
    reset: () => {
      play(false);
      reset();
    },
  };
  element.addEventListener("click", ({ target }) => {
    const { dataset } = target.closest("button") ?? { dataset: {} };
    if (dataset.do) does[dataset.do]();
    else if (dataset.cell) toggle((at = Number(dataset.cell)));
    else return;
    draw();
    say();
  });
  find(".grid-cells").addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowDown: [1, 0], ArrowLeft: [0, -1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const row = Math.floor(at / world.cols) + step[0], col = (at % world.cols) + step[1];
    if (row >= 0 && row < world.rows && col >= 0 && col < world.cols) mark(row * world.cols + col, true);
  });
  find(".grid-cells").addEventListener("pointerover", ({ target, pointerType }) => {
    const cell = target.closest("[data-cell]");
    if (cell && pointerType === "mouse" && Number(cell.dataset.cell) !== at) mark(Number(cell.dataset.cell));
  });
  wire(element, KNOBS, knobs, (name) => {
    if (name === "map") load();
    else remodel();
    if (name === "method") reset();
    draw();
    say();
  });
  load();
  say();
  draw();
  keepDrawn(element, draw);
  new IntersectionObserver((entries) => {
    visible = entries.at(-1).isIntersecting;
    resume();
  }).observe(element);
}
