// A DQN learns CartPole in the page, with and without replay, with and without a target network.
// height: 720 wide, 1220 narrow
import { Agent } from "./replay-target-core.js";
import { calm, colours, fixed, font, keepDrawn, knob, pencil, wire } from "./parts.js";

const STEPS = 8000, EVERY = 100, MOST = 4, CEILING = 100; // 1 / (1 - gamma) in a world that pays 1
const choices = (...found) => found.map((value) => [value, String(value)]);
const KNOBS = [
  { name: "syncEvery", label: "copy every … steps", options: choices(10, 20, 50, 100, 200, 500) },
  { name: "batchSize", label: "batch size", options: choices(8, 16, 32, 64) },
  { name: "delta", label: "δ, where the loss bends", options: [["1", "1, as in the lab"], ["10", "10"], ["1e9", "never: squared error"]] },
];
const PARTS = ["replay", "target"];
const FOUR = [[true, true], [false, true], [true, false], [false, false]];

// A run's name: what it has, and the knobs where they are not as at first.
export function title({ replay, target, syncEvery, batchSize, delta }) {
  const has = replay && target ? "replay and target" : replay ? "replay only" : target ? "target only" : "neither";
  const rest = [target && syncEvery !== 100 && `copy every ${syncEvery}`, batchSize !== 32 && `batch ${batchSize}`, delta !== 1 && (delta > 100 ? "squared error" : `δ = ${delta}`)];
  return [has, ...rest.filter(Boolean)].join(", ");
}

export const short = (value) =>
  value < 10 ? fixed(value, 2) : value < 1e4 ? value.toFixed(0) : value < 1e6 ? `${(value / 1e3).toFixed(0)} thousand` : `${fixed(value / 1e6, 1)} million`;
const brief = (value) => short(value).replace(" thousand", "k").replace(" million", "M");

// What there is to see, in words: the newest run; the table has them all.
export function describe(runs) {
  const run = runs.filter(({ curve }) => curve.length === STEPS / EVERY).at(-1);
  if (!run) return "Nothing has run yet. Train an agent with both parts, then take one away: which curve leaves first?";
  const { off, believed, lasted } = run.curve.at(-1);
  const verdict = believed > 1.2 * CEILING ? `more than the ${CEILING} that the world can pay: it believes itself, and nothing stops it` : `of ${CEILING} that are possible`;
  return `${run.name}: in the end its predictions are off by ${short(off)}, it expects ${short(believed)} from the start, ${verdict}. While it still explored a little, the pole stayed up for ${lasted.toFixed(0)} steps.`;
}

const chart = (name, words, note) =>
  `<div><p class="cliff-name"><b>${words}</b> <span>${note}</span></p><canvas data-chart="${name}" role="img"></canvas></div>`;
const TEMPLATE = `
  <div class="widget-buttons">
    <button type="button" class="primary" data-do="train">Train</button>
    <label class="tick"><input type="checkbox" name="replay" checked> replay</label>
    <label class="tick"><input type="checkbox" name="target" checked> target network</label>
  </div>
  <div class="widget-knobs">${KNOBS.map(knob).join("")}</div>
  <div class="widget-buttons">
    <button type="button" data-do="four">All four, one after the other</button>
    <button type="button" data-do="luck">Other luck</button>
    <button type="button" data-do="clear">Start over</button>
  </div>
  <div class="bandit-charts">
    ${chart("off", "Error", "mean |y − Q| of a batch; logarithmic")}
    ${chart("believed", "Value it expects", "dashed: the most possible")}
  </div>
  <div class="bandit-runs"><table><caption>Runs, and how they ended</caption>
    <thead><tr><th scope="col">agent</th><th scope="col">error</th><th scope="col">expects</th><th scope="col">pole up</th></tr></thead><tbody></tbody></table></div>
  <p class="widget-says" aria-live="polite"></p>`;

