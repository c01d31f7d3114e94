// What all pages share: elements and texts, bars, rows over time, and tables to save.

const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").text);

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

const truncated = (text, most) => text.length > most ? `${text.slice(0, most - 1)}\u2026` : text;
// Untrusted text: characters that would affect the surrounding text are escaped, and names that
// run from right to left are isolated.
const plain = (text) => text.replace(
  /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
  (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
const apart = (text) => /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefe]/.test(text)
  ? `\u2068${text}\u2069` : text;
const plural = (count, name) => `${count.toLocaleString("en")} ${name}${count === 1 ? "" : "s"}`;

// Bytes from base64.
const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

// Index of the last value of an increasing list that is at most `limit`; -1 if there is none.
function lastAtMost(values, limit) {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] <= limit) low = middle + 1; else high = middle;
  }
  return low - 1;
}

// Saves rows of texts as a CSV file.
function saveTable(name, rows) {
  const cell = (text) => `"${text.replaceAll('"', '""')}"`;
  const lines = rows.map((row, place) => place ? row.map(cell).join(",") : row.join(","));
  const table = encodeURIComponent(`${lines.join("\n")}\n`);
  element("a", { href: `data:text/csv;charset=utf-8,${table}`, download: name }).click();
}

// Records that the browser keeps under a key, without damaged ones; without storage, none.
function kept(key, isValid) {
  try {
    return JSON.parse(localStorage.getItem(key)).filter(isValid);
  } catch {
    return [];
  }
}

function keep(key, records) {
  try {
    localStorage.setItem(key, JSON.stringify(records));
  } catch { /* records last as long as the page */ }
}

// --- bars --------------------------------------------------------------------------------------

// Fills a list with bars: name, share 0..1, color, text, and perhaps the place of a mark, 0..1.
function showBars(list, rows) {
  list.replaceChildren(...rows.map(([name, share, color, text, mark]) => {
    const track = element("div", { className: "track" }, element("div", { className: "fill" }));
    track.firstChild.style.width = `${100 * Math.min(share, 1)}%`;
    track.firstChild.style.background = color;
    if (mark !== undefined) {
      track.append(element("div", { className: "mark" }));
      track.lastChild.style.left = `${100 * mark}%`;
    }
    return element("li", {},
      element("span", { className: "name", textContent: plain(truncated(name, 80)), dir: "auto" }),
      track, element("span", { className: "value", textContent: text }));
  }));
}

document.querySelectorAll("[data-bars]").forEach((list) =>
  showBars(list, JSON.parse(list.dataset.bars)));

// --- rows over time ----------------------------------------------------------------------------

const LANE = 24;

// Shows rows over time in an element, and times below them, if `textOf` a time is given. A row has a `name`, a `color`, perhaps a `curve` (increasing
// `times`, and `values` 0..1 that last until the next time), and perhaps `parts` ({ start, stop,
// text, color, isSolid, isChosen, isLine }).
function lanesIn(place, textOf) {
  const names = element("ul"), canvas = element("canvas", { role: "img" });
  const cursor = element("div", { className: "cursor", hidden: true });
  const times = element("p", { className: "times" });
  place.append(names, element("div", { className: "strip" }, canvas, cursor), times);
  const own = {
    canvas, rows: [], range: [0, 1],
    show(rows, range, text) {
      Object.assign(own, { rows, range });
      canvas.setAttribute("aria-label", text);
      names.replaceChildren(...rows.map(({ name, title }) => element("li", {
        textContent: apart(plain(truncated(name, 80))), title: title ?? plain(name), dir: "auto",
      })));
      const shown = textOf ? [range[0], (range[0] + range[1]) / 2, range[1]] : [];
      times.replaceChildren(...shown.map((time) => element("span", { textContent: textOf(time) })));
      own.draw();
    },
    draw: () => drawLanes(canvas, own.rows, own.range),
    moveTo(time) {
      const [start, stop] = own.range;
      cursor.hidden = time < start || time > stop;
      cursor.style.left = `${100 * (time - start) / (stop - start)}%`;
    },
    at({ offsetX, offsetY }) {
      const [start, stop] = own.range;
      const line = Math.min(Math.floor(offsetY / LANE), own.rows.length - 1);
      return { time: start + offsetX / canvas.clientWidth * (stop - start), line };
    },
  };
  new ResizeObserver(own.draw).observe(canvas.parentElement);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", own.draw);
  return own;
}

function drawLanes(canvas, rows, [start, stop]) {
  const ratio = window.devicePixelRatio || 1, style = getComputedStyle(canvas);
  const width = Math.max(canvas.parentElement.clientWidth, 50), height = LANE * rows.length;
  [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.font = "12px system-ui, sans-serif";
  [context.textBaseline, context.lineJoin] = ["middle", "round"];
  const x = (time) => (time - start) / Math.max(stop - start, 1e-9) * width;
  rows.forEach(({ color, curve, parts }, line) => {
    const top = LANE * line + 2;
    context.fillStyle = style.getPropertyValue("--strip");
    context.fillRect(0, top, width, LANE - 4);
    if (curve) drawCurve(context, curve, color, x, top, width, start);
    for (const part of parts ?? []) {
      if (part.stop >= start && part.start <= stop) drawPart(context, part, color, x, top, style);
    }
  });
}

// A column shows the largest value in it.
function drawCurve(context, { times, values }, color, x, top, width, start) {
  const columns = new Float32Array(Math.ceil(width));
  const edge = (n) => n < times.length ? x(times[n]) : width;
  for (let n = Math.max(lastAtMost(times, start), 0); n < times.length && edge(n) < width; n++) {
    const first = Math.max(Math.floor(edge(n)), 0);
    const last = Math.min(Math.max(edge(n + 1), first + 1), width);
    for (let column = first; column < last; column++) {
      columns[column] = Math.max(columns[column], values[n]);
    }
  }
  context.fillStyle = color;
  columns.forEach((value, column) => {
    const high = value * (LANE - 4);
    context.fillRect(column, top + LANE - 4 - high, 1, high);
  });
}

function drawPart(context, part, rowColor, x, top, style) {
  const { start, stop, text, isChosen, isSolid, isLine, color = rowColor } = part;
  const left = x(start), wide = Math.max(x(stop) - left, 1.5);
  if (isLine) {
    context.fillStyle = style.getPropertyValue("--text");
    context.fillRect(left, top + LANE - 7, wide, 3);
    return;
  }
  context.fillStyle = color;
  context.globalAlpha = isSolid ? 1 : 0.3;
  context.fillRect(left, top, wide, LANE - 4);
  context.globalAlpha = 1;
  context.lineWidth = isChosen ? 3 : 1;
  context.strokeStyle = isChosen ? style.getPropertyValue("--text") : color;
  context.strokeRect(left + 0.5, top + 0.5, Math.max(wide - 1, 0.5), LANE - 5);
  if (wide < 30 || !text) return;
  const shown = truncated(plain(text), Math.floor((wide - 8) / 6)), middle = top + LANE / 2 - 1;
  const at = Math.max(left, 0) + 5;
  context.lineWidth = 3;
  context.strokeStyle = "#222";
  context.strokeText(shown, at, middle, wide - 8);
  context.fillStyle = "#fff";
  context.fillText(shown, at, middle, wide - 8);
}
