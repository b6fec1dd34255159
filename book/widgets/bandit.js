// The ten-armed testbed: many bandits averaged, ways of exploring compared, and one bandit from inside.
// height: 1150 wide, 1680 narrow
import { NUM_ARMS, Testbed, choose, late } from "./bandit-core.js";
import { calm, colours, fixed, font, keepDrawn, knob, pencil, percent, wire } from "./parts.js";

const STEPS = 1000;
const MOST = 5; // curves that are kept
const plain = { method: "greedy", epsilon: 0.1, alpha: 0, initial: 0, c: 2 };
const PRESETS = {
  greedy: ["Greedy", { epsilon: 0 }],
  little: ["ε = 0.01", { epsilon: 0.01 }],
  some: ["ε = 0.1", {}],
  optimistic: ["Optimistic", { epsilon: 0, alpha: 0.1, initial: 5 }],
  ucb: ["UCB", { method: "ucb" }],
  gradient: ["Gradient", { method: "gradient", alpha: 0.1 }],
};
const KNOBS = [
  { name: "method", label: "method", options: [["greedy", "ε-greedy"], ["ucb", "UCB"], ["gradient", "gradient"]] },
  { name: "epsilon", label: "ε exploration", min: 0, max: 0.5, step: 0.01, show: fixed },
  { name: "alpha", label: "α step size", min: 0, max: 1, step: 0.05, show: (v) => (v ? fixed(v) : "1/n, average") },
  { name: "initial", label: "first estimate", min: -5, max: 5, step: 0.5, show: (v) => fixed(v, 1) },
  { name: "c", label: "c of UCB", min: 0, max: 5, step: 0.25, show: fixed },
  { name: "count", label: "bandits", min: 100, max: 2000, step: 100, show: String },
];
const USED = { greedy: ["epsilon", "alpha", "initial"], ucb: ["c", "alpha", "initial"], gradient: ["alpha"] };

// A curve's name: what sets it apart.
export function title({ method, epsilon, alpha, initial, c, drift }) {
  const parts = [method === "ucb" ? `UCB, c = ${c}` : method === "gradient" ? "gradient" : epsilon ? `ε = ${epsilon}` : "greedy"];
  if (alpha) parts.push(`α = ${alpha}`);
  if (initial && method !== "gradient") parts.push(`Q₁ = ${fixed(initial, initial % 1 ? 1 : 0)}`);
  if (drift) parts.push("drifting");
  return parts.join(", ");
}

// Points of a curve: every early step, where much happens, then means of a few steps, which are calmer.
export function points(numbers, span = 5, early = 25) {
  const found = numbers.slice(0, early).map((value, i) => [i + 1, value]);
  for (let start = early; start + span <= numbers.length; start += span)
    found.push([start + (span + 1) / 2, late(numbers.slice(start, start + span), span)]);
  return found;
}

// What there is to see, in words: the newest two curves; the table has them all.
export function describe(runs) {
  const done = runs.filter((run) => run.testbed.rewards.length === STEPS).slice(-2);
  if (!done.length) return "Nothing has run yet. Press Greedy, then ε = 0.1: does it pay to explore?";
  const told = done.map(({ name, testbed }) =>
    `${name} earns ${fixed(late(testbed.rewards))} a step and takes the best arm in ${percent(late(testbed.optimal))} of the bandits`,
  );
  const { testbed } = done.at(-1);
  return `In the last 100 of ${STEPS} steps, ${told.join("; ")}. Always taking the best arm would earn ${fixed(late(testbed.best))}.`;
}

export function describeOne(testbed, step) {
  const agent = testbed.agents[0];
  if (!agent.time) return "Pull an arm yourself, or let the agent play.";
  const earned = `${agent.time} pull${agent.time > 1 ? "s" : ""}, ${fixed(agent.baseline)} a pull`;
  return `Arm ${step.arm + 1} paid ${fixed(step.reward)}. ${earned}; the best arm is worth ${fixed(step.best)}.`;
}

