// The page of a shard: its videos, a frame with its objects, and classes over time.

const LONGEST_NAME = 28, MOST_ROWS = 12;
// Maximum number of seconds for which a frame is shown when a video plays.
const LONGEST_GAP = 0.5;
const STEPS = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -1e9, End: 1e9 };
const hiddenClasses = new Set(), narrow = matchMedia("(max-width: 72rem)");
const state = { video: 0, row: -1, least: 0, frame: null, chosen: -1, step: 0, playing: 0 };
const lanes = lanesIn($("lanes"));
let turn = 0, hashTimer = 0;

const video = () => data.videos[state.video];
const colorOf = (label) => data.colors[label] ?? "#888888";
const className = (label) => data.classes[label] ?? `class ${label}`;
const classShort = (label) => apart(truncated(plain(className(label)), LONGEST_NAME));
// The class of a detection and the number of its track, which is the same in other frames.
const objectName = ([label, , , , , , , , track], most) =>
  truncated(plain(className(label)), most) + (track >= 0 ? ` #${track}` : "");
const isShown = ([label, score]) => score >= state.least && !hiddenClasses.has(label);
const named = (className, textContent) => element("span", { className, textContent, dir: "auto" });

function chip(label) {
  const made = element("span", { className: "chip" });
  made.style.background = colorOf(label);
  return made;
}

function say(text) {
  $("message").textContent = text;
  $("message").hidden = !text;
}

// --- frames ------------------------------------------------------------------------------------

function openVideo(number, row = data.videos[number].rows[0]) {
  pause();
  Object.assign(state, { video: number, frame: null });
  document.querySelector("[data-video][aria-current]")?.removeAttribute("aria-current");
  const card = document.querySelector(`[data-video="${number}"]`);
  card.setAttribute("aria-current", "true");
  card.scrollIntoView({ block: "nearest" });
  const { id, size, gray, rows: [start, stop] } = video();
  $("video-id").textContent = plain(id);
  $("gray").hidden = !gray;
  $("gray").textContent = gray ? `Masks are shown on gray: ${plain(gray)}` : "";
  canvas.style.setProperty("--ratio", size[0] / size[1]);
  Object.assign($("scrub"), { min: start, max: Math.max(stop - 1, start) });
  showLanes();
  if (start < stop) {
    goTo(row);
    return;
  }
  turn++;
  [canvas.width, canvas.height] = size;
  for (const id of ["activities", "objects", "status"]) $(id).replaceChildren();
  $("scores").hidden = true;
  say("The shard has no frames of this video.");
}

function goTo(row) {
  const [start, stop] = video().rows, next = Math.max(Math.min(row, stop - 1), start);
  if (start === stop) return Promise.resolve();
  state.step = Math.abs(next - state.row) === 1 ? next - state.row : 0;
  $("scrub").value = next;
  return showRow(next);
}

async function showRow(row) {
  const mine = ++turn;
  Object.assign(state, { row, chosen: -1 });
  $("scores").hidden = true;
  lanes.moveTo(row + 0.5);
  try {
    const frame = await frameInFull(row);
    if (mine !== turn) return;
    state.frame = frame;
    say("");
  } catch (error) {
    if (mine === turn) say(error.message);
    return;
  }
  showFrame();
  showActivities();
  document.documentElement.dataset.row = row;
  // The frames that will probably be displayed next.
  for (const next of state.step ? [row + state.step, row + 2 * state.step] : []) {
    if (next >= video().rows[0] && next < video().rows[1]) frameInFull(next).catch(() => {});
  }
}

function showFrame() {
  const { row, frame, chosen } = state, all = frame.detections;
  const places = [...all.keys()].filter((place) => isShown(all[place]));
  drawFrame(frame, video(), places, chosen);
  listObjects();
  const objects = countClasses(places.map((place) => all[place][0]))
    .map(([label, count]) => `${count} ${classShort(label)}`).join(", ");
  const some = places.length < all.length ? ` (${places.length} of ${all.length} shown)` : "";
  const text = `Frame ${data.frames[row]}, ${data.seconds[row].toFixed(3)} s: ` +
    `${objects || "no objects"}${some}`;
  canvas.setAttribute("aria-label", text);
  $("scrub").setAttribute("aria-valuetext", text);
  if ($("status").textContent !== text) $("status").textContent = text;
  clearTimeout(hashTimer);
  hashTimer = setTimeout(setHash, 200);
}

