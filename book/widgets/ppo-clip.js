// PPO's clipped objective for one sample: which term of the minimum counts, and where it is flat.
// height: 600 wide, 790 narrow
import { flatRegion, sample } from "./ppo-clip-core.js";
import { colours, fixed, font, keepDrawn, knob, pencil, wire } from "./parts.js";

const END = 2; // of the axis of ratios
const signed = (value) => (value > 0 ? `+${fixed(value, 1)}` : fixed(value, 1));
const KNOBS = [
  { name: "ratio", label: "ρ ratio", min: 0, max: END, step: 0.01, show: (v) => fixed(v) },
  { name: "advantage", label: "A advantage", min: -2, max: 2, step: 0.1, show: signed },
  { name: "epsilon", label: "ε range", min: 0.05, max: 0.5, step: 0.05, show: (v) => fixed(v) },
];
const CASES = [
  ["Good, enough", 1.5, 1],
  ["Good, made rarer", 0.5, 1],
  ["Bad, enough", 0.5, -1],
  ["Bad, made likelier", 1.5, -1],
];
const TERMS = [
  { name: "plain", words: "ρ A", hue: "--hue-2" },
  { name: "clipped", words: "clip(ρ) A", hue: "--hue-3" },
];

const TEMPLATE = `
  <div class="widget-buttons">${CASES.map(
    ([words], i) => `<button type="button" data-case="${i}">${words}</button>`,
  ).join("")}</div>
  <div class="widget-knobs">${KNOBS.map(knob).join("")}</div>
  <p class="legend">${TERMS.map(
    ({ words, hue }) => `<span><i class="cliff-dot" style="--hue:var(${hue})"></i> ${words}</span>`,
  ).join("")}<span><i class="cliff-dot" style="--hue:var(--hue-1)"></i> objective, the smaller one</span><span><i class="clip-flat"></i> no gradient</span></p>
  <canvas class="clip-plot" role="img"></canvas>
  <table><caption>This sample</caption>
    <thead><tr><th scope="col">ρ A</th><th scope="col">clip(ρ) A</th><th scope="col">objective</th><th scope="col">gradient</th></tr></thead>
    <tbody><tr><td></td><td></td><td></td><td></td></tr></tbody></table>
  <p class="widget-says" aria-live="polite"></p>`;

// What the sample says, in words.
export function describe({ ratio, advantage, epsilon }) {
  const now = sample(ratio, advantage, epsilon);
  if (advantage === 0) return "The action was as good as expected. Both terms are 0, and there is nothing to learn from it.";
  const kind = advantage > 0 ? "good" : "bad", wish = advantage > 0 ? "likelier" : "rarer";
  const where = `The action was ${kind}, and the new policy makes it ${fixed(ratio)} times as likely as the old one did.`;
  if (!now.outside) return `${where} That is inside the range: both terms agree, and the gradient makes it ${wish}.`;
  if (now.active === "clipped") {
    return `${where} That is already beyond the range, on the side that was wanted. The clipped term is the smaller one, it is constant, and this sample has no gradient: enough. It does count for the clip fraction.`;
  }
  return `${where} That is beyond the range on the wrong side: other samples have pushed it there. The plain term is the smaller one, and its gradient brings the action back. It counts for the clip fraction all the same.`;
}

