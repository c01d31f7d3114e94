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
  let place = 0;
  const svg = inSvg("svg", { viewBox: `0 0 ${width} ${height}`, class: "clip-frame" });
  const image = inSvg("image", {
    href: source, width: count * width, height, preserveAspectRatio: "none",
  });
  const pane = inSvg("svg", { width, height });  // hides neighboring frames
  pane.append(image);
  svg.append(pane);
  svg.step = () => {
    place = (place + 1) % count;
    image.setAttribute("x", -place * width);
  };
  return svg;
}

document.querySelectorAll("[data-strip]").forEach((place) =>
  place.replaceChildren(stripOf(place.dataset.strip)));

// --- clips that play in place --------------------------------------------------------------

const playing = { page: !still, dialog: false };
function setPlaying(part, now) {
  playing[part] = now;
  const button = $(part === "page" ? "pause" : "player-play");
  if (button) button.textContent = `${now ? "Pause" : "Play"} ${part === "page" ? "clips" : "clip"}`;
}
for (const [id, part] of [["pause", "page"], ["player-play", "dialog"]]) {
  setPlaying(part, playing[part]);
  $(id)?.addEventListener("click", () => setPlaying(part, !playing[part]));
}
setInterval(() => {
  const places = [".clip:not(.still):hover .clip-frame"];
  if (playing.page && !$("player").open) places.push(".plays .clip-frame");
  if (playing.dialog) places.push("#player-stage .clip-frame");
  document.querySelectorAll(places.join()).forEach((svg) => svg.step());
}, FRAME_MS);

function enlarge(button) {
  const key = button.dataset.clip, picture = button.querySelector("img");
  const [title, words] = data.clips[key];
  $("player-title").textContent = title;
  $("player-words").textContent = button.dataset.words ?? words;
  $("player-stage").replaceChildren(stripOf(key));
  $("player-picture").replaceChildren(...picture ? [picture.cloneNode()] : []);
  setPlaying("dialog", !still);
  $("player").showModal();
}

$("player-close").addEventListener("click", () => $("player").close());
$("player").addEventListener("click", (event) => {
  if (event.target === $("player")) $("player").close();
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
