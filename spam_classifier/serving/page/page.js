// Judges messages through the API beside this page. Messages are hostile: they enter the page as text and no other way.

const ROWS_OF_A_PAGE = 100;
const BINS = 50;
const FIRST_REQUEST = 32; // texts; twice as many each time while answers come soon
const SOON = 700; // milliseconds
const LATE = 4_000;
const MOST_TRIES = 6; // of a request, while the server is busy
const LARGEST_FILE = 100 * 2 ** 20;
const LONGEST_EXCERPT = 300;
const PLACES_NAMED = 5;
const STRONGEST_WORDS = 6;
const FAINTEST = 0.05; // share of the strongest influence from which a word is marked
const BLANK = /^[\s\x1c-\x1f\x85]*$/; // what the server takes for white space, too

const model = { labels: [], threshold: null, limits: null, ready: false };
const given = { file: null }; // name, stem, header (null for a .txt), rows of { line, fields }
const shown = { results: [], header: ["text"], stem: "", label: null, page: 0, threshold: null, rows: [] };
let running = null; // what aborts the requests under way

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
  if (digits === "100.0" && probability < 1) return "> 99.9 %";
  if (digits === "0.0" && probability > 0) return "< 0.1 %";
  return `${digits} %`;
}

function tell(error) {
  at("error").textContent = error;
}

// ---- CSV

/**
 * The rows of a CSV (RFC 4180), each with the line it starts on. Empty lines are passed over; a quote inside a field
 * that does not begin with one is a character like any other.
 */
export function csvRows(text) {
  const rows = [];
  const unquoted = /[^,\r\n]*/y;
  const lineEnd = /\r\n|\r|\n/y;
  let place = 0;
  let line = 1;
  let row = { line, fields: [] };
  let empty = true;
  const end = () => {
    if (!empty) rows.push(row);
  };
  while (place < text.length) {
    let value = "";
    if (text[place] === '"') {
      empty = false;
      const opened = line;
      let closed = false;
      place += 1;
      while (!closed) {
        const quote = text.indexOf('"', place);
        if (quote < 0) throw new Error(`line ${opened}: a quote is opened and never closed`);
        value += text.slice(place, quote);
        closed = text[quote + 1] !== '"';
        if (!closed) value += '"';
        place = quote + (closed ? 1 : 2);
      }
      line += value.match(/\r\n|\r|\n/g)?.length ?? 0;
      if (place < text.length && !",\r\n".includes(text[place])) {
        throw new Error(`line ${line}: something stands behind a closing quote; double each quote in a text`);
      }
    } else {
      unquoted.lastIndex = place;
      [value] = unquoted.exec(text);
      place = unquoted.lastIndex;
    }
    row.fields.push(value);
    empty &&= value === "";
    if (text[place] === ",") {
      place += 1;
      empty = false;
      if (place === text.length) row.fields.push("");
      continue;
    }
    lineEnd.lastIndex = place;
    if (lineEnd.test(text)) {
      place = lineEnd.lastIndex;
      line += 1;
    }
    end();
    row = { line, fields: [] };
    empty = true;
  }
  end();
  return rows;
}

const quoted = (value) => `"${String(value).replaceAll('"', '""')}"`;

/** Results as CSV: every text to the letter. */
function csvOf(results, header) {
  const columns = [...header, "predicted", "probability", ...model.labels.map((label) => `probability_${label}`)];
  const lines = [[...columns, "threshold", "truncated"].map(quoted).join(",")];
  for (const result of results) {
    const label = verdict(result);
    const numbers = [result.probabilities[label], ...result.probabilities];
    const cells = [...result.fields.map(quoted), quoted(model.labels[label]), ...numbers];
    lines.push([...cells, shown.threshold ?? quoted(""), quoted(result.truncated)].join(","));
  }
  return `${lines.join("\n")}\n`;
}

// ---- the API