const TEMPLATE = `
  <div class="widget-buttons" role="group" aria-label="Run the testbed with">
    ${Object.entries(PRESETS).map(([id, [words]]) => `<button type="button" class="${id === "greedy" || id === "some" ? "primary" : ""}" data-preset="${id}">${words}</button>`).join("")}
  </div>
  <div class="widget-knobs">${KNOBS.map(knob).join("")}</div>
  <div class="widget-buttons">
    <button type="button" data-do="run">Run with these knobs</button>
    <button type="button" data-do="clear">Start over</button>
    <label class="tick"><input type="checkbox" name="drift"> true values drift</label>
  </div>
  <div class="bandit-charts">
    <div><p class="cliff-name"><b>Mean reward</b> <span>by step; dashed: the best arm's</span></p><canvas data-chart="rewards" role="img"></canvas></div>
    <div><p class="cliff-name"><b>Best arm taken</b> <span>share of the bandits</span></p><canvas data-chart="optimal" role="img"></canvas></div>
  </div>
  <div class="bandit-runs"><table><caption>Curves, and their last 100 steps</caption>
    <thead><tr><th scope="col">agent</th><th scope="col">reward</th><th scope="col">best arm</th></tr></thead><tbody></tbody></table></div>
  <p class="widget-says" aria-live="polite"></p>
  <div class="bandit-one">
    <p class="cliff-name"><b>One bandit, from inside</b> <span>with the knobs above, or your own hand</span></p>
    <div class="widget-buttons">
      <button type="button" data-pulls="1">+1 pull</button>
      <button type="button" data-pulls="10">+10</button>
      <button type="button" data-pulls="100">+100</button>
      <button type="button" data-do="other">Another bandit</button>
      <label class="tick"><input type="checkbox" name="truth" checked> show true values</label>
    </div>
    <p class="cliff-facts">line: what an arm is worth, with one standard deviation of its rewards; dot: the agent's estimate; column: pulls</p>
    <canvas data-arms role="img"></canvas>
    <div class="bandit-arms" role="group" aria-label="Pull an arm yourself">${Array.from({ length: NUM_ARMS }, (_, a) => `<button type="button" data-arm="${a}" aria-label="Pull arm ${a + 1}">${a + 1}</button>`).join("")}</div>
    <p class="cliff-facts" data-one aria-live="polite"></p>
  </div>`;

