// Loads an interactive figure when it comes near the view, and lets a keyboard scroll wide equations.
async function start(box) {
  const { render } = await import(new URL(box.dataset.module, location.href).href);
  box.replaceChildren();
  render(box, JSON.parse(box.dataset.options));
  box.dataset.ready = "";
}

const near = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      start(target);
    }
  },
  { rootMargin: "600px" },
);
for (const box of document.querySelectorAll(".widget[data-module]")) near.observe(box);

// Measured even where a distant equation is not drawn yet: its box is there, and asking lays it out.
function scrollable(equation) {
  if (equation.scrollWidth > equation.clientWidth + 1) {
    equation.tabIndex = 0;
    equation.setAttribute("role", "group");
    equation.setAttribute("aria-label", "wide equation");
  } else {
    equation.removeAttribute("tabindex");
    equation.removeAttribute("role");
    equation.removeAttribute("aria-label");
  }
}
const equations = [...document.querySelectorAll(".katex-display")];
const width = new ResizeObserver((entries) => {
  for (const { target } of entries) target.querySelectorAll(".katex-display").forEach(scrollable);
});
for (const equation of equations) width.observe(equation.parentElement);
document.fonts.addEventListener("loadingdone", () => equations.forEach(scrollable));
