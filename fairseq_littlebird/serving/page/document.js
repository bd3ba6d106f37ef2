// The document on the page, and the marks in it. Text is only ever written as text, never as markup.
import { Offsets } from "./offsets.js";

const CHUNK = 4000;  // units, up to an end of a line: what of a long document is not on the screen is not laid out
const LONGEST = 8000;  // units, where a line has no end: then up to a space
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;

export class DocumentView {
  constructor(element) {
    this.element = element;
    this.show("");
  }

  show(text) {
    this.text = text;
    this.offsets = new Offsets(text);
    this.chunks = [];
    this.marked = new Set();
    for (let start = 0; start < text.length;) {
      const end = cut(text, start);
      const element = document.createElement("div");
      element.textContent = text.slice(start, end);
      if (start && text[start - 1] !== "\n") element.dir = direction(text, start);
      this.chunks.push({ start, end, element });
      start = end;
    }
    this.element.classList.toggle("long", this.chunks.length > 20);
    this.element.replaceChildren(...this.chunks.map((chunk) => chunk.element));
  }

  /** Marks parts of the text: {start, end, tag, id, classes, weight}, in the server's offsets; the first is innermost. */
  mark(parts) {
    for (const chunk of this.marked) chunk.element.textContent = this.text.slice(chunk.start, chunk.end);
    this.marked.clear();
    const placed = parts.map((part) => ({ ...part, from: this.offsets.unit(part.start), to: this.offsets.unit(part.end) }));
    for (const chunk of this.chunks) {
      const inside = placed.filter((part) => part.from < chunk.end && chunk.start < part.to);
      if (inside.length) this.fill(chunk, inside);
    }
  }

  fill(chunk, parts) {
    const clamp = (place) => Math.min(Math.max(place, chunk.start), chunk.end);
    const bounds = new Set([chunk.start, chunk.end, ...parts.flatMap((part) => [clamp(part.from), clamp(part.to)])]);
    const places = [...bounds].sort((a, b) => a - b);
    const nodes = [];
    for (let n = 0; n + 1 < places.length; n += 1) {
      let node = document.createTextNode(this.text.slice(places[n], places[n + 1]));
      for (const part of parts) {
        if (part.from > places[n] || part.to < places[n + 1]) continue;
        const around = document.createElement(part.tag);
        around.className = part.classes;
        if (part.from === places[n]) around.id = part.id;
        if (part.weight !== undefined) around.style.setProperty("--w", part.weight.toFixed(3));
        around.append(node);
        node = around;
      }
      nodes.push(node);
    }
    chunk.element.replaceChildren(...nodes);
    this.marked.add(chunk);
  }

  /** Brings a mark onto the screen, and the focus of a keyboard or a screen reader to it. */
  go(id) {
    const target = document.getElementById(id);
    if (!target) return;
    for (const old of this.element.querySelectorAll(".current")) old.classList.remove("current");
    target.classList.add("current");
    target.tabIndex = -1;
    target.focus({ preventScroll: true });
    toMiddle(target);
  }

  /** Shows what is so far along the document, from 0 to 1. */
  goTo(share) {
    const place = share * this.text.length;
    const chunk = this.chunks.find((one) => place < one.end);
    if (chunk) chunk.element.scrollIntoView({ block: "start" });
  }
}

/** Where the chunk that begins at a place ends. */
function cut(text, start) {
  if (text.length - start <= CHUNK) return text.length;
  const line = text.indexOf("\n", start + CHUNK) + 1;
  if (line && line - start <= LONGEST) return line;
  if (text.length - start <= LONGEST) return text.length;
  const space = text.lastIndexOf(" ", start + LONGEST) + 1;
  if (space > start + CHUNK) return space;
  const end = start + LONGEST;
  return /[\udc00-\udfff]/.test(text[end]) ? end - 1 : end;  // not within a character
}

/** That of the line which a chunk goes on with: of its first letter. */
function direction(text, start) {
  const line = text.lastIndexOf("\n", start - 1) + 1;
  const letter = /\p{L}/u.exec(text.slice(line, line + CHUNK));
  return letter && RIGHT_TO_LEFT.test(letter[0]) ? "rtl" : "ltr";
}

/** Scrolls, and again where what came onto the screen turned out to be of another height than was guessed. */
export function toMiddle(target, times = 8) {
  target.scrollIntoView({ block: "center", inline: "nearest" });
  if (times) requestAnimationFrame(() => toMiddle(target, times - 1));
}
