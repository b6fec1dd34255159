// The cliff, live: SARSA, Expected SARSA and Q-learning learn side by side; the reader turns the knobs.
// height: 645 wide, 1100 narrow
import { Agent, COLS, GOAL, METHODS, NUM_ACTIONS, ROWS, START, isCliff, row } from "./cliff-core.js";
import { colours, fixed, font, keepDrawn, knob, pencil, wire } from "./parts.js";

const NAMES = { sarsa: "SARSA", expected: "Expected SARSA", qlearning: "Q-learning" };
const NOTES = {
  sarsa: "bootstraps from the action it takes next",
  expected: "averages its next actions",
  qlearning: "bootstraps from the best action",
};
const stepsPerSecond = (speed) => Math.round(10 ** speed);
const KNOBS = [
  { name: "epsilon", label: "ε exploration", min: 0, max: 0.5, step: 0.01, show: fixed },
  { name: "alpha", label: "α step size", min: 0.05, max: 1, step: 0.05, show: fixed },
  { name: "gamma", label: "γ discount", min: 0.8, max: 1, step: 0.01, show: fixed },
  { name: "speed", label: "speed", min: 0, max: 4, step: 0.1, show: (v) => `${stepsPerSecond(v).toLocaleString("en")} steps/s` },
];
const WINDOW = 20; // episodes in a point of the curve
const LOWEST = -120; // bottom of the curve's axis
const UP = -Math.PI / 2;

const number = (value) => fixed(value, 0);

const panel = (method) => `
  <div class="cliff-panel" style="--hue:var(--cliff-${method})">
    <p class="cliff-name"><span class="cliff-dot"></span><b>${NAMES[method]}</b> <span>${NOTES[method]}</span></p>
    <canvas data-grid="${method}" role="img"></canvas>
    <p class="cliff-facts" data-facts="${method}"></p>
  </div>`;

const TEMPLATE = `
  <div class="widget-buttons">
    <button type="button" class="primary" data-do="play">Train</button>
    <button type="button" data-do="one">+1 episode</button>
    <button type="button" data-do="hundred">+100 episodes</button>
    <button type="button" data-do="reset">Start over</button>
  </div>
  <div class="widget-knobs">${KNOBS.map(knob).join("")}</div>
  <div class="cliff-panels">${METHODS.map(panel).join("")}
    <div class="cliff-panel">
      <p class="cliff-name"><b>Return while learning</b> <span>mean of ${WINDOW} episodes</span></p>
      <canvas data-curve role="img" aria-label="Learning curves of the three agents"></canvas>
      <p class="cliff-facts">higher is better</p>
    </div>
  </div>
  <p class="widget-says" aria-live="polite"></p>`;

export function describePath(path) {
  if (path.at(-1) !== GOAL) return isCliff(path.at(-1)) ? "walks into the cliff" : "does not reach the goal yet";
  const highest = Math.min(...path.map((cell) => Math.floor(cell / COLS)));
  const where = ["along the top", "one row above the edge", "along the edge"][highest];
  return `reaches the goal in ${path.length - 1} steps, ${where}`;
}

// What there is to see, in words.
export function describe(agents) {
  const count = agents.qlearning.returns.length;
  if (!count) return "All three start with Q = 0 and know nothing. Press Train, or jump 100 episodes ahead.";
  const paths = METHODS.map((m) => `${NAMES[m]} ${describePath(agents[m].greedyPath())}`).join("; ");
  const text = `After ${count} episode${count > 1 ? "s" : ""}, without exploring: ${paths}.`;
  if (count < 100) return text;
  const earned = METHODS.map((m) => `${NAMES[m]} ${number(agents[m].recent(100))}`).join(", ");
  return `${text} While exploring they earned, over the last 100 episodes: ${earned}.`;
}

