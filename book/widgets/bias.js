// How often Q-learning takes the worse road because a maximum over guesses is too high.
// height: 535 wide, 690 narrow
import { leftByEpisode } from "./bias-core.js";

const EPISODES = 300, RUNS = 300;
const KNOBS = [
  { name: "actions", label: "actions in B", min: 1, max: 20, step: 1, value: 10, digits: 0 },
  { name: "mean", label: "mean in B", min: -0.5, max: 0.1, step: 0.05, value: -0.1, digits: 2 },
  { name: "alpha", label: "α step size", min: 0.05, max: 0.5, step: 0.05, value: 0.1, digits: 2 },
  { name: "epsilon", label: "ε exploration", min: 0, max: 0.5, step: 0.05, value: 0.1, digits: 2 },
];
const METHODS = [
  { name: "Q-learning", isDouble: false, hue: "--cliff-qlearning" },
  { name: "Double Q-learning", isDouble: true, hue: "--cliff-sarsa" },
];

const minus = (text) => text.replace("-", "−");
const show = (knob, value) => minus(value.toFixed(knob.digits));
const percent = (share) => `${Math.round(100 * share)}%`;
const late = (share) => share.slice(-20).reduce((sum, v) => sum + v, 0) / 20;

const TEMPLATE = `
  <div class="widget-buttons"><button type="button" class="primary" data-do="again">Other luck</button></div>
  <div class="widget-knobs">${KNOBS.map(
    (knob) => `<label class="knob"><span>${knob.label} <output></output></span>
      <input type="range" name="${knob.name}" min="${knob.min}" max="${knob.max}" step="${knob.step}" value="${knob.value}"></label>`,
  ).join("")}</div>
  <p class="cliff-name"><b>Runs that go left</b> <span>share of ${RUNS}, by episode</span></p>
  <p class="legend">${METHODS.map(
    ({ name, hue }) => `<span><i class="cliff-dot" style="--hue:var(${hue})"></i> ${name}</span>`,
  ).join("")}<span><i class="dashes"></i> best policy</span></p>
  <canvas class="bias-curve" data-curve role="img"></canvas>
  <p class="widget-says" aria-live="polite"></p>`;

// What there is to see, in words.
export function describe(knobs, shares) {
  const best = knobs.mean > 0 ? 1 - knobs.epsilon / 2 : knobs.epsilon / 2;
  const told = METHODS.map(({ name }, i) => {
    const peak = Math.max(...shares[i]);
    return `${name} goes left in up to ${percent(peak)} of the runs, and in ${percent(late(shares[i]))} at the end`;
  });
  const price = knobs.mean < 0 ? "Left is the worse road" : knobs.mean > 0 ? "Left is the better road" : "Both roads are worth the same";
  const optimum = knobs.mean === 0 ? "" : ` The best policy, which still explores, goes left in ${percent(best)}.`;
  return `${price}: it pays ${show(KNOBS[1], knobs.mean)} on average. ${told.join("; ")}.${optimum}`;
}

export function render(element, options = {}) {
  element.innerHTML = TEMPLATE;
  const find = (selector) => element.querySelector(selector);
  const knobs = Object.fromEntries(KNOBS.map((k) => [k.name, options[k.name] ?? k.value]));
  let seed = options.seed ?? 1, shares = [], waiting = 0;

  const colour = (name) => getComputedStyle(element).getPropertyValue(name).trim();
  function draw() {
    const node = find("[data-curve]"), scale = devicePixelRatio || 1;
    const width = node.clientWidth, height = node.clientHeight;
    node.width = Math.round(width * scale);
    node.height = Math.round(height * scale);
    const pen = node.getContext("2d");
    pen.scale(scale, scale);
    const left = 40, bottom = 22;
    const x = (episode) => left + ((width - left - 8) * episode) / EPISODES;
    const y = (share) => 8 + (height - bottom - 12) * (1 - share);
    pen.font = `12px ${colour("--pst-font-family-base") || "sans-serif"}`;
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    pen.strokeStyle = colour("--pst-color-border");
    pen.fillStyle = colour("--pst-color-text-muted");
    for (const share of [0, 0.25, 0.5, 0.75, 1]) {
      pen.fillText(percent(share), left - 6, y(share));
      pen.beginPath();
      pen.moveTo(left, y(share));
      pen.lineTo(width - 8, y(share));
      pen.stroke();
    }
    pen.fillText(`${EPISODES} episodes`, width - 8, height - 8);
    if (knobs.mean !== 0) {
      const best = knobs.mean > 0 ? 1 - knobs.epsilon / 2 : knobs.epsilon / 2;
      pen.strokeStyle = colour("--cliff-ink");
      pen.setLineDash([5, 5]);
      pen.beginPath();
      pen.moveTo(left, y(best));
      pen.lineTo(width - 8, y(best));
      pen.stroke();
      pen.setLineDash([]);
    }
    pen.lineWidth = 2;
    pen.lineJoin = "round";
    METHODS.forEach(({ hue }, i) => {
      pen.strokeStyle = colour(hue);
      pen.beginPath();
      shares[i].forEach((share, episode) => pen.lineTo(x(episode + 1), y(share)));
      pen.stroke();
    });
  }
  function compute() {
    shares = METHODS.map(({ isDouble }) =>
      leftByEpisode(isDouble, { ...knobs, episodes: EPISODES, runs: RUNS, seed }),
    );
    const text = describe(knobs, shares);
    find(".widget-says").textContent = text;
    find("[data-curve]").setAttribute("aria-label", `Two curves. ${text}`);
    draw();
  }
  function later() { // a slider that is dragged asks many times
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(compute);
  }

  for (const knob of KNOBS) {
    const input = find(`[name=${knob.name}]`);
    input.value = knobs[knob.name];
    const read = () => {
      knobs[knob.name] = Number(input.value);
      input.setAttribute("aria-valuetext", show(knob, knobs[knob.name]));
      input.closest("label").querySelector("output").textContent = show(knob, knobs[knob.name]);
    };
    input.addEventListener("input", () => {
      read();
      later();
    });
    read();
  }
  find("[data-do=again]").addEventListener("click", () => {
    seed += 1;
    compute();
  });
  compute();
  new ResizeObserver(draw).observe(element);
  new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
}
