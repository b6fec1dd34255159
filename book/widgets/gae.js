// An advantage as a weighted sum of TD errors, and what the weights trade: bias against variance.
// height: 830 wide, 990 narrow
import { draw as drawn, END, errors, estimate, STEPS } from "./gae-core.js";
import { colours, fixed, font, keepDrawn, knob, pencil, wire } from "./parts.js";

const KNOBS = [
  { name: "lambda", label: "λ", min: 0, max: 1, step: 0.01, show: fixed },
  { name: "gamma", label: "γ discount", min: 0.8, max: 0.99, step: 0.01, show: fixed },
  { name: "c", label: "critic is off by", min: 0, max: 3, step: 0.1, show: (v) => fixed(v, 1) },
  { name: "sigma", label: "luck of a reward", min: 0, max: 2, step: 0.1, show: (v) => fixed(v, 1) },
  {
    name: "ending", label: "the episode",
    options: [["none", "goes on"], ["limit", "hits a time limit"], ["terminal", "ends in a terminal state"]],
  },
  {
    name: "mistake", label: "the code",
    options: [["right", "is right"], ["done", "masks δ at every ending"], ["leak", "never stops the sum"]],
  },
];
const CURVES = [
  { name: "bias", label: "bias²", hue: "--cliff-qlearning" },
  { name: "variance", label: "variance", hue: "--cliff-sarsa" },
  { name: "error", label: "their sum", hue: "--cliff-ink" },
];
const GRID = Array.from({ length: 51 }, (_, i) => i / 50);

const TEMPLATE = `
  <div class="widget-buttons"><button type="button" class="primary" data-do="again">Other luck, other critic</button></div>
  <div class="widget-knobs">${KNOBS.map(knob).join("")}</div>
  <p class="cliff-name"><b>TD errors of ${STEPS} steps</b> <span>thin: δ; filled: what of it counts for the first step</span></p>
  <canvas class="gae-errors" data-errors role="img"></canvas>
  <p class="cliff-name"><b>Error of the first advantage</b> <span>expected, against λ</span></p>
  <p class="legend">${CURVES.map(
    ({ label, hue }) => `<span><i class="cliff-dot" style="--hue:var(${hue})"></i> ${label}</span>`,
  ).join("")}</p>
  <canvas class="bias-curve" data-curves role="img"></canvas>
  <p class="widget-says" aria-live="polite"></p>`;

export const sweep = ({ ending, mistake, gamma, sigma, c }) => GRID.map((lambda) => {
  const { bias, variance } = errors(ending, mistake, { gamma, lambda }, { sigma, c });
  return { lambda, bias, variance, error: bias + variance };
});

// What there is to see, in words.
export function describe(knobs, advantage, curve) {
  const { bias, variance } = errors(knobs.ending, knobs.mistake, knobs, knobs);
  const best = curve.reduce((least, point) => (point.error < least.error ? point : least));
  const told = [
    `The first step was no better or worse than expected; GAE says ${fixed(advantage)} in this draw.`,
    `At λ = ${fixed(knobs.lambda)} the squared bias is ${fixed(bias)} and the variance ${fixed(variance)}; the sum is least at λ = ${fixed(best.lambda)}.`,
  ];
  if (knobs.mistake === "done" && knobs.ending === "limit") told.push("At the time limit the code takes the future for worthless, though only the clock ran out.");
  else if (knobs.mistake === "leak" && knobs.ending !== "none") told.push("Errors of the next episode are counted as this one's.");
  else if (knobs.mistake !== "right") told.push("Nothing shows the mistake here: choose another ending.");
  return told.join(" ");
}