// Labels and their numbers, the most frequent first.
function countClasses(labels) {
  const counts = new Map();
  labels.forEach((label) => counts.set(label, (counts.get(label) || 0) + 1));
  return [...counts].sort((one, other) => other[1] - one[1]);
}

// Segments that contain this time: [start, stop, labels].
function showActivities() {
  const now = data.seconds[state.row], isNow = ([start, stop]) =>
    (start ?? -Infinity) <= now && now < (stop ?? Infinity);
  $("activities").replaceChildren(...video().segments.filter(isNow).slice(0, 4).map(([, , own]) => {
    const tags = own.flatMap((label) => {
      const tag = named("name", apart(truncated(plain(data.activities[label]), 80)));
      tag.style.background = data.activityColors[label];
      return [tag, " "];
    });
    return element("dl", { className: "activity" }, element("dt", { textContent: "Label" }),
      element("dd", {}, ...(tags.length ? tags : ["none"])));
  }));
}

// The address of the page leads to this frame.
function setHash() {
  try {
    history.replaceState(null, "", `#${encodeURIComponent(video().id)}/${data.frames[state.row]}`);
  } catch { /* an id that no address can contain */ }
}

function followLink() {
  const hash = location.hash.slice(1), slash = hash.lastIndexOf("/");
  let id = "";
  try { id = decodeURIComponent(hash.slice(0, slash)); } catch { return false; }
  const number = data.videos.findIndex((each) => each.id === id);
  if (slash < 0 || number < 0) return false;
  const [start, stop] = data.videos[number].rows, frame = Number(hash.slice(slash + 1));
  const row = start + Math.max(lastAtMost(data.frames.slice(start, stop), frame), 0);
  if (number !== state.video || row !== state.row) openVideo(number, row);
  return true;
}

// --- lists -------------------------------------------------------------------------------------

function listObjects() {
  const { detections } = state.frame;
  const places = [...detections.keys()].sort((one, other) => detections[other][1] - detections[one][1]);
  $("objects").replaceChildren(...places.map((place) => {
    const [label, score] = detections[place];
    const button = element("button", { type: "button", className: isShown(detections[place]) ? "" : "off" },
      chip(label), named("name", objectName(detections[place], 60)), named("value", score.toFixed(3)));
    button.setAttribute("aria-pressed", String(place === state.chosen));
    button.addEventListener("click", () => {
      choose(place === state.chosen ? -1 : place);
      $("objects").children[places.indexOf(place)].firstChild.focus();
    });
    return element("li", {}, button);
  }));
  if (!places.length) $("objects").append(element("li", {}, named("value", "No detections in this frame.")));
}

function choose(place) {
  state.chosen = place;
  $("scores").hidden = place < 0;
  if (place >= 0) listScores(state.frame.detections[place]);
  if (state.frame) showFrame();
}

function listScores([label, score, x1, y1, x2, y2, , pairs]) {
  const values = new Map(pairs === 0 ? [[label, score]] : []);
  for (let n = 0; n < (pairs.length ?? 0); n += 2) values.set(pairs[n], pairs[n + 1]);
  const areSigmoids = data.scoreKind === "sigmoid", all = [...values.values()];
  const rest = 1 - (areSigmoids ? Math.max(...all) : all.reduce((sum, each) => sum + each, 0));
  const box = [x1, y1, x2, y2].map((edge) => edge.toFixed(1)).join(", ");
  $("scores-text").textContent = `${classShort(label)} ${score.toFixed(3)}, box ${box}, ` +
    `mask of ${state.frame.masks[state.chosen].area.toLocaleString("en")} cells. ` + (pairs
    ? `Background${areSigmoids ? "" : " and scores below 0.001"}: ${Math.max(rest, 0).toFixed(3)}.`
    : "Scores of other classes are unknown.");
  const unknown = pairs ? "< 0.001" : "\u2013", value = (label) => values.get(label) ?? 0;
  const order = [...data.classes.keys()]
    .sort((one, other) => value(other) - value(one) || one - other);
  showBars($("bars"), order.map((each) => [className(each), value(each), colorOf(each),
    values.has(each) ? value(each).toFixed(3) : unknown]));
}