class Refusal extends Error {
  constructor(status, reason) {
    super(reason);
    this.status = status;
  }
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1_000 * seconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

function requestHeaders() {
  const key = model.needs_key && at("key").value;
  try {
    return new Headers({ "Content-Type": "application/json", ...(key && { Authorization: `Bearer ${key}` }) });
  } catch {
    throw new Refusal(401, "The key has characters that cannot be sent.");
  }
}

/** The answer to a question; a server that is busy is asked again when it says. */
async function asked(path, question, signal, onWait = () => {}) {
  for (let attempt = 1; ; attempt += 1) {
    const headers = requestHeaders();
    let response;
    let answer;
    try {
      response = await fetch(path, { method: "POST", headers, body: JSON.stringify(question), signal });
      answer = await response.json().catch((error) => {
        if (error.name === "AbortError" || response.ok) throw error;
        return {};
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refusal(0, "The server does not answer. Is it still running?");
    }
    if (response.ok) return answer;
    if ((response.status === 429 || response.status === 503) && attempt < MOST_TRIES) {
      const seconds = Number(response.headers.get("Retry-After")) || 2;
      onWait(seconds);
      await pause(seconds, signal);
      continue;
    }
    throw new Refusal(response.status, sentence(answer.detail ?? `The server refuses with status ${response.status}`));
  }
}

function sentence(text) {
  const line = String(text);
  return line.charAt(0).toUpperCase() + line.slice(1) + (/[.?!]$/.test(line) ? "" : ".");
}

/** What a refusal says; where the key is at fault, its field is next. */
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
      const health = await fetch("/health");
      if (health.ok) {
        const answer = await fetch("/model");
        if (answer.ok) {
          Object.assign(model, await answer.json(), { ready: true });
          break;
        }
      }
      say("loading", "The model is loading");
    } catch {
      say("gone", "The server does not answer; trying again");
    }
    await pause(1);
  }
  at("key-side").hidden = !model.needs_key;
  at("classify").setAttribute("aria-disabled", "false");
  shown.threshold = model.threshold;
  if (inTwo()) {
    at("end-first").textContent = `surely ${model.labels[0]}`;
    at("end-second").textContent = `surely ${model.labels[1]}`;
    const called = `Probability from which a message counts as ${model.labels[1]}`;
    at("threshold").setAttribute("aria-label", called);
    at("threshold-label").textContent = `Threshold for ${model.labels[1]}`;
  }
  at("bar-head").textContent = inTwo() ? `probability of ${model.labels[1]}` : "its probability";
  offerOrders();
  say("ready", `${model.run} is ready: ${model.labels.join(", ")}; reads ${counted(model.max_length, "token")} of a message`);
}

// ---- what is to be judged

function splitLines(text) {
  return text.split(/\r?\n/).map((line, index) => ({ line: index + 1, fields: [line] }));
}

/** The rows given, the names of their columns, and which one holds the text. */
function rowsGiven() {
  if (given.file?.header) return { ...given.file, column: Number(at("column").value) };
  const source = { header: ["text"], column: 0, stem: given.file?.stem ?? "" };
  if (given.file) return { ...source, rows: given.file.rows };
  const text = at("box").value;
  return { ...source, rows: at("whole").checked ? [{ line: 1, fields: [text] }] : splitLines(text) };
}

function longer(text, most) {
  return text.length > most && [...text].length > most; // characters, not halves of surrogate pairs
}

/** Messages to judge, and the lines of those that cannot be. */
function messagesGiven() {
  const { rows, header, column, stem } = rowsGiven();
  const left = { ragged: [], long: [], blank: [] };
  const messages = [];
  for (const { line, fields } of rows) {
    if (fields.length !== header.length) left.ragged.push(line);
    else if (BLANK.test(fields[column])) left.blank.push(line);
    else if (longer(fields[column], model.limits.characters)) left.long.push(line);
    else messages.push({ line, fields, text: fields[column].toWellFormed() });
  }
  if (!given.file) left.blank = []; // empty lines in a box are nothing to speak of
  return { messages, left, header, stem };
}