export function render(element, options = {}) {
  element.innerHTML = TEMPLATE;
  const find = (selector) => element.querySelector(selector);
  const knobs = { syncEvery: 100, batchSize: 32, delta: 1, ...options };
  let seed = options.seed ?? 1, runs = [], frame = 0;
  const hue = (run) => `--hue-${run.hue}`;
  const isOver = (run) => run.curve.length === STEPS / EVERY;

  function curve(name, lowest) {
    const { pen, width, height } = pencil(find(`[data-chart=${name}]`)), colour = colours(element);
    const seen = runs.flatMap((run) => run.curve.map((point) => point[name]));
    const highest = Math.max(name === "off" ? 10 : 1000, ...seen);
    const left = 42, right = width - 8, bottom = height - 20;
    const x = (place) => left + ((right - left) * (place + 1) * EVERY) / STEPS;
    const y = (value) => bottom - ((bottom - 10) * Math.log(Math.max(value, lowest) / lowest)) / Math.log(highest / lowest);
    pen.font = font(colour, 12);
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    pen.fillStyle = colour("--pst-color-text-muted");
    pen.strokeStyle = colour("--pst-color-border");
    const gap = highest / lowest > 1e5 ? 100 : 10;
    for (let tick = lowest; tick <= highest; tick *= gap) {
      pen.fillText(tick < 1e3 ? String(tick) : tick < 1e6 ? `${tick / 1e3}k` : `${tick / 1e6}M`, left - 6, y(tick));
      pen.beginPath();
      pen.moveTo(left, y(tick));
      pen.lineTo(right, y(tick));
      pen.stroke();
    }
    pen.fillText(`${STEPS} steps`, right, height - 7);
    pen.lineJoin = "round";
    if (name === "believed") {
      pen.strokeStyle = colour("--cliff-ink");
      pen.setLineDash([5, 5]);
      pen.beginPath();
      pen.moveTo(left, y(CEILING));
      pen.lineTo(right, y(CEILING));
      pen.stroke();
      pen.setLineDash([]);
    }
    pen.lineWidth = 1.8;
    for (const run of runs) {
      pen.strokeStyle = colour(hue(run));
      pen.beginPath();
      run.curve.forEach((point, i) => pen.lineTo(x(i), y(point[name])));
      pen.stroke();
    }
  }
  function draw() {
    curve("off", 0.1);
    curve("believed", 1);
  }
  function list() {
    const row = (run) => {
      const { off, believed, lasted } = run.curve.at(-1) ?? {};
      const cells = isOver(run) ? [brief(off), brief(believed), lasted.toFixed(0)] : ["…", "…", "…"];
      return `<tr><th scope="row"><i class="cliff-dot" style="--hue:var(${hue(run)})"></i>${run.name}</th>${cells.map((c) => `<td>${c}</td>`).join("")}</tr>`;
    };
    find("tbody").innerHTML = runs.map(row).join("");
  }
  function say() {
    const text = describe(runs);
    find(".widget-says").textContent = text;
    for (const name of ["off", "believed"])
      find(`[data-chart=${name}]`).setAttribute("aria-label", `${runs.length} curves over ${STEPS} steps. ${text}`);
  }

  // The first unfinished run learns for a while; who wants no motion sees it when it is there.
  function learn() {
    frame = 0;
    const run = runs.find((each) => !isOver(each));
    if (!run) return;
    const until = performance.now() + 14;
    while (!isOver(run) && performance.now() < until) {
      run.sum += run.agent.step() ?? 0;
      if (run.agent.time % EVERY) continue;
      run.curve.push({ off: run.sum / EVERY, believed: run.agent.believed(), lasted: run.agent.recent() });
      run.sum = 0;
    }
    if (isOver(run)) {
      list();
      say();
    }
    if (isOver(run) || !calm()) draw();
    frame = requestAnimationFrame(learn);
  }
  function train(chosen) {
    const name = title(chosen);
    runs = runs.filter((run) => run.name !== name);
    if (runs.length === MOST) runs.shift();
    const taken = runs.map((run) => run.hue);
    const free = Array.from({ length: MOST + 1 }, (_, i) => i + 1).find((h) => !taken.includes(h));
    runs.push({ name, chosen, hue: free, sum: 0, curve: [], agent: new Agent({ ...chosen, seed, steps: STEPS }) });
    list();
    frame ||= requestAnimationFrame(learn);
  }
  function clear() {
    runs = [];
    list();
    say();
    draw();
  }
  const setting = (replay, target) => ({ ...Object.fromEntries(KNOBS.map(({ name }) => [name, Number(knobs[name])])), replay, target });
  const again = (all) => {
    clear();
    all.forEach(train);
  };
  const actions = {
    train: () => train(setting(...PARTS.map((name) => find(`[name=${name}]`).checked))),
    four: () => again(FOUR.map((parts) => setting(...parts))),
    luck: () => {
      seed += 1;
      again(runs.map(({ chosen }) => chosen));
    },
    clear,
  };
  for (const [name, act] of Object.entries(actions)) find(`[data-do=${name}]`).addEventListener("click", act);
  const settle = () => { // without a target network there is nothing to copy
    find("[name=syncEvery]").disabled = !find("[name=target]").checked;
  };
  find("[name=target]").addEventListener("change", settle);
  wire(element, KNOBS, knobs, settle);
  settle();
  say();
  draw();
  keepDrawn(element, draw);
}