export function render(element, options = {}) {
  element.innerHTML = TEMPLATE;
  const find = (selector) => element.querySelector(selector);
  const knobs = { epsilon: 0.1, alpha: 0.5, gamma: 1, speed: 1.6, ...options };
  const agents = Object.fromEntries(METHODS.map((m) => [m, new Agent(m, options.seed ?? 3)]));
  let playing = false, visible = true, frame = 0, before = 0, owed = 0, said = 0;

  const colour = colours(element);
  function drawGrid(method) {
    const agent = agents[method], { pen, width, height } = pencil(find(`[data-grid=${method}]`));
    const size = Math.min(width / COLS, height / ROWS);
    const x = (cell) => (cell % COLS) * size, y = (cell) => Math.floor(cell / COLS) * size;
    const ink = colour("--cliff-ink"), hue = colour(`--cliff-${method}`);
    const values = Array.from({ length: ROWS * COLS }, (_, s) => Math.max(...row(agent.Q, s)));
    const worst = Math.min(-1e-9, ...values);
    pen.lineJoin = pen.lineCap = "round";
    for (let cell = 0; cell < ROWS * COLS; cell++) {
      pen.globalAlpha = 1;
      if (isCliff(cell)) continue;
      pen.fillStyle = colour("--cliff-ground");
      pen.fillRect(x(cell), y(cell), size - 1, size - 1);
      if (cell === GOAL) continue;
      pen.globalAlpha = 0.28 * (values[cell] / worst);
      pen.fillStyle = hue;
      pen.fillRect(x(cell), y(cell), size - 1, size - 1);
      const q = row(agent.Q, cell), best = Math.max(...q);
      if (q.every((v) => v === q[0])) continue; // nothing learned: no arrow
      pen.globalAlpha = 0.7;
      pen.strokeStyle = ink;
      pen.lineWidth = Math.max(1, size / 20);
      for (let action = 0; action < NUM_ACTIONS; action++) {
        if (q[action] !== best) continue;
        pen.save();
        pen.translate(x(cell) + size / 2, y(cell) + size / 2);
        pen.rotate(UP + (action * Math.PI) / 2);
        pen.beginPath();
        pen.moveTo(-size * 0.18, 0);
        pen.lineTo(size * 0.2, 0);
        pen.moveTo(size * 0.06, -size * 0.12);
        pen.lineTo(size * 0.2, 0);
        pen.lineTo(size * 0.06, size * 0.12);
        pen.stroke();
        pen.restore();
      }
    }
    pen.globalAlpha = 1;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.font = font(colour, Math.round(size * 0.42), 600);
    pen.fillStyle = ink;
    pen.fillText("G", x(GOAL) + size / 2, y(GOAL) + size / 2);
    pen.fillStyle = colour("--cliff-abyss");
    pen.fillRect(x(START + 1), y(START), (COLS - 2) * size - 1, size - 1);
    pen.fillStyle = colour("--cliff-abyss-ink");
    pen.fillText("the cliff, −100", x(START + 6), y(START) + size / 2);
    if (agent.returns.length) {
      pen.strokeStyle = hue;
      pen.lineWidth = Math.max(2.5, size / 8);
      pen.beginPath();
      for (const cell of agent.greedyPath()) pen.lineTo(x(cell) + size / 2, y(cell) + size / 2);
      pen.stroke();
    }
    pen.fillStyle = hue;
    pen.strokeStyle = colour("--cliff-ground");
    pen.lineWidth = 2;
    pen.beginPath();
    pen.arc(x(agent.obs) + size / 2, y(agent.obs) + size / 2, size * 0.3, 0, 2 * Math.PI);
    pen.fill();
    pen.stroke();
    find(`[data-facts=${method}]`).textContent =
      `episode ${agent.returns.length} · falls ${agent.falls}` +
      (agent.returns.length ? ` · return ${number(agent.recent(WINDOW))}` : "");
  }

  function drawCurve() {
    const { pen, width, height } = pencil(find("[data-curve]"));
    const left = 34, bottom = 16, count = Math.max(100, agents.qlearning.returns.length);
    const x = (episode) => left + ((width - left - 6) * episode) / count;
    const y = (value) => 6 + ((height - bottom - 12) * Math.max(LOWEST, value)) / LOWEST;
    pen.font = font(colour, 11);
    pen.fillStyle = colour("--pst-color-text-muted");
    pen.strokeStyle = colour("--pst-color-border");
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    for (let value = 0; value >= LOWEST; value -= 40) {
      pen.fillText(number(value), left - 6, y(value));
      pen.beginPath();
      pen.moveTo(left, y(value));
      pen.lineTo(width - 6, y(value));
      pen.stroke();
    }
    for (const [episode, align] of [[0, "left"], [count, "right"]]) {
      pen.textAlign = align;
      pen.fillText(episode ? `${episode} episodes` : "0", x(episode), height - 6);
    }
    pen.lineWidth = 2;
    pen.lineJoin = "round";
    for (const method of METHODS) {
      const { returns } = agents[method], stride = Math.ceil(returns.length / width);
      pen.strokeStyle = colour(`--cliff-${method}`);
      pen.beginPath();
      let sum = 0;
      returns.forEach((value, i) => {
        sum += value - (i >= WINDOW ? returns[i - WINDOW] : 0);
        if (i % stride === 0) pen.lineTo(x(i + 1), y(sum / Math.min(i + 1, WINDOW)));
      });
      pen.stroke();
    }
  }

  function draw() {
    METHODS.forEach(drawGrid);
    drawCurve();
  }
  function say() {
    find(".widget-says").textContent = describe(agents);
    for (const m of METHODS)
      find(`[data-grid=${m}]`).setAttribute("aria-label", `${NAMES[m]} on the cliff; its greedy walk ${describePath(agents[m].greedyPath())}`);
  }

  function run(now) {
    frame = 0;
    if (!playing || !visible) return;
    owed += Math.min(0.1, (now - before) / 1000) * stepsPerSecond(knobs.speed);
    before = now;
    for (; owed >= 1; owed--) METHODS.forEach((m) => agents[m].tick(knobs));
    draw();
    if (now - said > 1000) {
      said = now;
      say();
    }
    frame = requestAnimationFrame(run);
  }
  function resume() {
    if (!playing || !visible || frame) return;
    before = performance.now();
    frame = requestAnimationFrame(run);
  }
  function play(on) {
    playing = on;
    // A screen reader hears where training stopped, not every second of it.
    find(".widget-says").setAttribute("aria-live", on ? "off" : "polite");
    find("[data-do=play]").textContent = on ? "Pause" : "Train";
    if (on) resume();
    else say();
  }
  function episodes(count) {
    for (let i = 0; i < count; i++) METHODS.forEach((m) => agents[m].episode(knobs));
  }

  const actions = {
    play: () => play(!playing),
    one: () => episodes(1),
    hundred: () => episodes(100),
    reset: () => {
      play(false);
      METHODS.forEach((m) => agents[m].reset(agents[m].seed + 1)); // luck plays a part: see other runs
    },
  };
  element.addEventListener("click", (event) => {
    const button = event.target.closest("[data-do]");
    if (!button) return;
    actions[button.dataset.do]();
    draw();
    if (!playing) say();
  });
  wire(element, KNOBS, knobs);
  keepDrawn(element, draw);
  new IntersectionObserver((entries) => {
    visible = entries.at(-1).isIntersecting;
    resume();
  }).observe(element);
  draw();
  say();
}