function listClasses() {
  $("classes").replaceChildren(...countClasses(labels).map(([label, count]) => {
    const box = element("input", { type: "checkbox", checked: true });
    box.addEventListener("change", () => {
      if (box.checked) hiddenClasses.delete(label); else hiddenClasses.add(label);
      filtered();
    });
    return element("li", {}, element("label", {}, box, chip(label),
      named("name", truncated(plain(className(label)), 200)), named("value", count.toLocaleString("en"))));
  }));
}

function filtered() {
  state.least = Number($("score").value);
  $("score-text").textContent = state.least.toFixed(2);
  showLanes();
  if (!state.frame) return;
  if (state.chosen >= 0 && !isShown(state.frame.detections[state.chosen])) choose(-1);
  else showFrame();
}

function filterVideos() {
  const text = $("find").value.toLowerCase(), cards = [...document.querySelectorAll("[data-video]")];
  const found = cards.filter((card, number) => data.videos[number].id.toLowerCase().includes(text));
  cards.forEach((card) => { card.parentElement.hidden = !found.includes(card); });
  $("found").textContent = found.length === cards.length
    ? plural(cards.length, "video") : `${found.length} of ${cards.length}`;
}

// --- classes over time, by row -------------------------------------------------------------------

function showLanes() {
  const [start, stop] = video().rows, seconds = data.seconds.slice(start, stop), byClass = new Map();
  for (let row = start; row < stop; row++) {
    for (let n = offsets[row]; n < offsets[row + 1]; n++) {
      if (!isShown([labels[n], scores[n] / 255 + 0.002])) continue;
      if (!byClass.has(labels[n])) byClass.set(labels[n], new Uint16Array(stop - start));
      byClass.get(labels[n])[row - start]++;
    }
  }
  const times = Array.from({ length: stop - start }, (_, n) => start + n);
  const classes = [...byClass].map(([label, counts]) =>
    ({ label, counts, total: counts.reduce((sum, count) => sum + count, 0) }));
  classes.sort((one, other) => other.total - one.total);
  const rows = classes.slice(0, MOST_ROWS).map(({ label, counts, total }) => {
    const most = Math.max(...counts), values = Array.from(counts, (count) => count / most);
    return { name: className(label), title: plural(total, "detection"), color: colorOf(label), curve: { times, values } };
  });
  const rowAt = (time, otherwise) =>
    time === null ? otherwise : start + lastAtMost(seconds, time - 1e-6) + 1;
  const parts = video().segments.flatMap(([from, to, own]) => own.map((label) => ({
    start: rowAt(from, start), stop: rowAt(to, stop), text: data.activities[label],
    color: data.activityColors[label], isSolid: true,
  })));
  const texts = classes.map(({ label, total }) => `${classShort(label)} ${total}`).join(", ");
  lanes.show([...parts.length ? [{ name: "Label", parts }] : [], ...rows], [start, Math.max(stop, start + 1)],
    `Classes over ${plural(stop - start, "frame")}: ${texts || "none"}`);
  $("others").textContent = classes.length > MOST_ROWS ? `${classes.length - MOST_ROWS} more classes` : "";
  lanes.moveTo(state.row + 0.5);
}

// --- playing -----------------------------------------------------------------------------------

