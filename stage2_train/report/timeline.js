// The timeline of a film: intervals beside the film, which are chosen, moved, added, deleted and saved.
// An interval is { start, stop, label, given (its index among those given, or -1), isDecided }.

const EDGE_PIXELS = 6, DRAG_PIXELS = 4, LEAST_SECONDS = 0.01, LEAST_VIEW = 1, MOST_OVERLAP = 0.1;
const MOST_UNDONE = 100;
const film = $("film"), lanes = lanesIn($("lanes"), secondsText);
const times = new Float32Array(bytes(data.times).buffer);
const step = times.length > 1 ? (times.at(-1) - times[0]) / (times.length - 1) : 0.1;
// A probability holds from half a step before its time.
const starts = times.map((time) => time - step / 2);
const curves = Object.fromEntries(Object.entries(data.curves).map(([label, text]) =>
  [label, { times: starts, values: Float32Array.from(bytes(text), (value) => value / 255) }]));
const shownLabels = [...data.classes.keys()].filter((label) => label in curves);
const state = { intervals: restored(), chosen: null, offer: null, label: shownLabels[0] ?? 0, now: 0, view: [0, data.duration], earlier: [] };
let drag = null, byGiven = new Map();
state.intervals.forEach(({ label }) => showLabel(label));
data.found.forEach(([, , label]) => showLabel(label));

function secondsText(seconds) {
  const whole = Math.floor(seconds / 60), rest = (seconds - 60 * whole).toFixed(2).padStart(5, "0");
  return `${whole}:${rest}`;
}

const clamp = (value, low, high) => Math.max(low, Math.min(value, high));
const className = (label) => plain(truncated(data.classes[label], 60));

function restored() {
  const isInterval = ({ start, stop, label, given }) =>
    start >= 0 && stop > start && label in data.classes && given < data.given.length;
  const [earlier] = kept(data.key, (intervals) => intervals.every(isInterval));
  return earlier ?? data.given.map(({ start, stop, label }, given) =>
    ({ start, stop, label, given, isDecided: false }));
}

// --- what is shown -----------------------------------------------------------------------------

function show() {
  const partsOf = (label) => [
    ...state.intervals.filter((own) => own.label === label).map((own) => ({
      start: own.start, stop: own.stop, isChosen: own === state.chosen, isSolid: own.isDecided,
      text: own.isDecided ? "\u2713" : own.given < 0 ? "" : percent(data.given[own.given].probability),
    })),
    ...data.found.filter((own) => own[2] === label)
      .map(([start, stop]) => ({ start, stop, isLine: true })),
  ];
  const rows = shownLabels.map((label) => ({
    name: data.classes[label], color: data.colors[label], curve: curves[label], parts: partsOf(label),
  }));
  if (data.observed) {
    const parts = data.observed.map(([start, stop]) => ({ start, stop, isSolid: true }));
    rows.push({ name: "observed", color: "#888888", parts });
  }
  const [start, stop] = state.view;
  const count = state.intervals.filter((own) => own.stop > start && own.start < stop).length;
  lanes.show(rows, state.view,
    `Probabilities and ${plural(count, "interval")} from ${secondsText(start)} to ${secondsText(stop)}`);
  lanes.moveTo(state.now);
}

const percent = (share) => `${(100 * share).toFixed(0)} %`;

function setView(start, stop) {
  const length = clamp(stop - start, Math.min(LEAST_VIEW, data.duration), data.duration);
  const first = clamp(start, 0, data.duration - length);
  state.view = [first, first + length];
  const room = data.duration - length;
  $("pan").disabled = room <= 0;
  $("pan").value = room > 0 ? first / room : 0;
  show();
}

// Zooms by a factor around a time.
function zoom(factor, around = state.now) {
  const [start, stop] = state.view, middle = clamp(around, start, stop);
  setView(middle - (middle - start) / factor, middle + (stop - middle) / factor);
}