export function render(element, options = {}) {
  element.innerHTML = TEMPLATE;
  const find = (selector) => element.querySelector(selector);
  const knobs = { lambda: 0.9, gamma: 0.95, c: 1, sigma: 0.5, ending: "none", mistake: "right", ...options };
  let seed = options.seed ?? 1, shown, curve, waiting = 0;
  const colour = colours(element);

  function bars() {
    const { pen, width, height } = pencil(find("[data-errors]"));
    const { delta, weight } = shown, middle = height / 2, slot = (width - 16) / STEPS;
    const tall = Math.max(1, ...delta.map(Math.abs)), y = (value) => (value / tall) * (middle - 16);
    delta.forEach((value, t) => {
      const x = 8 + t * slot, alone = knobs.ending !== "none" && t > END;
      pen.globalAlpha = alone ? 0.45 : 1;
      pen.strokeStyle = pen.fillStyle = colour(alone ? "--cliff-qlearning" : "--cliff-sarsa");
      pen.strokeRect(x + 2, middle - Math.max(y(value), 0), slot - 4, Math.abs(y(value)));
      pen.globalAlpha = 1;
      const counted = weight[t] * value;
      pen.fillRect(x + 2, middle - Math.max(y(counted), 0), slot - 4, Math.abs(y(counted)));
    });
    pen.strokeStyle = colour("--cliff-ink");
    pen.beginPath();
    pen.moveTo(8, middle);
    pen.lineTo(width - 8, middle);
    pen.stroke();
    pen.font = font(colour, 12);
    pen.fillStyle = colour("--pst-color-text-muted");
    pen.textBaseline = "top";
    pen.fillText("now", 8, 0);
    if (knobs.ending === "none") return;
    const x = 8 + (END + 1) * slot;
    pen.setLineDash([5, 5]);
    pen.beginPath();
    pen.moveTo(x, 0);
    pen.lineTo(x, height);
    pen.stroke();
    pen.setLineDash([]);
    pen.fillText(" next episode", x, 0);
  }
  function curves() {
    const { pen, width, height } = pencil(find("[data-curves]"));
    const left = 40, bottom = 22, top = Math.max(1e-6, ...curve.map((point) => Math.min(point.error, 4 * curve[50].variance + 4)));
    const x = (lambda) => left + (width - left - 8) * lambda;
    const y = (value) => 8 + (height - bottom - 12) * (1 - value / top);
    pen.font = font(colour, 12);
    pen.fillStyle = colour("--pst-color-text-muted");
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    pen.strokeStyle = colour("--pst-color-border");
    for (const share of [0, 0.5, 1]) {
      pen.fillText(fixed(share * top, 1), left - 6, y(share * top));
      pen.beginPath();
      pen.moveTo(left, y(share * top));
      pen.lineTo(width - 8, y(share * top));
      pen.stroke();
    }
    pen.fillText("λ = 1", width - 8, height - 8);
    pen.textAlign = "left";
    pen.fillText("λ = 0", left, height - 8);
    pen.save();
    pen.beginPath();
    pen.rect(left, 4, width - left, height - bottom);
    pen.clip();
    pen.strokeStyle = colour("--cliff-ink");
    pen.setLineDash([5, 5]);
    pen.beginPath();
    pen.moveTo(x(knobs.lambda), 0);
    pen.lineTo(x(knobs.lambda), height - bottom);
    pen.stroke();
    pen.setLineDash([]);
    pen.lineWidth = 2;
    for (const { name, hue } of CURVES) {
      pen.strokeStyle = colour(hue);
      pen.beginPath();
      for (const point of curve) pen.lineTo(x(point.lambda), y(point[name]));
      pen.stroke();
    }
    pen.restore();
  }
  function draw() {
    bars();
    curves();
  }
  function compute() {
    const { luck, error } = drawn(seed);
    const scaled = { luck: luck.map((x) => knobs.sigma * x), error: error.map((x) => knobs.c * x) };
    shown = estimate(knobs.ending, knobs.mistake, knobs, scaled);
    curve = sweep(knobs);
    const text = describe(knobs, shown.advantage, curve);
    find(".widget-says").textContent = text;
    find("[data-errors]").setAttribute("aria-label", `Bars of ${STEPS} TD errors. ${text}`);
    find("[data-curves]").setAttribute("aria-label", `Three curves. ${text}`);
    draw();
  }
  function later() { // a slider that is dragged asks many times
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(compute);
  }

  wire(element, KNOBS, knobs, later);
  find("[data-do=again]").addEventListener("click", () => {
    seed += 1;
    compute();
  });
  compute();
  keepDrawn(element, draw);
}
