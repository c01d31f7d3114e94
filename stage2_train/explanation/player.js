// Clips are frames side by side in one picture, one of which is shown at a time. They play in place,
// and enlarged in a dialog.

const data = JSON.parse($("data").text);
const FRAME_MS = 350;
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
const inSvg = (name, attributes) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
};

function stripOf(key, frame = 0, box = "") {
  const held = Object.hasOwn(data.strips, key) ? data.strips[key] : null;
  if (!held) return null;
  const [source, count, width, height] = held;
  const svg = inSvg("svg", { viewBox: `0 0 ${width} ${height}`, class: "clip-frame" });
  const image = inSvg("image", {
    href: source, width: count * width, height, preserveAspectRatio: "none",
  });
  const pane = inSvg("svg", { width, height });  // hides neighboring frames
  pane.append(image);
  svg.append(pane);
  if (box) {
    const [x1, y1, x2, y2] = box.split(" ").map(Number);
    const place = { x: x1 * width, y: y1 * height, width: (x2 - x1) * width,
      height: (y2 - y1) * height };
    svg.append(inSvg("rect", { ...place, class: "box rim" }), inSvg("rect", { ...place, class: "box" }));
  }
  svg.count = count;
  svg.show = (place) => {
    svg.place = (place + count) % count;
    image.setAttribute("x", -svg.place * width);
  };
  svg.show(frame);
  return svg;
}

function fill(place) {
  const svg = stripOf(place.dataset.strip, Number(place.dataset.frame), place.dataset.box);
  place.replaceChildren(svg ?? element("span", { className: "dim", textContent: "No picture" }));
}
document.querySelectorAll("[data-strip]").forEach(fill);

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
  if (!player.frame) return;
  player.frame.show(player.frame.place + by);
  $("player-place").textContent = `frame ${player.frame.place + 1} of ${player.frame.count}`;
}

function setPlaying(now) {
  player.playing = now && Boolean(player.frame);
  $("player-play").textContent = player.playing ? "Pause" : "Play";
}

function enlarge(button) {
  const key = button.dataset.clip, picture = button.querySelector("img");
  const [title, words, link] = data.clips[key];
  $("player-title").textContent = title;
  $("player-words").textContent = button.dataset.words ?? words;
  player.frame = stripOf(key);
  $("player-stage").replaceChildren(...player.frame ? [player.frame] : []);
  $("player-bar").hidden = !player.frame;
  $("player-picture").replaceChildren(...picture ? [picture.cloneNode()] : []);
  $("player-link").hidden = !link;
  $("player-link").href = link || "#";
  step(0);
  setPlaying(!still);
  $("player").showModal();
  $("player-play").focus();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("button[data-clip]");
  if (button) enlarge(button);
});
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
  else if (event.key === " " && !event.target.closest("button, a")) setPlaying(!player.playing);
  else return;
  event.preventDefault();
});

addEventListener("beforeprint", () => document.querySelectorAll("details.print").forEach((each) => {
  each.open = true;
}));
