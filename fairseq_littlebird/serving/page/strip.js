// The attention of an answer along the document, as a picture.

const DEPTH = 1000;  // the scale is logarithmic, from the highest bar down to so small a part of it
const HEAD = 15;     // of a height of 100, where the answer is marked

function shape(name, classes, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  element.setAttribute("class", classes);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}

/** The outline of bars a unit wide, of heights from 0 to 1. */
function outline(heights) {
  const tops = heights.map((height) => {
    const scaled = height > 0 ? 1 + Math.log10(height) / Math.log10(DEPTH) : 0;
    return Math.round(100 - (100 - HEAD) * Math.min(1, Math.max(0, scaled)));
  });
  return `M0 100${tops.map((top) => `V${top}h1`).join("")}V100Z`;
}

/** Draws what the server says of the attention; length: of the document, start and end: of the answer. */
export function draw(svg, attention, start, end, length) {
  const bars = attention.bars.length;
  const peak = Math.max(...attention.bars) || 1;
  const at = (character) => (character / length) * bars;
  const [first, last] = attention.window;
  svg.setAttribute("viewBox", `0 0 ${bars} 100`);
  svg.replaceChildren(
    shape("rect", "window", { x: at(first), width: at(last - first), height: 100 }),
    shape("path", "direct", { d: outline(attention.bars.map((bar) => bar / peak)) }),
    shape("path", "pack", { d: outline(attention.through_pack.map((bar) => bar / peak)) }),
    shape("rect", "answer", { x: at(start), width: Math.max(bars / 150, at(end - start)), height: HEAD - 3 }),
  );
  const place = Math.round((100 * attention.bars.indexOf(peak)) / bars);
  svg.setAttribute("aria-label", `Attention along the document: the answer is ${Math.round((100 * start) / length)} % ` +
    `of the way through, most attention goes to ${place} %. The list of passages says the same in words.`);
}