function leftOut(left) {
  const reasons = {
    ragged: "with another number of fields than the header",
    long: `of more than ${number(model.limits.characters)} characters`,
    blank: "without text",
  };
  return Object.entries(left)
    .filter(([, lines]) => lines.length)
    .map(([kind, lines]) => {
      const named = lines.slice(0, PLACES_NAMED).map(number).join(", ");
      const more = lines.length > PLACES_NAMED ? ", \u2026" : "";
      const where = `${lines.length === 1 ? "line" : "lines"} ${named}${more}`;
      return `Left out: ${counted(lines.length, "message")} ${reasons[kind]} (${where}).`;
    })
    .join(" ");
}

async function readFile(file) {
  const stem = file.name.replace(/\.[^.]*$/, "");
  const kind = /\.csv$/i.test(file.name) ? "csv" : /\.txt$/i.test(file.name) ? "txt" : null;
  if (!kind) throw new Error(`${file.name}: name a .csv or a .txt.`);
  if (file.size > LARGEST_FILE) {
    throw new Error(`${file.name} is too large for a page: python -m spam_classifier.predict --input takes any size.`);
  }
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer()); // drops a byte order mark
  } catch (error) {
    if (error instanceof TypeError) throw new Error(`${file.name} is not UTF-8: save it as UTF-8.`);
    throw new Error(`${file.name} cannot be read.`);
  }
  if (kind === "txt") return { name: file.name, stem, header: null, rows: splitLines(text) };
  let rows;
  try {
    rows = csvRows(text);
  } catch (error) {
    throw new Error(`${file.name}, ${error.message}.`);
  }
  if (!rows.length) throw new Error(`${file.name} is empty.`);
  const [{ fields: header }, ...others] = rows;
  if (!others.length) throw new Error(`${file.name} has no rows below its first line, which names the columns.`);
  return { name: file.name, stem, header, rows: others };
}

/** The column named text, in this case or, if unique, any other; else the one with the longest fields. */
function textColumn({ header, rows }) {
  const exact = header.indexOf("text");
  const similar = header.flatMap((name, column) => (name.toLowerCase() === "text" ? [column] : []));
  if (exact >= 0) return exact;
  if (similar.length === 1) return similar[0];
  const looked = rows.slice(0, 200);
  const sizes = header.map((_, column) => looked.reduce((sum, row) => sum + (row.fields[column]?.length ?? 0), 0));
  return sizes.indexOf(Math.max(...sizes));
}

async function takeFile(file) {
  tell("");
  try {
    given.file = await readFile(file);
  } catch (error) {
    tell(error.message);
    return;
  }
  const { name, header, rows } = given.file;
  at("file-name").textContent = name;
  const messages = rows.filter((row) => !BLANK.test(row.fields[0]));
  at("file-size").textContent = header ? counted(rows.length, "row") : counted(messages.length, "message");
  at("column-side").hidden = !header || header.length < 2;
  at("column").replaceChildren(...(header ?? []).map((title, index) => new Option(title || `column ${index + 1}`, index)));
  if (header) at("column").value = textColumn(given.file);
  showSample();
  at("file-side").hidden = false;
  at("box-side").hidden = true;
}

function showSample() {
  const first = given.file?.rows[0]?.fields[Number(at("column").value)] ?? "";
  at("column-sample").textContent = first.slice(0, LONGEST_EXCERPT);
}

function removeFile() {
  given.file = null;
  at("file").value = "";
  at("file-side").hidden = true;
  at("box-side").hidden = false;
  tell("");
  at("box").focus();
}

// ---- judging

const encoder = new TextEncoder();

/** How many messages from a place on fit into a request. */
function fitting(messages, start, most) {
  let bytes = 100;
  let end = start;
  while (end < messages.length && end - start < most) {
    bytes += encoder.encode(JSON.stringify(messages[end].text)).length + 1;
    if (bytes > model.limits.body_bytes && end > start) break;
    end += 1;
  }
  return end - start;
}

