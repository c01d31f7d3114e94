// Clips are frames side by side in one picture, one of which is shown at a time. They play in place,
// and enlarged in a dialog. A cell of the confusion matrix lists its clips. Texts are never set as HTML.

const data = JSON.parse($("data").text);
const FRAME_MS = 350;
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
const inSvg = (name, attributes) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
};

function stripOf(key) {
  const held = Object.hasOwn(data.strips, key) ? data.strips[key] : null;
  if (!held) return element("span", { className: "dim", textContent: "No picture" });
  const [source, count, width, height] = held;
  const svg = inSvg("svg", { viewBox: `0 0 ${width} ${height}`, class: "clip-frame" });
  const image = inSvg("image", {
    href: source, width: count * width, height, preserveAspectRatio: "none",
  });
  const pane = inSvg("svg", { width, height });  // hides neighboring frames
  pane.append(image);
  svg.append(pane);
  svg.count = count;
  svg.show = (place) => {
    svg.place = (place + count) % count;
    image.setAttribute("x", -svg.place * width);
  };
  svg.show(0);
  return svg;
}

document.querySelectorAll("[data-strip]").forEach((place) =>
  place.replaceChildren(stripOf(place.dataset.strip)));

// --- clips that play in place --------------------------------------------------------------

let running = !still;
const pause = $("pause");
function setRunning(now) {
  running = now;
  if (pause) pause.textContent = running ? "Pause clips" : "Play clips";
}
pause?.addEventListener("click", () => setRunning(!running));
setRunning(running);
setInterval(() => {
  const places = running && !$("player").open ? [".plays .clip-frame"] : [];
  places.push(".clip:not(.still):hover .clip-frame");
  document.querySelectorAll(places.join()).forEach((svg) => svg.show(svg.place + 1));
  if (player.playing) step(1);
}, FRAME_MS);

// --- the dialog ----------------------------------------------------------------------------

const player = { playing: false, frame: null };

function step(by) {
  if (!player.frame?.show) return;
  player.frame.show(player.frame.place + by);
  $("player-place").textContent = `frame ${player.frame.place + 1} of ${player.frame.count}`;
}

function setPlaying(now) {
  player.playing = now;
  $("player-play").textContent = now ? "Pause" : "Play";
}

function enlarge(button) {
  const key = button.dataset.clip, picture = button.querySelector("img");
  const [title, words] = data.clips[key];
  $("player-title").textContent = title;
  $("player-words").textContent = button.dataset.words ?? words;
  player.frame = stripOf(key);
  $("player-stage").replaceChildren(player.frame);
  $("player-bar").hidden = !player.frame.show;
  $("player-picture").replaceChildren(...picture ? [picture.cloneNode()] : []);
  step(0);
  setPlaying(!still);
  $("player").showModal();
  $("player-play").focus();
}

const stepBy = (by) => { setPlaying(false); step(by); };
$("player-play").addEventListener("click", () => setPlaying(!player.playing));
$("player-back").addEventListener("click", () => stepBy(-1));
$("player-next").addEventListener("click", () => stepBy(1));
$("player-close").addEventListener("click", () => $("player").close());
$("player").addEventListener("close", () => setPlaying(false));
$("player").addEventListener("click", (event) => {
  if (event.target === $("player")) $("player").close();
});
$("player").addEventListener("keydown", (event) => {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (by) stepBy(by);
  else if (event.key === " " && !event.target.closest("button")) setPlaying(!player.playing);
  else return;
  event.preventDefault();
});

// --- the clips in a cell of the confusion matrix -------------------------------------------

const cell = $("cell");

function clipItem(row) {
  const [id, words] = data.clips[row];
  const text = [element("bdi", { textContent: id }), element("span", { className: "dim", textContent: words })];
  const button = element("button", { type: "button", className: "clip" }, stripOf(row), ...text);
  button.dataset.clip = row;
  return element("li", {}, button);
}

function show(key) {
  const [title, count, rows] = data.cells[key];
  document.querySelectorAll("[data-cell]").forEach((button) =>
    button.setAttribute("aria-pressed", String(button.dataset.cell === key)));
  cell.hidden = false;
  $("cell-title").textContent = title;
  $("cell-text").textContent = rows.length < count
    ? `The most confident ${rows.length} of ${count} clips.`
    : `${plural(count, "clip")}, the most confident first.`;
  $("cell-clips").replaceChildren(...rows.map(clipItem));
  $("cell-title").focus();
  cell.scrollIntoView({ block: "nearest" });
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("button[data-clip], button[data-cell]");
  if (button?.dataset.cell) show(button.dataset.cell);
  else if (button) enlarge(button);
});
addEventListener("beforeprint", () => document.querySelectorAll("details.print").forEach((each) => {
  each.open = true;
}));
