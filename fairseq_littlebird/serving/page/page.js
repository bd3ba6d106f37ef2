// Reads a document, asks, and shows the answers in it.
import { DocumentView, toMiddle } from "./document.js";
import { draw } from "./strip.js";

const at = (id) => document.getElementById(id);
const view = new DocumentView(at("text"));
const count = (number, unit) => `${number.toLocaleString("en")} ${unit}${number === 1 ? "" : "s"}`;
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const LEAST = 5e-4;  // shares below it would be shown as 0.0 %
let current = null;   // the document, as the server takes it
let explains = false;
let running = null;   // the request that is under way
let chosen = 0;       // how many documents were: one that is read late does not take the place of a later one

function say(id, text) { at(id).textContent = text; }

function fail(text) {
  at("fault").hidden = !text;
  say("fault", text);
  if (text) say("status", "");
}

/** The JSON of a response; an error says what the server says. */
async function request(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Is it still running? A file may also be too large for it.");
  }
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  const later = response.headers.get("Retry-After");
  throw new Error((body.detail || `The server answered with status ${response.status}.`) +
    (later && response.status === 429 ? ` (in ${count(Number(later), "second")})` : ""));
}

function use(documentText) {
  running?.abort();  // its answers are not in this document
  current = documentText;
  view.show(documentText.text);
  say("name", documentText.name);
  const places = documentText.starts ? `${count(documentText.starts.length, documentText.unit)}, ` : "";
  say("about", `${documentText.name}: ${places}${count(view.offsets.characters, "character")}`);
  at("document").hidden = false;
  at("answers").hidden = true;
  fail("");
  say("status", "");
}

async function readFile(file, others = 0) {
  const own = chosen += 1;
  running?.abort();
  fail("");
  say("about", `Reading ${file.name} …`);
  const form = new FormData();
  form.append("file", file);
  try {
    const found = await request("read", { method: "POST", body: form });
    if (own !== chosen) return;
    use(found);
    if (others) say("status", `The first of ${others + 1} files is read.`);
  } catch (error) {
    if (own !== chosen) return;
    say("about", "");
    fail(error.message);
  }
}

function usePasted(text) {
  if (!text.trim()) { fail("There is no text to use."); return; }
  chosen += 1;
  use({ name: "pasted text", text: text.toWellFormed ? text.toWellFormed() : text });
}

async function ask(question) {
  running?.abort();
  const own = running = new AbortController();
  const begun = performance.now();
  fail("");
  say("status", "Answering …");
  at("submit").setAttribute("aria-busy", "true");
  const clock = setInterval(() => say("clock", `${Math.round((performance.now() - begun) / 1000)} s`), 1000);
  try {
    const found = await request("answer", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ question, documents: [current], top_k: 5, attention: explains }),
      signal: own.signal,
    });
    show(found);
    const best = found.answers[0];
    const said = best ? `Best answer: ${best.text}, ${percent(best.probability)}.` : "No answer.";
    say("status", `${said} ${count(found.answers.length, "answer")} in ${((performance.now() - begun) / 1000).toFixed(1)} s.`);
  } catch (error) {
    if (error.name !== "AbortError") fail(error.message);
  } finally {
    clearInterval(clock);
    if (running === own || !running) {
      running = null;
      say("clock", "");
      at("submit").removeAttribute("aria-busy");
    }
  }
}

function show(found) {
  at("answers").hidden = false;
  at("none").hidden = found.null_odds <= 0;
  const times = Math.exp(Math.min(found.null_odds, 7));
  const how = times > 1000 ? "over 1,000" : times.toFixed(1);
  say("none", `The model finds “no answer” ${how} times as likely as the best answer.`);
  at("list").replaceChildren(...found.answers.map(answerItem));
  const passages = found.attention ? found.attention.passages.filter((one) => one.weight >= LEAST) : [];
  const top = passages.length ? passages[0].weight : 1;
  view.mark([
    ...found.answers.map((answer, n) => ({
      start: answer.start, end: answer.end, tag: "mark", id: `answer-${n}`, classes: n ? "" : "best",
    })),
    ...passages.map((passage, n) => ({
      start: passage.start, end: passage.end, tag: "span", id: `passage-${n}`, classes: "evidence",
      weight: passage.weight / top,
    })),
  ]);
  at("attention").hidden = !found.attention;
  if (found.attention) {
    const { start, end } = found.answers[0];
    draw(at("strip"), found.attention, start, end, view.offsets.characters);
    at("passages").replaceChildren(...passages.map(passageItem));
  }
  // on a wide screen the document stands beside the answers: show the best one there, and leave the focus
  if (at("answer-0") && at("text").scrollHeight > at("text").clientHeight + 1) toMiddle(at("answer-0"));
}

function element(tag, classes, ...content) {
  const made = document.createElement(tag);
  made.className = classes;
  made.append(...content);
  return made;
}

function jump(text, id, label) {
  const visible = /[^\s\p{C}]/u.test(text);
  const button = element("button", "", visible ? text : "(no visible characters)");
  button.type = "button";
  button.dir = "auto";
  button.title = label;
  button.addEventListener("click", () => view.go(id));
  return button;
}

function answerItem(answer, n) {
  const place = ["page", "paragraph", "line"].find((unit) => answer[unit] !== undefined);
  const bar = element("i", "");
  bar.style.width = `${(60 * answer.probability).toFixed(1)}%`;
  bar.setAttribute("aria-hidden", "true");
  const chance = element("div", "chance quiet", bar,
    element("span", "", `${percent(answer.probability)} · ${place} ${answer[place].toLocaleString("en")}`));
  const sentence = element("div", "sentence", answer.sentence);
  sentence.dir = "auto";
  return element("li", n ? "" : "best", jump(answer.text, `answer-${n}`, "show it in the document"), chance, sentence);
}

function passageItem(passage, n) {
  const text = view.text.slice(view.offsets.unit(passage.start), view.offsets.unit(passage.end));
  const shown = text.length > 200 ? `${text.slice(0, 200)}…` : text;
  return element("li", "", jump(shown, `passage-${n}`, "show it in the document"),
    element("span", "quiet", `${percent(passage.weight)}, of it ${percent(passage.through_pack)} through the pack vectors`));
}

at("file").addEventListener("change", () => { if (at("file").files.length) readFile(at("file").files[0]); });
at("use").addEventListener("click", () => usePasted(at("pasted").value));
at("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = at("question").value;
  if (!current) fail("Choose or paste a document first.");
  else if (!question.trim()) fail("Write a question.");
  else ask(question);
});
at("strip").addEventListener("click", (event) => {
  const box = at("strip").getBoundingClientRect();
  view.goTo((event.clientX - box.left) / box.width);
});
addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("over"); });
addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("over"); });
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  const { files } = event.dataTransfer;
  if (files.length) readFile(files[0], files.length - 1);
  else usePasted(event.dataTransfer.getData("text/plain"));
});

request("health").then((health) => {
  say("model", health.model);
  explains = health.explains;
  at("file").accept = health.suffixes.join(",");
}).catch((error) => fail(error.message));