async function judge(messages, signal) {
  let size = Math.min(FIRST_REQUEST, model.limits.texts);
  let done = 0;
  while (done < messages.length) {
    at("progress-text").textContent = `${number(done)} of ${counted(messages.length, "message")}`;
    at("progress").value = done;
    const batch = messages.slice(done, done + fitting(messages, done, size));
    const began = performance.now();
    let answer;
    try {
      answer = await asked("/predict", { texts: batch.map((message) => message.text) }, signal, (seconds) => {
        at("progress-text").textContent = `The server is busy, asking again in ${counted(seconds, "second")}`;
      });
    } catch (error) {
      if (error.status === 504 && batch.length > 1) {
        size = Math.ceil(batch.length / 2);
        continue;
      }
      if (error.status === 413 || error.status === 422) {
        error.message = `Lines ${number(batch[0].line)} to ${number(batch.at(-1).line)}: ${error.message}`;
      }
      throw error;
    }
    signal.throwIfAborted();
    answer.predictions.forEach((prediction, index) => {
      const probabilities = model.labels.map((label) => prediction.probabilities[label]);
      shown.results.push({ ...batch[index], probabilities, truncated: prediction.truncated });
    });
    done += batch.length;
    const took = performance.now() - began;
    if (took < SOON) size = Math.min(2 * size, model.limits.texts);
    else if (took > LATE) size = Math.max(1, Math.floor(size / 2));
    if (shown.results.length <= 2 * ROWS_OF_A_PAGE || done === messages.length) showAll();
    else showCounts();
  }
}

async function classify() {
  tell("");
  if (running) return;
  if (!model.ready) {
    tell("The model is still loading.");
    return;
  }
  const { messages, left, header, stem } = messagesGiven();
  if (!messages.length) {
    tell(`There is nothing to classify: write a message, or choose a file that holds some. ${leftOut(left)}`.trim());
    return;
  }
  if (model.needs_key && !at("key").value) {
    tell("The server wants a key.");
    at("key").focus();
    return;
  }
  Object.assign(shown, { results: [], header, stem, label: null, page: 0 });
  running = new AbortController();
  at("classify").setAttribute("aria-disabled", "true");
  at("cancel").hidden = false;
  at("progress-side").hidden = false;
  at("progress").max = messages.length;
  at("summary").textContent = at("counts").textContent = "";
  at("passed-over").textContent = leftOut(left);
  let ended = "";
  try {
    await judge(messages, running.signal);
  } catch (error) {
    const done = `${number(shown.results.length)} of ${number(messages.length)} had been judged.`;
    if (error.name === "AbortError") ended = `Cancelled: ${done}`;
    else if (error instanceof Refusal) {
      tell(reasonOf(error));
      if (shown.results.length) ended = `Stopped: ${done}`;
    } else throw error;
  } finally {
    running = null;
    if (document.activeElement === at("cancel")) at("classify").focus();
    at("cancel").hidden = true;
    at("progress-side").hidden = true;
    at("classify").setAttribute("aria-disabled", "false");
    showAll();
  }
  at("summary").textContent = ended || summary();
  sayCounts();
  if (shown.results.length && at("results").getBoundingClientRect().top > 0.8 * innerHeight) {
    const smooth = matchMedia("(prefers-reduced-motion: no-preference)").matches;
    at("results").scrollIntoView({ behavior: smooth ? "smooth" : "auto" });
  }
}

// ---- results

const inTwo = () => model.labels.length === 2;

/** The place of the class that is decided for. */
function verdict({ probabilities }) {
  if (inTwo()) return probabilities[1] >= shown.threshold ? 1 : 0;
  return probabilities.indexOf(Math.max(...probabilities));
}

const barOf = (result) => result.probabilities[inTwo() ? 1 : verdict(result)];
const side = (label) => (inTwo() ? ["first", "second"][label] : "");

function tally() {
  const counts = model.labels.map(() => 0);
  for (const result of shown.results) counts[verdict(result)] += 1;
  return counts;
}

function summary() {
  const cut = shown.results.filter((result) => result.truncated).length;
  const read = cut ? ` ${number(cut)} of them cut to the ${counted(model.max_length, "token")} that are read.` : "";
  return `${counted(shown.results.length, "message")} judged.${read}`;
}

