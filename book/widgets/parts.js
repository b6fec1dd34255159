// What figures share: knobs, a sharp canvas, the theme's colours, and when to draw again.

export const minus = (text) => text.replace("-", "−");
export const fixed = (value, digits = 2) => minus(value.toFixed(digits).replace(/^-(?=0(\.0+)?$)/, ""));
export const percent = (share) => `${Math.round(100 * share)}%`;
export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// A knob has a name and a label, and either min, max, step and show(value), or options [[value, words]].
export const knob = ({ name, label, options, min, max, step }) => {
  const control = options
    ? `<select name="${name}">${options.map(([v, words]) => `<option value="${v}">${words}</option>`).join("")}</select>`
    : `<input type="range" name="${name}" min="${min}" max="${max}" step="${step}">`;
  return `<label class="knob"><span>${label}${options ? "" : " <output></output>"}</span>${control}</label>`;
};

// Ties the controls to `values`, both ways: turning one calls changed(name), the returned function
// shows values that code has set.
export function wire(element, knobs, values, changed = () => {}) {
  const controls = knobs.map((k) => [k, element.querySelector(`[name=${k.name}]`)]);
  const show = ({ name, options, show: words }, control) => {
    control.value = values[name];
    if (options) return;
    const text = words(values[name]);
    control.setAttribute("aria-valuetext", text);
    control.closest("label").querySelector("output").textContent = text;
  };
  for (const [k, control] of controls) {
    control.addEventListener("input", () => {
      values[k.name] = k.options ? control.value : Number(control.value);
      show(k, control);
      changed(k.name);
    });
    show(k, control);
  }
  return () => controls.forEach(([k, control]) => show(k, control));
}

export function colours(element) {
  const style = getComputedStyle(element);
  return (name) => style.getPropertyValue(name).trim();
}

// A pen whose unit is a CSS pixel.
export function pencil(node) {
  const scale = devicePixelRatio || 1, width = node.clientWidth, height = node.clientHeight;
  node.width = Math.round(width * scale);
  node.height = Math.round(height * scale);
  const pen = node.getContext("2d");
  pen.scale(scale, scale);
  return { pen, width, height };
}

export const font = (colour, size, weight = 400) =>
  `${weight} ${size}px ${colour("--pst-font-family-base") || "sans-serif"}`;

// Draws when the figure's width or the page's theme changes.
export function keepDrawn(element, draw) {
  new ResizeObserver(draw).observe(element);
  new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
}
