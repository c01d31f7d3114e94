// Clips are frames side by side in one picture, one of which is shown at a time. They play in place,
// and enlarged in a dialog. A cell of the confusion matrix lists its clips. Texts are never set as HTML.

const FRAME_MS = 350;

document.querySelectorAll("main > section:not(.plain)").forEach(({ id, firstElementChild: title }) =>
  document.querySelector("nav ul").append(element("li", {},
    element("a", { href: `#${id}`, textContent: title.textContent }))));

function stripOf(key) {
  if (!Object.hasOwn(data.strips, key)) {
    return element("span", { className: "dim", textContent: "No picture" });
  }
  const [source, count, width, height] = data.strips[key];
  const frame = element("span", { className: "clip-frame" });
  frame.style.setProperty("--ratio", width / height);
  frame.style.backgroundImage = `url(${source})`;
  frame.style.backgroundSize = `${100 * count}% 100%`;
  let place = 0;
  frame.step = () => {
    place = (place + 1) % count;
    frame.style.backgroundPosition = `${100 * place / Math.max(count - 1, 1)}% 0`;
  };
  return frame;
}

document.querySelectorAll("[data-strip]").forEach((place) =>
  place.replaceChildren(stripOf(place.dataset.strip)));

// A button that enlarges a clip.
function clipButton(row, ...texts) {
  const button = element("button", { type: "button", className: "clip" }, stripOf(row), ...texts);
  button.dataset.clip = row;
  return button;
}

let playing = !matchMedia("(prefers-reduced-motion: reduce)").matches;
const showPlaying = () => document.querySelectorAll(".pause").forEach((button) => {
  button.textContent = playing ? "Pause clips" : "Play clips";
});
showPlaying();
setInterval(() => {
  const places = $("player").open ? "#player .clip-frame"
    : "#worst .clip-frame, .clip:hover .clip-frame, article:focus-within .clip-frame";
  if (playing) document.querySelectorAll(places).forEach((frame) => frame.step());
}, FRAME_MS);

function enlarge(button) {
  const key = button.dataset.clip, picture = button.querySelector("img");
  const [title, words] = data.clips[key];
  $("player-title").textContent = title;
  $("player-words").textContent = button.dataset.words ?? words;
  $("player-stage").replaceChildren(stripOf(key), ...picture ? [picture.cloneNode()] : []);
  $("player").showModal();
}

function showCell(key) {
  const [title, count, rows] = data.cells[key];
  document.querySelectorAll("[data-cell]").forEach((button) =>
    button.setAttribute("aria-pressed", String(button.dataset.cell === key)));
  $("cell").hidden = false;
  $("cell-title").textContent = title;
  $("cell-text").textContent = rows.length < count
    ? `The most confident ${rows.length} of ${count} clips.`
    : `${plural(count, "clip")}, the most confident first.`;
  $("cell-clips").replaceChildren(...rows.map((row) => element("li", {}, clipButton(row,
    element("bdi", { textContent: data.clips[row][0] }),
    element("span", { className: "dim", textContent: data.clips[row][1] })))));
  $("cell-title").focus();
  $("cell").scrollIntoView({ block: "nearest" });
}

document.addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (button?.matches(".pause")) {
    playing = !playing;
    showPlaying();
  } else if (button?.id === "player-close") $("player").close();
  else if (button?.dataset.cell) showCell(button.dataset.cell);
  else if (button?.dataset.clip) enlarge(button);
});
addEventListener("beforeprint", () => document.querySelectorAll("details.print").forEach((each) => {
  each.open = true;
}));