function sayCounts() {
  const counts = tally();
  const named = model.labels.map((label, index) => `${number(counts[index])} ${label}`).join(", ");
  at("counts").textContent = inTwo() ? `${named} at a threshold of ${short(shown.threshold)}` : named;
}

function showAll() {
  const any = shown.results.length > 0;
  at("judged").hidden = !any;
  at("empty").hidden = any;
  at("threshold-side").hidden = !inTwo();
  if (!any) return;
  showThreshold();
  showBins();
  showCounts();
  showRows();
}

/** How many each label has; each is a button that shows its messages alone. */
function showCounts() {
  const counts = tally();
  const all = [[null, "all", shown.results.length], ...model.labels.map((label, index) => [index, label, counts[index]])];
  const tiles = at("tiles");
  if (tiles.children.length !== all.length) {
    tiles.replaceChildren(
      ...all.map(([label, name]) => {
        const tile = made("button", { type: "button", className: label === null ? "" : side(label) });
        tile.append(made("strong"), name);
        tile.addEventListener("click", () => {
          Object.assign(shown, { label, page: 0 });
          showCounts();
          showRows();
        });
        return tile;
      }),
    );
  }
  all.forEach(([label, , many], index) => {
    const tile = tiles.children[index];
    tile.querySelector("strong").textContent = number(many);
    tile.setAttribute("aria-pressed", String(label === shown.label));
  });
  if (inTwo()) {
    const those = `${number(counts[1])} of ${number(shown.results.length)}`;
    at("threshold-says").textContent = `${those} at ${short(shown.threshold)} or more`;
  }
}

function showThreshold() {
  if (!inTwo()) return;
  at("results").style.setProperty("--threshold", shown.threshold);
  at("threshold").value = shown.threshold;
  at("threshold").setAttribute("aria-valuetext", short(shown.threshold));
  if (document.activeElement !== at("threshold-number")) at("threshold-number").value = short(shown.threshold);
  at("threshold-reset").disabled = shown.threshold === model.threshold;
  Array.from(at("bins").children).forEach((bin, index) => {
    bin.className = (index + 0.5) / BINS >= shown.threshold ? "second" : "";
  });
}

/** How many messages there are at each probability; by square roots, or the few in the middle would vanish. */
function showBins() {
  if (!inTwo()) return;
  const counts = new Array(BINS).fill(0);
  for (const result of shown.results) counts[Math.min(BINS - 1, Math.floor(result.probabilities[1] * BINS))] += 1;
  const most = Math.max(...counts);
  const bins = at("bins");
  if (!bins.children.length) bins.append(...counts.map(() => made("span")));
  counts.forEach((many, index) => bins.children[index].style.setProperty("--height", Math.sqrt(many / most)));
  showThreshold();
}

let moved = 0;

/** Decide anew, without asking the server. */
function moveThreshold(threshold) {
  if (!(threshold >= 0 && threshold <= 1)) return;
  shown.threshold = threshold;
  cancelAnimationFrame(moved);
  moved = requestAnimationFrame(() => {
    showThreshold();
    showCounts();
    sayCounts();
    if (shown.label !== null) showRows();
    else shown.rows.forEach((row) => row.decide());
  });
}

const ORDERS = {
  given: () => 0,
  most: (one, other) => barOf(other) - barOf(one),
  least: (one, other) => barOf(one) - barOf(other),
};

function offerOrders() {
  const names = inTwo()
    ? { given: "as given", most: `most surely ${model.labels[1]} first`, least: `most surely ${model.labels[0]} first` }
    : { given: "as given", most: "surest first", least: "least sure first" };
  at("order").replaceChildren(...Object.entries(names).map(([value, name]) => new Option(name, value)));
}

