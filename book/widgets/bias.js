// How often Q-learning takes the worse road because a maximum over guesses is too high.
// height: 590 wide, 690 narrow
import { leftByEpisode } from "./bias-core.js";
import { colours, fixed, font, keepDrawn, knob, pencil, percent, wire } from "./parts.js";

const EPISODES = 300, RUNS = 300;
const KNOBS = [
  { name: "actions", label: "actions in B", min: 1, max: 20, step: 1, show: String },
  { name: "mean", label: "mean in B", min: -0.5, max: 0.1, step: 0.05, show: fixed },
  { name: "alpha", label: "α step size", min: 0.05, max: 0.5, step: 0.05, show: fixed },
  { name: "epsilon", label: "ε exploration", min: 0, max: 0.5, step: 0.05, show: fixed },
];
const METHODS = [
  { name: "Q-learning", isDouble: false, hue: "--cliff-qlearning" },
  { name: "Double Q-learning", isDouble: true, hue: "--cliff-sarsa" },
];

const late = (share) => share.slice(-20).reduce((sum, v) => sum + v, 0) / 20;

const TEMPLATE = `
  <div class="widget-buttons"><button type="button" class="primary" data-do="again">Other luck</button></div>
  <div class="widget-knobs">${KNOBS.map(knob).join("")}</div>
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
  return `${price}: it pays ${fixed(knobs.mean)} on average. ${told.join("; ")}.${optimum}`;
}

export function render(element, options = {}) {
  element.innerHTML = TEMPLATE;
  const find = (selector) => element.querySelector(selector);
  const knobs = { actions: 10, mean: -0.1, alpha: 0.1, epsilon: 0.1, ...options };
  let seed = options.seed ?? 1, shares = [], waiting = 0;

  const colour = colours(element);
  function draw() {
    const { pen, width, height } = pencil(find("[data-curve]"));
    const left = 40, bottom = 22;
    const x = (episode) => left + ((width - left - 8) * episode) / EPISODES;
    const y = (share) => 8 + (height - bottom - 12) * (1 - share);
    pen.font = font(colour, 12);
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

  wire(element, KNOBS, knobs, later);
  find("[data-do=again]").addEventListener("click", () => {
    seed += 1;
    compute();
  });
  compute();
  keepDrawn(element, draw);
}