export function render(element, options = {}) {
  element.innerHTML = TEMPLATE;
  const find = (selector) => element.querySelector(selector);
  const knobs = { ...plain, count: 500, drift: false, ...options };
  let seed = options.seed ?? 1, luck = seed, runs = [], one, last, frame = 0;
  const hue = (run) => `--hue-${run.hue}`;

  function chart(name, lowest, highest, ticks, words) {
    const { pen, width, height } = pencil(find(`[data-chart=${name}]`)), colour = colours(element);
    const left = 38, right = width - 8, bottom = height - 20;
    const x = (step) => left + ((right - left) * step) / STEPS;
    const y = (value) => bottom - ((bottom - 8) * (value - lowest)) / (highest - lowest);
    pen.font = font(colour, 12);
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    pen.fillStyle = colour("--pst-color-text-muted");
    pen.strokeStyle = colour("--pst-color-border");
    for (const tick of ticks) {
      pen.fillText(words(tick), left - 6, y(tick));
      pen.beginPath();
      pen.moveTo(left, y(tick));
      pen.lineTo(right, y(tick));
      pen.stroke();
    }
    pen.fillText(`${STEPS} steps`, right, height - 7);
    const line = (numbers, ink, dashes = []) => {
      pen.strokeStyle = ink;
      pen.setLineDash(dashes);
      pen.beginPath();
      for (const [step, value] of points(numbers)) pen.lineTo(x(step), y(value));
      pen.stroke();
    };
    pen.lineJoin = "round";
    pen.lineWidth = 1.5;
    if (name === "rewards" && runs.length) line(runs.at(-1).testbed.best, colour("--cliff-ink"), [5, 5]);
    for (const run of runs) line(run.testbed[name], colour(hue(run)));
    pen.setLineDash([]);
  }

  // Each arm: what it is worth, what the agent believes, how often it was pulled.
  function drawArms() {
    const { pen, width, height } = pencil(find("[data-arms]")), colour = colours(element);
    const { Q, N } = one.agents[0], truth = one.truth[0], isShown = find("[name=truth]").checked;
    const room = width / NUM_ARMS, bars = 46, bottom = height - bars - 22;
    const reach = Math.max(3, ...Q.map(Math.abs), ...truth.map(Math.abs)) * 1.08;
    const y = (value) => (bottom * (reach - value)) / (2 * reach);
    const most = Math.max(1, ...N);
    pen.font = font(colour, 12);
    pen.textAlign = "center";
    pen.strokeStyle = colour("--pst-color-border");
    pen.beginPath();
    pen.moveTo(0, y(0));
    pen.lineTo(width, y(0));
    pen.stroke();
    const best = truth.indexOf(Math.max(...truth));
    for (let arm = 0; arm < NUM_ARMS; arm++) {
      const middle = (arm + 0.5) * room;
      if (isShown) {
        pen.fillStyle = colour("--cliff-ground"); // one standard deviation of the rewards
        pen.fillRect(middle - room * 0.32, y(truth[arm] + 1), room * 0.64, y(0) - y(2));
        pen.fillStyle = colour(arm === best ? "--hue-3" : "--pst-color-text-muted");
        pen.fillRect(middle - room * 0.32, y(truth[arm]) - 1.5, room * 0.64, 3);
      }
      pen.fillStyle = colour("--hue-1");
      const tall = (bars * N[arm]) / most;
      pen.globalAlpha = 0.45;
      pen.fillRect(middle - room * 0.32, height - 18 - tall, room * 0.64, tall);
      pen.globalAlpha = N[arm] ? 1 : 0.5;
      pen.beginPath();
      pen.arc(middle, y(Q[arm]), 5, 0, 2 * Math.PI);
      pen.fill();
      pen.globalAlpha = 1;
      pen.fillStyle = colour("--pst-color-text-base");
      pen.fillText(String(N[arm]), middle, height - 4);
    }
    const told = Array.from(Q, (q, a) => `${a + 1}: ${isShown ? `worth ${fixed(truth[a])}, ` : ""}${knobs.method === "gradient" ? "preference" : "estimate"} ${fixed(q)}, ${N[a]} pulls`);
    find("[data-arms]").setAttribute("aria-label", `Ten arms. ${told.join("; ")}.`);
  }

  function draw() {
    const seen = runs.flatMap(({ testbed }) => [...points(testbed.rewards), ...points(testbed.best)].map(([, v]) => v));
    const lowest = Math.min(0, ...seen), highest = Math.max(1.6, ...seen);
    const marks = [0, 1, 2, 3, 4].flatMap((v) => (highest < 2.5 ? [v, v + 0.5] : [v])).filter((v) => v <= highest);
    chart("rewards", lowest, highest, marks, (v) => fixed(v, 1));
    chart("optimal", 0, 1, [0, 0.25, 0.5, 0.75, 1], percent);
    drawArms();
  }
  function list() {
    const row = (run) => `<tr><th scope="row"><i class="cliff-dot" style="--hue:var(${hue(run)})"></i>${run.name}</th>` +
      (run.testbed.rewards.length < STEPS ? "<td>…</td><td>…</td>" : `<td>${fixed(late(run.testbed.rewards))}</td><td>${percent(late(run.testbed.optimal))}</td>`) + "</tr>";
    find("tbody").innerHTML = runs.map(row).join("");
  }
  function say() {
    const text = describe(runs);
    find(".widget-says").textContent = text;
    for (const name of ["rewards", "optimal"])
      find(`[data-chart=${name}]`).setAttribute("aria-label", `${runs.length} curves over ${STEPS} steps. ${text}`);
  }

  // The newest curve grows as it is computed; who wants no motion sees it when it is there.
  function grow() {
    frame = 0;
    const run = runs.find(({ testbed }) => testbed.rewards.length < STEPS);
    if (!run) return;
    const until = performance.now() + 12, { testbed } = run;
    while (testbed.rewards.length < STEPS && performance.now() < until) testbed.step();
    const isOver = testbed.rewards.length === STEPS;
    if (isOver || !calm()) draw();
    if (isOver) {
      list();
      say();
    }
    frame = requestAnimationFrame(grow);
  }
  function run() {
    const taken = runs.map(({ hue: h }) => h), name = title(knobs);
    runs = runs.filter((old) => old.name !== name || old.testbed.agents.length !== knobs.count);
    if (runs.length === MOST) runs.shift();
    const free = Array.from({ length: MOST + 1 }, (_, i) => i + 1).find((h) => !taken.includes(h)) ?? 1;
    runs.push({ name, hue: free, testbed: new Testbed({ ...knobs }, knobs.count, seed) });
    list();
    frame ||= requestAnimationFrame(grow);
  }
  function begin() {
    one = new Testbed(knobs, 1, luck);
    last = null;
    showOne();
  }
  function showOne() {
    find("[data-one]").textContent = describeOne(one, last);
    drawArms();
  }
  function settle(name) { // knobs that the method does not know stand still
    if (knobs.method === "gradient") knobs.alpha ||= 0.1;
    show();
    for (const k of KNOBS.slice(1, -1)) find(`[name=${k.name}]`).disabled = !USED[knobs.method].includes(k.name);
    if (["method", "initial"].includes(name)) begin();
  }

  const actions = {
    run,
    clear: () => {
      runs = [];
      seed += 1; // other bandits
      list();
      say();
      draw();
    },
    other: () => {
      luck += 1;
      begin();
    },
  };
  element.addEventListener("click", ({ target }) => {
    const { dataset } = target.closest("button") ?? { dataset: {} };
    if (dataset.preset) {
      Object.assign(knobs, plain, PRESETS[dataset.preset][1]);
      settle("method");
      run();
    } else if (dataset.do) actions[dataset.do]();
    else if (dataset.arm || dataset.pulls) {
      for (let i = 0; i < (dataset.pulls ?? 1); i++)
        last = one.pull(0, Number(dataset.arm ?? choose(one.agents[0], knobs, one.next)));
      showOne();
    }
  });
  for (const name of ["drift", "truth"])
    find(`[name=${name}]`).addEventListener("change", ({ target }) => {
      if (name === "drift") knobs.drift = target.checked;
      showOne();
    });
  const show = wire(element, KNOBS, knobs, settle);
  begin();
  settle();
  say();
  draw();
  keepDrawn(element, draw);
}