function showRows() {
  const chosen = shown.results.filter((result) => shown.label === null || verdict(result) === shown.label);
  if (at("order").value !== "given") chosen.sort(ORDERS[at("order").value]);
  const pages = Math.max(1, Math.ceil(chosen.length / ROWS_OF_A_PAGE));
  shown.page = Math.min(shown.page, pages - 1);
  const start = shown.page * ROWS_OF_A_PAGE;
  shown.rows = chosen.slice(start, start + ROWS_OF_A_PAGE).map((result) => (result.row ??= rowOf(result)));
  shown.rows.forEach((row) => row.decide());
  const rows = at("rows");
  const focused = rows.contains(document.activeElement) ? document.activeElement : null;
  rows.className = inTwo() ? "rows two" : "rows";
  at("judged").style.setProperty("--digits", Math.max(3, number(shown.results.at(-1).line).length));
  at("judged").style.setProperty("--letters", Math.max(...model.labels.map((label) => label.length)));
  rows.replaceChildren(...shown.rows.map((row) => row.element));
  focused?.focus({ preventScroll: true });
  at("pages").hidden = pages === 1;
  const last = Math.min(chosen.length, start + ROWS_OF_A_PAGE);
  at("page-says").textContent = `${number(start + 1)} to ${number(last)} of ${number(chosen.length)}`;
  at("page-before").setAttribute("aria-disabled", String(shown.page === 0));
  at("page-after").setAttribute("aria-disabled", String(shown.page === pages - 1));
}

function turnPage(step) {
  const button = step < 0 ? at("page-before") : at("page-after");
  if (button.getAttribute("aria-disabled") === "true") return;
  shown.page += step;
  showRows();
  at("tiles").scrollIntoView({ block: "nearest" });
}

/** A message in the list, and what shows the verdict on it anew. */
function rowOf(result) {
  const panel = made("div", { className: "panel", id: `panel-${result.line}`, hidden: true });
  const chip = made("span", { className: "chip" });
  const bar = made("span", { className: "bar", "aria-hidden": "true" });
  const says = made("span", { className: "percent" });
  const excerpt = result.text.slice(0, LONGEST_EXCERPT) + (result.text.length > LONGEST_EXCERPT ? "\u2026" : "");
  const line = made(
    "button",
    { type: "button", className: "line", "aria-controls": panel.id },
    made("span", { className: "number" }, number(result.line)),
    chip,
    bar,
    says,
    made("span", { className: "excerpt" }, excerpt),
  );
  if (result.truncated) {
    line.append(made("span", { className: "cut", title: `Longer than the ${model.max_length} tokens that are read` }, "cut"));
  }
  const element = made("li", {}, line, panel);
  const decide = () => {
    const label = verdict(result);
    element.className = side(label);
    chip.textContent = model.labels[label];
    says.textContent = percent(barOf(result));
    says.title = inTwo() ? `Probability of ${model.labels[1]}` : "Probability of this label";
    bar.style.setProperty("--probability", barOf(result));
  };
  line.setAttribute("aria-expanded", "false");
  line.addEventListener("click", () => {
    panel.hidden = !panel.hidden;
    line.setAttribute("aria-expanded", String(!panel.hidden));
    if (!panel.hasChildNodes()) showExplanation(panel, result);
  });
  return { element, decide };
}

// ---- which words pushed it

async function showExplanation(panel, result) {
  const words = made("p", { className: "words" }, result.text);
  const note = made("p", { className: "note", role: "status" }, "Asking the model what it says without each word \u2026");
  panel.replaceChildren(words, note);
  try {
    const label = model.labels[inTwo() ? 1 : verdict(result)];
    const explanation = await asked("/explain", { text: result.text, label });
    panel.replaceChildren(...explained(result, explanation));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const again = made("button", { type: "button", className: "quiet" }, "Try again");
    again.addEventListener("click", () => showExplanation(panel, result));
    panel.replaceChildren(words, made("p", { className: "error", role: "alert" }, reasonOf(error)), again);
  }
}