function showEditor() {
  const own = state.chosen;
  $("editor").hidden = !own;
  for (const [id, isOff] of [["accept", !own], ["delete", !own], ["undo", !state.earlier.length]]) {
    $(id).disabled = isOff;
  }
  const decided = state.intervals.filter(({ isDecided }) => isDecided).length;
  $("status").textContent = `${plural(state.intervals.length, "interval")}, ${decided} decided`;
  if (!own) return;
  const given = data.given[own.given];
  $("editor-text").textContent = `${className(own.label)}, ${secondsText(own.start)} to ` +
    `${secondsText(own.stop)}${given ? `, probability ${percent(given.probability)}` : ""}` +
    `${own.isDecided ? ", decided" : ""}`;
  $("label").value = own.label;
  for (const edge of ["start", "stop"]) $(edge).value = own[edge].toFixed(2);
  showBars($("objects"), (given?.objects ?? []).map(([name, share]) =>
    [name, share, "var(--accent)", percent(share)]));
  $("objects-title").hidden = !given?.objects.length;
}

function showWorth() {
  byGiven = new Map(state.intervals.map((own) => [own.given, own]));
  $("worth").querySelectorAll("button").forEach((button, place) => {
    const { given, label, start } = data.worth[place], own = ofWorth(place);
    button.classList.toggle("off", isDone(place));
    button.setAttribute("aria-pressed", String(own ? own === state.chosen : state.offer === data.worth[place]));
    button.title = `${plain(label)} at ${secondsText(start)}${given >= 0 && !own ? ", deleted" : ""}`;
  });
  const current = $("worth").querySelector("[aria-pressed=true]");
  if (current) scrollListTo($("worth"), current);
}

// Scrolls a list, but not the page, until one of its parts is visible.
function scrollListTo(list, part) {
  const top = part.getBoundingClientRect().top - list.getBoundingClientRect().top;
  if (top < 0 || top + part.clientHeight > list.clientHeight) list.scrollTop += top - list.clientHeight / 2;
}

// The interval that is left of a given one.
const ofWorth = (place) => data.worth[place].given < 0 ? undefined : byGiven.get(data.worth[place].given);
// Whether a person has decided about what is worth looking at.
function isDone(place) {
  const { given, start, stop } = data.worth[place], own = ofWorth(place);
  if (given >= 0) return !own || own.isDecided;
  return state.intervals.some((own) => own.isDecided && own.start < stop && own.stop > start);
}

function showAll() {
  show();
  showEditor();
  showWorth();
}

// --- the film ----------------------------------------------------------------------------------

function seek(seconds) {
  film.currentTime = clamp(seconds, 0, data.duration);
  moved(film.currentTime);
}

function moved(seconds) {
  state.now = seconds;
  $("now").textContent = secondsText(seconds);
  const [start, stop] = state.view;
  if (seconds < start || seconds > stop) setView(seconds - (stop - start) / 10, seconds + 0.9 * (stop - start));
  lanes.moveTo(seconds);
}

function follow() {
  moved(film.currentTime);
  if (!film.paused) requestAnimationFrame(follow);
}

function openFilm(address) {
  film.src = address;
  film.addEventListener("loadedmetadata", () => {
    film.hidden = false;
    $("no-film").hidden = true;
    film.currentTime = state.now;
  }, { once: true });
}

const playOrPause = () => film.paused ? film.play().catch(() => {}) : film.pause();

// --- corrections -------------------------------------------------------------------------------

function remember(intervals) {
  state.earlier.push(intervals);
  if (state.earlier.length > MOST_UNDONE) state.earlier.shift();
}

// Changes the intervals, keeps them in the browser, and remembers how they were.
function change(edit) {
  remember(JSON.stringify(state.intervals));
  edit();
  changed();
}

function changed() {
  state.intervals.sort((one, other) => one.start - other.start);
  keep(data.key, [state.intervals]);
  showAll();
}

function undo() {
  if (!state.earlier.length) return;
  state.intervals = JSON.parse(state.earlier.pop());
  state.chosen = null;
  changed();
}

function choose(own) {
  [state.chosen, state.offer] = [own, null];
  showAll();
}

// Chooses an interval, or offers to add a missed one, and leads to it.
function lookAt(own, offer = null) {
  const { start, stop } = own ?? offer, wide = Math.min(state.view[1] - state.view[0], 10 * (stop - start) + 5);
  choose(own);
  state.offer = offer;
  seek(start);
  setView((start + stop - wide) / 2, (start + stop + wide) / 2);
  showWorth();
}

