// Labels messages through the API of this server. Messages are hostile: they enter the page only as text.

const ROWS_SHOWN = 100; // at first, and more at each click
const REJECTED_SHOWN = 100;
const BINS = 20;
const LONGEST_EXCERPT = 300;
const STRONGEST_WORDS = 8;
const COLOURS = 8; // class-0, class-1, ... of palette.css
const UNSURE = "unsure"; // in place of a label that is not probable enough
const FAINTEST = 0.05; // share of the strongest influence from which a word is marked

const model = { labels: [], threshold: null, limits: null, ready: false };
const shown = { results: [], rejected: [], notes: "", unit: "line", name: "", label: null, threshold: null, most: ROWS_SHOWN };
let file = null; // the one chosen; else the box is classified
let running = null; // aborts the request under way

// ---- elements

const at = (id) => document.getElementById(id);

/** An element with properties or attributes, and children that are elements or text. */
function made(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const number = (value) => value.toLocaleString("en");
const counted = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;
const signed = (value) => `${value < 0 ? "\u2212" : "+"}${Math.abs(value).toFixed(2)}`;
const short = (value) => String(Number(value.toPrecision(3)));

function percent(probability) {
  const digits = (100 * probability).toFixed(1);
  if (digits === "100.0" && probability < 1) return "> 99.9%";
  if (digits === "0.0" && probability > 0) return "< 0.1%";
  return `${digits}%`;
}

function tell(error) {
  at("error").textContent = error;
}

// ---- the API

class Refusal extends Error {
  constructor(status, reason) {
    super(reason);
    this.status = status;
  }
}

/** The response to a body. */
async function asked(path, type, body, signal) {
  const headers = { "Content-Type": type };
  const key = at("key").value;
  if (/[^\x20-\x7e]/.test(key)) throw new Refusal(401, "The key has characters that cannot be sent.");
  if (model.needs_key && key) headers.Authorization = `Bearer ${key}`;
  let response;
  let answer = {};
  try {
    response = await fetch(path, { method: "POST", headers, body, signal });
    answer = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    if (!response || response.ok) throw new Refusal(0, "The server does not answer. Is it still running?");
  }
  if (response.ok) return answer;
  throw new Refusal(response.status, answer.detail ?? `The server refuses with status ${response.status}.`);
}

/** The reason of a refusal; if the key is at fault, its field gets the focus. */
function reasonOf(refusal) {
  if (refusal.status === 401) {
    at("key-side").hidden = false;
    at("key").focus();
  }
  return refusal.message;
}

async function waitForModel() {
  const state = at("state");
  const say = (name, text) => {
    state.dataset.state = name;
    if (state.textContent !== text) state.textContent = text;
  };
  while (!model.ready) {
    try {
      const health = await fetch("health");
      const answer = health.ok && (await fetch("model"));
      if (answer.ok) {
        Object.assign(model, await answer.json(), { ready: true });
        break;
      }
      say("loading", "The model is loading");
    } catch {
      say("gone", "The server does not answer; trying again");
    }
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
  at("key-side").hidden = !model.needs_key;
  at("classify").setAttribute("aria-disabled", "false");
  shown.threshold = model.threshold;
  const second = model.labels[1];
  at("scale-says").textContent = `probability of ${second}`;
  at("threshold-label").textContent = `Threshold for ${second}`;
  at("bar-head").textContent = inTwo() ? `p(${second})` : "its probability";
  [at("towards").textContent, at("against").textContent] = sidesOf(inTwo() ? second : "its label");
  const isSpam = model.labels.join() === "ham,spam";
  document.body.classList.toggle("many", !inTwo());
  at("title").textContent = document.title = isSpam ? "Spam or ham?" : "Which label?";
  at("examples").hidden = !isSpam;
  at("report-link").hidden = !model.report || model.needs_key; // a link sends no key
  const known = Object.entries(model.about);
  if (model.abstain !== null) known.push(["No label", `is given below a probability of ${percent(model.abstain)}`]);
  const facts = known.map((fact) => made("div", {}, made("dt", {}, fact[0]), made("dd", {}, fact[1])));
  at("about").replaceChildren(...facts);
  at("about-side").hidden = false;
  at("warning").textContent = model.warning;
  say("ready", ["Ready", model.summary].filter(Boolean).join(": "));
}

// ---- messages

function takeFile(chosen) {
  tell("");
  file = chosen;
  at("file-name").textContent = file.name;
  at("file-size").textContent = counted(file.size, "byte");
  at("column-side").hidden = /\.(txt|eml|mbox)$/i.test(file.name);
  at("encoding-side").hidden = /\.(parquet|eml|mbox)$/i.test(file.name);
  at("file-side").hidden = false;
  at("box-side").hidden = true;
}

function removeFile() {
  file = null;
  at("file").value = "";
  at("file-side").hidden = true;
  at("box-side").hidden = false;
  at("box").focus();
}

/** The file chosen, or the box as one: a .txt has a message on each line, a .jsonl takes line breaks in a message. */
function given() {
  if (file) return file;
  const text = at("box").value;
  if (!text.trim()) return null;
  if (!at("whole").checked) return new File([text], "messages.txt");
  return new File([JSON.stringify({ text: text.toWellFormed() })], "messages.jsonl");
}

async function classify() {
  if (running) return;
  tell("");
  if (!model.ready) return tell("The model is still loading.");
  const sent = given();
  if (!sent) {
    at("box").focus();
    return tell("There is no message yet.");
  }
  const most = model.limits.body_bytes;
  if (sent.size > most) {
    const remedy = "python -m spam_classifier.predict --input takes any size";
    return tell(`That is ${counted(sent.size, "byte")}, and this server takes ${number(most)}: ${remedy}.`);
  }
  const request = new AbortController();
  running = request;
  busy(true);
  try {
    const content = await sent.arrayBuffer().catch(() => {
      throw new Refusal(0, `${sent.name} cannot be read.`);
    });
    const query = new URLSearchParams({ name: sent.name });
    if (file && at("column").value.trim()) query.set("text_column", at("column").value.trim());
    if (file && at("encoding").value.trim()) query.set("encoding", at("encoding").value.trim());
    const answer = await asked(`predict_file?${query}`, "application/octet-stream", content, request.signal);
    const { predictions: results, rejected, unit } = answer;
    const notes = file ? answer.notes : "";
    Object.assign(shown, { results, rejected, unit, notes, name: sent.name, label: null, most: ROWS_SHOWN });
    showAll();
  } catch (error) {
    if (running !== request) return; // another took its place
    if (error.name === "AbortError") tell("Cancelled.");
    else if (error instanceof Refusal) tell(reasonOf(error));
    else throw error;
  } finally {
    if (running === request) {
      running = null;
      busy(false);
    }
  }
}

function busy(on) {
  if (!on && document.activeElement === at("cancel")) at("classify").focus();
  at("classify").setAttribute("aria-disabled", String(on));
  at("cancel").hidden = at("progress-side").hidden = !on;
}

// ---- results

const inTwo = () => model.labels.length === 2;

/** The most probable label; of two, the one by the threshold that is shown. */
function likeliestOf({ label, probabilities }) {
  if (inTwo()) return model.labels[probabilities[model.labels[1]] >= shown.threshold ? 1 : 0];
  return label ?? model.labels.reduce((best, other) => (probabilities[other] > probabilities[best] ? other : best));
}

/** The label, or that there is none. */
function labelOf(result) {
  const label = likeliestOf(result);
  return result.probabilities[label] < (model.abstain ?? 0) ? UNSURE : label;
}

const barOf = (result) => result.probabilities[inTwo() ? model.labels[1] : likeliestOf(result)];
const sidesOf = (label) => [`towards ${label}`, inTwo() ? `towards ${model.labels[0]}` : `against ${label}`];
const colourOf = (label) => (label === UNSURE ? "var(--edge)" : `var(--class-${model.labels.indexOf(label) % COLOURS})`);

function tally() {
  const all = model.abstain === null ? model.labels : [...model.labels, UNSURE];
  const counts = new Map(all.map((label) => [label, 0]));
  for (const result of shown.results) counts.set(labelOf(result), counts.get(labelOf(result)) + 1);
  return counts;
}

function showAll() {
  const { results, rejected } = shown;
  const cut = results.filter((result) => result.truncated).length;
  const read = cut ? ` ${number(cut)} of them cut to the ${counted(model.max_length, "token")} that are read.` : "";
  at("summary").textContent = `${counted(results.length, "message")} ${model.abstain === null ? "labelled" : "classified"}.${read}`;
  at("notes").textContent = `${shown.name}: ${shown.notes}`;
  at("notes").hidden = !shown.notes;
  at("rejected-side").hidden = !rejected.length;
  at("rejected-count").textContent = `${counted(rejected.length, "row")} rejected`;
  const reasons = rejected.slice(0, REJECTED_SHOWN).map(({ place, reason }) => `${shown.unit} ${place}: ${reason}`);
  if (rejected.length > REJECTED_SHOWN) reasons.push(`\u2026 and ${number(rejected.length - REJECTED_SHOWN)} more`);
  at("rejected").replaceChildren(...reasons.map((reason) => made("li", {}, reason)));
  at("empty").hidden = true;
  at("labelled").hidden = !results.length;
  at("threshold-side").hidden = !inTwo();
  at("unit-head").textContent = shown.unit;
  if (!results.length) return;
  if (inTwo()) {
    showBins();
    showThreshold();
  }
  showCounts();
  showRows();
  document.body.classList.add("answered");
  if (at("results").getBoundingClientRect().top > 0.4 * innerHeight) at("results").scrollIntoView();
}

/** The number of messages with each label; each is a button that shows these messages alone. */
function showCounts() {
  const counts = tally();
  const tiles = [[null, shown.results.length], ...counts].map(([label, many]) => {
    const tile = made("button", { type: "button" });
    if (label !== null) tile.style.setProperty("--own", colourOf(label));
    tile.append(made("strong", {}, number(many)), label ?? "all");
    tile.setAttribute("aria-pressed", String(label === shown.label));
    tile.addEventListener("click", () => {
      Object.assign(shown, { label, most: ROWS_SHOWN });
      showCounts();
      showRows();
      at("tiles").querySelector('[aria-pressed="true"]').focus();
    });
    return tile;
  });
  at("tiles").replaceChildren(...tiles);
  at("counts").textContent = [...counts].map(([label, many]) => `${number(many)} ${label}`).join(", ");
}

function showThreshold() {
  at("results").style.setProperty("--threshold", shown.threshold);
  at("threshold").value = shown.threshold;
  at("threshold-says").textContent = short(shown.threshold);
  at("threshold-reset").disabled = shown.threshold === model.threshold;
  Array.from(at("bins").children).forEach((bin, index) => {
    bin.className = (index + 0.5) / BINS >= shown.threshold ? "second" : "";
  });
}

/** The number of messages at each probability; heights are square roots, so that the few in the middle are visible. */
function showBins() {
  const counts = new Array(BINS).fill(0);
  for (const result of shown.results) counts[Math.min(BINS - 1, Math.floor(barOf(result) * BINS))] += 1;
  const most = Math.max(...counts);
  at("bins").replaceChildren(...counts.map((many) => made("span", {}, made("small", {}, many ? number(many) : ""))));
  counts.forEach((many, index) => at("bins").children[index].style.setProperty("--height", Math.sqrt(many / most)));
}

/** Label again, without asking the server. */
function moveThreshold(threshold) {
  shown.threshold = threshold;
  showThreshold();
  showCounts();
  showRows();
}

function showRows() {
  const chosen = shown.results.filter((result) => shown.label === null || labelOf(result) === shown.label);
  const rows = chosen.slice(0, shown.most).map((result) => {
    result.row ??= rowOf(result);
    result.row.update();
    return result.row.element;
  });
  at("rows").className = inTwo() ? "rows two" : "rows";
  at("labelled").style.setProperty("--digits", Math.max(3, ...shown.results.map(({ place }) => String(place).length)));
  at("labelled").style.setProperty("--letters", Math.max(...[...tally().keys()].map((label) => label.length)));
  at("rows").replaceChildren(...rows);
  at("more").hidden = chosen.length <= shown.most;
  at("more").textContent = `Show more (${number(shown.most)} of ${number(chosen.length)})`;
}

/** A message in the list, and a function that updates its label. */
function rowOf(result) {
  const panel = made("div", { className: "panel", hidden: true });
  const chip = made("span", { className: "chip" });
  const bar = made("span", { className: "bar", "aria-hidden": "true" });
  const says = made("span", { className: "percent" });
  const chance = made("span", { className: "chance" }, says, bar);
  const excerpt = result.text.slice(0, LONGEST_EXCERPT) + (result.text.length > LONGEST_EXCERPT ? "\u2026" : "");
  const place = typeof result.place === "number" ? number(result.place) : result.place;
  const line = made("button", { type: "button", className: "line" }, made("span", { className: "number" }, place));
  line.append(chip, chance, made("span", { className: "excerpt" }, excerpt));
  const title = `Longer than the ${model.max_length} tokens that are read`;
  if (result.truncated) line.append(made("span", { className: "cut", title }, "cut"));
  const element = made("li", {}, line, panel);
  const update = () => {
    const label = labelOf(result);
    element.style.setProperty("--own", colourOf(label));
    chip.textContent = label;
    says.textContent = percent(barOf(result));
    bar.style.setProperty("--probability", barOf(result));
  };
  line.setAttribute("aria-expanded", "false");
  line.addEventListener("click", () => {
    panel.hidden = !panel.hidden;
    line.setAttribute("aria-expanded", String(!panel.hidden));
    if (!panel.hasChildNodes()) showExplanation(panel, result);
  });
  return { element, update };
}

// ---- the words that pushed a label

async function showExplanation(panel, result) {
  const words = made("p", { className: "words" }, result.text);
  const note = made("p", { className: "note", role: "status" }, "Trying the message with some of its words \u2026");
  panel.replaceChildren(words, note);
  try {
    const question = { text: result.text, label: inTwo() ? model.labels[1] : likeliestOf(result) };
    const explanation = await asked("explain", "application/json", JSON.stringify(question));
    panel.replaceChildren(...explained(result, explanation));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const again = made("button", { type: "button", className: "quiet" }, "Try again");
    again.addEventListener("click", () => showExplanation(panel, result));
    panel.replaceChildren(words, made("p", { className: "error", role: "alert" }, reasonOf(error)), again);
  }
}

function explained(result, explanation) {
  const { label, parts } = explanation;
  const [towards, against] = sidesOf(label);
  const strongest = Math.max(1, ...parts.map((part) => Math.abs(part.influence)));
  const pushes = ({ influence }) => Math.abs(influence) >= FAINTEST * strongest;
  const said = ({ influence, error }) =>
    `${signed(influence)}${error ? ` \u00b1 ${error.toFixed(2)}` : ""} ${influence < 0 ? against : towards}`;
  const marked = (kind, influence, text = "") => {
    const mark = made("span", { className: `${kind} ${influence < 0 ? "against" : "towards"}` }, text);
    mark.style.setProperty("--strength", Math.abs(influence) / strongest);
    return mark;
  };
  const words = made("p", { className: "words" });
  for (const part of parts) {
    const { text, influence } = part;
    const word = influence !== null && pushes(part) ? marked("word", influence, text) : made("span", {}, text);
    if (influence !== null) word.title = said(part);
    else if (text.trim()) Object.assign(word, { className: "unread", title: "Not read: the message is too long" });
    words.append(word);
  }
  const byStrength = parts.filter(pushes).sort((one, other) => Math.abs(other.influence) - Math.abs(one.influence));
  const lines = byStrength.slice(0, STRONGEST_WORDS).map((part) => {
    const word = made("span", { className: "of" }, part.text.trim());
    return made("li", {}, word, marked("push", part.influence), made("span", {}, said(part)));
  });
  return [words, made("p", {}, sumOf(result, explanation)), made("ol", { className: "pushes" }, ...lines)];
}

/** How the words add up to the probability of the explained class. */
function sumOf(result, { label, log_odds, without_words }) {
  const unsure = labelOf(result) === UNSURE ? `Less probable than ${percent(model.abstain)}, so there is no label. ` : "";
  const all = Object.entries(result.probabilities).map(([name, probability]) => `${name} ${percent(probability)}`);
  const sum = `${signed(without_words)} without any words, ${signed(log_odds - without_words)} by the words`;
  const shares = inTwo() ? `${label} ${percent(result.probabilities[label])}` : all.join(", ");
  return `${unsure}Log-odds of ${label}: ${sum}, ${signed(log_odds)} in all. That is ${shares}.`;
}

// ---- controls

const quoted = (value) => `"${String(value).replaceAll('"', '""')}"`;

/** The results as CSV, every text exact. */
function download() {
  const probabilities = model.labels.map((label) => `probability_${label}`);
  const names = [shown.unit, "text", "predicted", "probability", ...probabilities, "threshold", "truncated"];
  const lines = [names.map(quoted).join(",")];
  for (const result of shown.results) {
    const label = labelOf(result) === UNSURE ? "" : labelOf(result);
    const numbers = [barOf(result), ...model.labels.map((name) => result.probabilities[name])];
    const cells = [quoted(result.place), quoted(result.text), quoted(label), ...numbers, shown.threshold ?? quoted("")];
    lines.push([...cells, quoted(result.truncated)].join(","));
  }
  const csv = new Blob([`\ufeff${lines.join("\n")}\n`], { type: "text/csv;charset=utf-8" });
  const link = made("a", { href: URL.createObjectURL(csv), download: shown.name.replace(/(\.[^.]*)?$/, "-labelled.csv") });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

at("messages").addEventListener("submit", (event) => {
  event.preventDefault();
  classify();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    classify();
  }
});
at("cancel").addEventListener("click", () => running?.abort());
at("whole").addEventListener("change", () => {
  at("box-label").textContent = at("whole").checked ? "One message" : "One message per line";
});
at("examples").addEventListener("click", ({ target }) => {
  if (target.type !== "button") return;
  const before = at("whole").checked ? "" : at("box").value.trimEnd();
  at("box").value = [before, target.textContent].filter(Boolean).join("\n");
  running?.abort();
  running = null; // the new request has this message, too
  classify();
});
at("file").addEventListener("change", () => {
  if (at("file").files.length) takeFile(at("file").files[0]);
});
at("file-remove").addEventListener("click", removeFile);
at("threshold").addEventListener("input", () => moveThreshold(Number(at("threshold").value)));
at("threshold-reset").addEventListener("click", () => {
  at("threshold").focus();
  moveThreshold(model.threshold);
});
at("more").addEventListener("click", () => {
  const first = shown.most;
  shown.most += ROWS_SHOWN;
  showRows();
  at("rows").children[first].querySelector(".line").focus();
});
at("download").addEventListener("click", download);
at("key").value = sessionStorage.getItem("key") ?? "";
at("key").addEventListener("input", () => sessionStorage.setItem("key", at("key").value));

document.addEventListener("dragover", (event) => {
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  document.body.classList.add("dragging");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dragging"); // the pointer left the window
});
document.addEventListener("drop", (event) => {
  document.body.classList.remove("dragging");
  const files = event.dataTransfer?.files ?? [];
  if (!files.length) return; // text that is dropped into the box
  event.preventDefault();
  if (files.length > 1) tell("One file at a time.");
  else takeFile(files[0]);
});

waitForModel();