function explained(result, { label, parts }) {
  const [towards, against] = inTwo()
    ? [`towards ${label}`, `towards ${model.labels.find((other) => other !== label)}`]
    : [`towards ${label}`, `against ${label}`];
  const strongest = Math.max(1, ...parts.map((part) => Math.abs(part.influence)));
  const pushing = parts.filter((part) => Math.abs(part.influence) >= FAINTEST * strongest);
  const words = made("p", { className: "words" });
  for (const { text, influence } of parts) {
    if (influence === null) {
      words.append(BLANK.test(text) ? text : made("span", { className: "unread", title: "Not read: the message is too long" }, text));
      continue;
    }
    const title = `${signed(influence)} ${influence < 0 ? against : towards}`;
    const word = made("span", { title }, text);
    if (Math.abs(influence) >= FAINTEST * strongest) {
      word.className = `word ${influence < 0 ? "against" : "towards"}`;
      word.style.setProperty("--strength", Math.abs(influence) / strongest);
    }
    words.append(word);
  }
  const legend = made(
    "p",
    { className: "legend note" },
    made("span", { className: "word towards" }, towards),
    made("span", { className: "word against" }, against),
    made("span", {}, `How far the log-odds of ${label} fall when a word is left out.`),
  );
  const lists = made("div", { className: "pushes" });
  const byStrength = [...pushing].sort((one, other) => Math.abs(other.influence) - Math.abs(one.influence));
  for (const [title, wanted] of [[towards, 1], [against, -1]]) {
    const found = byStrength.filter((part) => Math.sign(part.influence) === wanted).slice(0, STRONGEST_WORDS);
    if (!found.length) continue;
    const items = found.map((part) => {
      return made("li", {}, made("span", {}, part.text), made("span", {}, signed(part.influence)));
    });
    lists.append(made("section", {}, made("h3", {}, `Most ${title}`), made("ol", {}, ...items)));
  }
  if (!pushing.length) lists.append(made("p", { className: "note" }, "No word makes a difference by itself."));
  const others = model.labels.map((name, index) => `${name} ${percent(result.probabilities[index])}`);
  const all = inTwo() ? [] : [made("p", { className: "note" }, others.join(", "))];
  return [words, legend, ...all, lists];
}

// ---- what the controls do

function download() {
  const file = new Blob([csvOf(shown.results, shown.header)], { type: "text/csv;charset=utf-8" });
  const link = made("a", { href: URL.createObjectURL(file), download: `${shown.stem ? `${shown.stem}-` : ""}judged.csv` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

at("desk").addEventListener("submit", (event) => {
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
  at("box-label").textContent = at("whole").checked ? "One message" : "One message a line";
});
at("file").addEventListener("change", () => {
  if (at("file").files.length) takeFile(at("file").files[0]);
});
at("file-remove").addEventListener("click", removeFile);
at("column").addEventListener("change", showSample);
at("threshold").addEventListener("input", () => moveThreshold(Number(at("threshold").value)));
at("threshold-number").addEventListener("input", () => {
  if (at("threshold-number").value !== "") moveThreshold(Number(at("threshold-number").value));
});
at("threshold-number").addEventListener("blur", showThreshold);
at("threshold-reset").addEventListener("click", () => {
  at("threshold").focus();
  moveThreshold(model.threshold);
});
at("order").addEventListener("change", () => {
  shown.page = 0;
  showRows();
});
at("download").addEventListener("click", download);
at("page-before").addEventListener("click", () => turnPage(-1));
at("page-after").addEventListener("click", () => turnPage(1));
at("key").value = sessionStorage.getItem("key") ?? "";
at("key").addEventListener("input", () => sessionStorage.setItem("key", at("key").value));

let within = 0; // elements that are dragged over, one in another
for (const [name, step] of [["dragenter", 1], ["dragleave", -1]]) {
  document.addEventListener(name, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    within += step;
    document.body.classList.toggle("dragging", within > 0);
  });
}
document.addEventListener("dragover", (event) => {
  if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
});
document.addEventListener("drop", (event) => {
  within = 0;
  document.body.classList.remove("dragging");
  const files = event.dataTransfer?.files ?? [];
  if (!files.length) return; // text that is dropped into the box
  event.preventDefault();
  if (files.length > 1) tell("One file at a time.");
  else takeFile(files[0]);
});

waitForModel();