// Sets an edge; one that would pass the other edge takes it along.
function setEdge(own, edge, seconds) {
  const length = Math.max(own.stop - own.start, LEAST_SECONDS);
  own.isDecided = true;
  if (edge === "start") {
    own.start = clamp(seconds, 0, data.duration - LEAST_SECONDS);
    if (own.stop < own.start + LEAST_SECONDS) own.stop = Math.min(own.start + length, data.duration);
  } else {
    own.stop = clamp(seconds, LEAST_SECONDS, data.duration);
    if (own.start > own.stop - LEAST_SECONDS) own.start = Math.max(own.stop - length, 0);
  }
}

function add() {
  const lengths = data.given.map(({ start, stop }) => stop - start).sort((one, other) => one - other);
  const length = lengths[lengths.length >> 1] ?? 1;
  const start = Math.min(state.now, data.duration - LEAST_SECONDS);
  const own = { start, stop: Math.min(start + length, data.duration), label: state.chosen?.label ?? state.label };
  if (state.offer) {
    Object.assign(own, { start: state.offer.start, stop: state.offer.stop, label: data.classes.indexOf(state.offer.label) });
  }
  Object.assign(own, { given: -1, isDecided: true });
  [state.chosen, state.offer] = [own, null];
  showLabel(own.label);
  change(() => state.intervals.push(own));
}

// Adds a row for a class that has none.
function showLabel(label) {
  if (!shownLabels.includes(label)) shownLabels.push(label);
}

const onChosen = (edit) => () => state.chosen && change(() => edit(state.chosen));
const accept = onChosen((own) => { own.isDecided = true; });
const setStart = onChosen((own) => setEdge(own, "start", state.now));
const setStop = onChosen((own) => setEdge(own, "stop", state.now));
const remove = onChosen((own) => {
  state.intervals.splice(state.intervals.indexOf(own), 1);
  state.chosen = null;
});

function neighbor(direction) {
  const at = state.chosen?.start ?? state.now;
  const later = state.intervals.filter((own) => own !== state.chosen && direction * (own.start - at) >= 0);
  const own = direction > 0 ? later[0] : later.at(-1);
  if (own) lookAt(own);
}

function nextWorth() {
  const places = [...data.worth.keys()].filter((place) => !isDone(place));
  const now = data.worth.findIndex((worth, place) =>
    state.offer ? worth === state.offer : state.chosen && ofWorth(place) === state.chosen);
  const place = places.find((other) => other > now) ?? places[0];
  if (place !== undefined) lookAtWorth(place);
}

function lookAtWorth(place) {
  const own = ofWorth(place);
  lookAt(own ?? null, own ? null : data.worth[place]);
}

function save() {
  const sorted = state.intervals.toSorted((one, other) => one.start - other.start);
  const clash = sorted.find((own, place) => sorted.slice(0, place).some((earlier) =>
    earlier.label !== own.label && Math.min(own.stop, earlier.stop) - own.start > MOST_OVERLAP));
  if (data.exclusive && clash) {
    lookAt(clash);
    $("status").textContent = `Different classes must not overlap: move the interval at ${secondsText(clash.start)}`;
    return;
  }
  const rows = sorted.map(({ start, stop, label }) =>
    [data.video, start.toFixed(3), stop.toFixed(3), data.classes[label]]);
  const stem = data.video.split("/").at(-1).replace(/\.[a-z]\w+$/i, "").replace(/[^\w-]+/g, "_").slice(0, 80);
  const name = `${stem}.corrections.csv`;
  saveTable(name, [["video", "start", "stop", "label"], ...rows.length ? rows : [[data.video, "", "", ""]]]);
  $("status").textContent = `Saved ${plural(rows.length, "interval")} in ${name}`;
}

// --- mouse and keys ----------------------------------------------------------------------------

// Returns the interval at a place of the canvas, and the edge that is near, if any.
function hitAt(event) {
  const { time, line } = lanes.at(event), label = shownLabels[line];
  const reach = EDGE_PIXELS * (state.view[1] - state.view[0]) / lanes.canvas.clientWidth;
  const distance = ({ start, stop }) => Math.min(Math.abs(time - start), Math.abs(time - stop));
  const near = state.intervals.filter((own) =>
    own.label === label && own.start - reach <= time && time <= own.stop + reach);
  const own = near.sort((one, other) => distance(one) - distance(other))[0] ?? null;
  const edge = !own || distance(own) > reach ? null
    : Math.abs(time - own.start) < Math.abs(time - own.stop) ? "start" : "stop";
  return { own, edge, time, label };
}