async function play() {
  const mine = state.playing = performance.now(), [start, stop] = video().rows;
  showPlaying();
  if (state.row === stop - 1) await goTo(start);
  for (let due = mine; state.playing === mine && state.row < stop - 1;) {
    const gap = (row) => 1000 / Number($("speed").value) *
      Math.min(LONGEST_GAP, data.seconds[row + 1] - data.seconds[row]);
    let { row } = state;
    due = Math.max(due, performance.now() - 500) + gap(row);
    // Late frames are skipped.
    for (; row < stop - 2 && due + gap(row + 1) < performance.now(); row++) due += gap(row + 1);
    await new Promise((done) => setTimeout(done, due - performance.now()));
    if (state.playing === mine) await goTo(row + 1);
  }
  if (state.playing === mine) pause();
}

function pause() {
  state.playing = 0;
  showPlaying();
}

function showPlaying() {
  $("play").setAttribute("aria-label", state.playing ? "Pause" : "Play");
  $("play").textContent = state.playing ? "\u23f8\ufe0e" : "\u25b6\ufe0e";
  $("status").setAttribute("aria-live", state.playing ? "off" : "polite");
}

const playOrPause = () => state.playing ? pause() : play();

// --- mouse and keys ----------------------------------------------------------------------------

function clickFrame({ offsetX, offsetY }) {
  if (!state.frame) return;
  const { detections, masks } = state.frame;
  const x = offsetX / canvas.clientWidth * video().grid[0];
  const y = offsetY / canvas.clientHeight * video().grid[1];
  const hits = [...detections.keys()].filter((place) => {
    const [, , x1, y1, x2, y2] = detections[place];
    return isShown(detections[place]) && x >= x1 && x < x2 && y >= y1 && y < y2;
  });
  hits.sort((one, other) => masks[one].area - masks[other].area);
  choose(hits[0] ?? -1);
}

function onKey(event) {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const { target } = event;
  const takesKeys = target.matches("select, summary, #bars, input:not(#scrub, [type=checkbox])");
  if (event.key in STEPS && !takesKeys) {
    event.preventDefault();
    goTo(state.row + STEPS[event.key]);
  } else if (event.key === " " && !takesKeys && !target.matches("button, a, [type=checkbox]")) {
    event.preventDefault();
    playOrPause();
  } else if (event.key === "Escape") {
    choose(-1);
  }
}

function showClasses(checked) {
  document.querySelectorAll("#classes input").forEach((box) => { box.checked = checked; });
  new Set(labels).forEach((label) => checked ? hiddenClasses.delete(label) : hiddenClasses.add(label));
  filtered();
}

function start() {
  listClasses();
  showPlaying();
  $("find").addEventListener("input", filterVideos);
  $("cards").addEventListener("click", ({ target }) => {
    const card = target.closest("[data-video]");
    if (!card) return;
    openVideo(Number(card.dataset.video));
    $("frame").focus({ preventScroll: true });
    if (narrow.matches) $("browse").open = false;
  });
  $("browse").open = !narrow.matches;
  filterVideos();
  $("play").addEventListener("click", playOrPause);
  $("scrub").addEventListener("input", () => goTo(Number($("scrub").value)));
  $("back").addEventListener("click", () => goTo(state.row - 1));
  $("next").addEventListener("click", () => goTo(state.row + 1));
  $("score").addEventListener("input", filtered);
  $("all").addEventListener("click", () => showClasses(true));
  $("none").addEventListener("click", () => showClasses(false));
  canvas.addEventListener("click", clickFrame);
  lanes.canvas.addEventListener("click", (event) => goTo(Math.floor(lanes.at(event).time)));
  document.addEventListener("keydown", onKey);
  window.addEventListener("hashchange", followLink);
  if (!data.videos.length) {
    say("The shard has no videos.");
    return;
  }
  $("score").value = scores.some((score) => score >= 255 * data.least) ? data.least : 0;
  filtered();
  shownWidth = canvas.clientWidth;
  if (!followLink()) openVideo(0);
  // Reading the width of the canvas at every frame would force a layout each time.
  new ResizeObserver(() => {
    if (canvas.clientWidth === shownWidth) return;
    shownWidth = canvas.clientWidth;
    if (state.frame) showFrame();
  }).observe(canvas);
}

start();