export function render(element, options = {}) {
  element.innerHTML = TEMPLATE;
  const find = (selector) => element.querySelector(selector);
  const knobs = { ratio: 1.5, advantage: 1, epsilon: 0.2, ...options };
  const canvas = find("canvas"), colour = colours(element);
  const left = 34, right = 10, top = 10, bottom = 24;
  let waiting = 0;

  function draw() {
    const { pen, width, height } = pencil(canvas);
    const most = END * Math.max(Math.abs(knobs.advantage), 0.5);
    const low = knobs.advantage < 0 ? -most : -0.1 * most, high = knobs.advantage < 0 ? 0.1 * most : most;
    const x = (ratio) => left + ((width - left - right) * ratio) / END;
    const y = (gain) => top + ((height - top - bottom) * (high - gain)) / (high - low);
    const line = (points) => {
      pen.beginPath();
      for (const [ratio, gain] of points) pen.lineTo(x(ratio), y(gain));
      pen.stroke();
    };
    const flat = flatRegion(knobs.advantage, knobs.epsilon, END);
    if (flat) {
      pen.fillStyle = colour("--pst-color-border");
      pen.globalAlpha = 0.4;
      pen.fillRect(x(flat[0]), top, x(flat[1]) - x(flat[0]), height - top - bottom);
      pen.globalAlpha = 1;
    }
    pen.font = font(colour, 12);
    pen.fillStyle = colour("--pst-color-text-muted");
    pen.strokeStyle = colour("--pst-color-border");
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    pen.fillText("0", left - 6, y(0));
    line([[0, 0], [END, 0]]);
    pen.textAlign = "center";
    for (const ratio of [0, 1 - knobs.epsilon, 1, 1 + knobs.epsilon, END]) {
      if (Math.abs(ratio - 1) > 0.12 || ratio === 1) pen.fillText(fixed(ratio).replace(/\.?0+$/, "") || "0", x(ratio), height - 10);
      line([[ratio, low], [ratio, high]]);
    }
    const grid = Array.from({ length: 201 }, (_, i) => (END * i) / 200);
    const curve = (name) => line(grid.map((r) => [r, sample(r, knobs.advantage, knobs.epsilon)[name]]));
    pen.lineJoin = "round";
    for (const { name, hue } of TERMS) {
      pen.strokeStyle = colour(hue);
      pen.lineWidth = 1.6;
      pen.setLineDash(name === "plain" ? [6, 4] : [2, 3]);
      curve(name);
    }
    pen.setLineDash([]);
    pen.strokeStyle = colour("--hue-1");
    pen.lineWidth = 3;
    curve("value");
    const now = sample(knobs.ratio, knobs.advantage, knobs.epsilon);
    const px = x(knobs.ratio), py = y(now.value);
    pen.fillStyle = pen.strokeStyle = colour("--cliff-ink");
    pen.beginPath();
    pen.arc(px, py, 6, 0, 2 * Math.PI);
    pen.fill();
    const reach = now.slope === 0 ? 0 : Math.sign(now.slope) * (16 + 14 * Math.abs(now.slope));
    if (reach) { // where the gradient moves the ratio
      const way = Math.sign(reach);
      pen.lineWidth = 2;
      pen.beginPath();
      pen.moveTo(px, py);
      pen.lineTo(px + reach, py);
      pen.moveTo(px + reach - 6 * way, py - 5);
      pen.lineTo(px + reach, py);
      pen.lineTo(px + reach - 6 * way, py + 5);
      pen.stroke();
    }
  }
  function tell() {
    const now = sample(knobs.ratio, knobs.advantage, knobs.epsilon);
    const cells = element.querySelectorAll("tbody td");
    [now.plain, now.clipped, now.value, now.push].forEach((value, i) => {
      cells[i].textContent = fixed(value);
    });
    const text = describe(knobs);
    find(".widget-says").textContent = text;
    canvas.setAttribute("aria-label", `The objective against the ratio from 0 to ${END}. ${text}`);
    draw();
  }
  function later() { // a slider that is dragged asks many times
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(tell);
  }

  const show = wire(element, KNOBS, knobs, later);
  element.querySelectorAll("[data-case]").forEach((button, i) =>
    button.addEventListener("click", () => {
      [, knobs.ratio, knobs.advantage] = CASES[i];
      show();
      tell();
    }),
  );
  function follow(event) { // the point can be dragged
    if (!event.buttons) return;
    const { left: start, width } = canvas.getBoundingClientRect();
    const ratio = (END * (event.clientX - start - left)) / (width - left - right);
    knobs.ratio = Math.round(100 * Math.min(Math.max(ratio, 0), END)) / 100;
    show();
    later();
  }
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    follow(event);
  });
  canvas.addEventListener("pointermove", follow);
  tell();
  keepDrawn(element, draw);
}