function pressed(event) {
  const hit = hitAt(event);
  drag = { ...hit, from: event.clientX, view: state.view, before: JSON.stringify(state.intervals), isMoved: false };
  lanes.canvas.setPointerCapture(event.pointerId);
}

function dragged(event) {
  if (!drag) {
    lanes.canvas.style.cursor = hitAt(event).edge ? "ew-resize" : "pointer";
    return;
  }
  const pixels = event.clientX - drag.from;
  if (!drag.isMoved && Math.abs(pixels) < DRAG_PIXELS) return;
  drag.isMoved = true;
  const seconds = pixels * (drag.view[1] - drag.view[0]) / lanes.canvas.clientWidth;
  if (drag.edge) {
    setEdge(drag.own, drag.edge, drag.time + seconds);
    state.chosen = drag.own;
    show();
  } else {
    setView(drag.view[0] - seconds, drag.view[1] - seconds);
  }
}

function released() {
  if (!drag) return;
  const { own, edge, time, label, before, isMoved } = drag;
  drag = null;
  if (!isMoved) {
    state.label = label ?? state.label;
    choose(own);
    seek(time);
  } else if (edge) {
    remember(before);
    changed();
    seek(own[edge]);
  }
}

const KEYS = {
  " ": playOrPause, ArrowLeft: () => seek(state.now - step), ArrowRight: () => seek(state.now + step),
  PageUp: () => seek(state.now - 10), PageDown: () => seek(state.now + 10),
  Home: () => seek(0), End: () => seek(data.duration), n: () => neighbor(1), p: () => neighbor(-1),
  w: nextWorth, Enter: accept, "[": setStart, "]": setStop, a: add, Delete: remove, Backspace: remove,
  u: undo, "+": () => zoom(2), "-": () => zoom(0.5), 0: () => setView(0, data.duration),
};

function onKey(event) {
  if (event.altKey || event.ctrlKey || event.metaKey || !Object.hasOwn(KEYS, event.key)) return;
  const isOn = (selector) => event.target.matches(selector);
  if (isOn("button, summary") && [" ", "Enter"].includes(event.key)) return;
  if (isOn("select, input:not([type=range])")) return;
  if (isOn("video, input") && (event.key === " " || event.key.length > 1)) return;  // they move the film
  event.preventDefault();
  KEYS[event.key]();
}

function start() {
  $("label").append(...data.classes.map((name, value) => element("option", { value, textContent: className(value) })));
  $("worth").append(...data.worth.map(({ start, label, why }, place) => element("li", {},
    element("button", { type: "button", onclick: () => lookAtWorth(place) },
      element("span", { className: "value", textContent: secondsText(start) }),
      element("span", { className: "name", dir: "auto", textContent: apart(plain(truncated(label, 60))) }),
      element("span", { className: "value", textContent: why })))));
  const clicks = {
    play: playOrPause, closer: () => zoom(2), wider: () => zoom(0.5), whole: () => setView(0, data.duration),
    accept, delete: remove, add, undo, save,
  };
  for (const [id, onclick] of Object.entries(clicks)) $(id).onclick = onclick;
  $("label").onchange = onChosen((own) => {
    Object.assign(own, { label: Number($("label").value), isDecided: true });
    showLabel(own.label);
  });
  for (const edge of ["start", "stop"]) $(edge).onchange = onChosen((own) => setEdge(own, edge, Number($(edge).value)));
  $("pan").oninput = () => {
    const length = state.view[1] - state.view[0], first = Number($("pan").value) * (data.duration - length);
    setView(first, first + length);
  };
  $("file").onchange = () => openFilm(URL.createObjectURL($("file").files[0]));
  film.onplay = () => { $("play").textContent = "Pause"; follow(); };
  film.onpause = () => { $("play").textContent = "Play"; };
  film.onseeked = () => moved(film.currentTime);
  if (data.film) openFilm(data.film);
  const canvas = lanes.canvas;
  Object.assign(canvas, { onpointerdown: pressed, onpointermove: dragged, onpointerup: released, onpointercancel: released });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(1.002 ** -event.deltaY, lanes.at(event).time);
  }, { passive: false });
  document.addEventListener("keydown", onKey);
  moved(0);
  setView(0, data.duration);
  showAll();
}

start();
