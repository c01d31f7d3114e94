// Navigation, playback, and mouse and keyboard handlers.

function openVideo(number, row = shard.videos[number].rows[0]) {
  pause();
  state.video = number;
  state.frame = null;
  markVideo();
  $("video-id").textContent = plain(video().id);
  $("activities").replaceChildren();
  $("gray").hidden = !video().gray;
  $("gray").textContent = video().gray ? `Masks are shown on gray: ${plain(video().gray)}` : "";
  const [width, height] = video().size, [start, stop] = video().rows;
  canvas.style.setProperty("--ratio", width / height);
  $("scrub").max = Math.max(stop - 1, start);
  $("scrub").min = start;
  timeline();
  if (start < stop) {
    goTo(row);
    return;
  }
  turn++;
  [canvas.width, canvas.height] = video().size;
  $("objects").replaceChildren();
  $("scores").hidden = true;
  $("status").textContent = "";
  say("The shard has no frames of this video.");
}

function goTo(row) {
  const [start, stop] = video().rows, next = Math.max(Math.min(row, stop - 1), start);
  if (start === stop) return Promise.resolve();
  state.step = Math.abs(next - state.row) === 1 ? next - state.row : 0;
  $("scrub").value = next;
  return showRow(next);
}

function followLink() {
  const hash = location.hash.slice(1), slash = hash.lastIndexOf("/");
  let id = "";
  try { id = decodeURIComponent(hash.slice(0, slash)); } catch { return false; }
  const number = shard.videos.findIndex((each) => each.id === id);
  if (slash < 0 || number < 0) return false;
  const [start, stop] = shard.videos[number].rows, frame = Number(hash.slice(slash + 1));
  const row = start + Math.max(lastAtMost(shard.frames.slice(start, stop), frame), 0);
  if (number !== state.video || row !== state.row) openVideo(number, row);
  return true;
}

// --- the timeline --------------------------------------------------------------------------

function timeline() {
  const [start, stop] = video().rows, strip = $("strip");
  const lines = drawTimeline(strip, video(), passes);
  const lanes = activityLanes(video()).map(({ name }) => element("li", { textContent: name }));
  $("timeline-names").replaceChildren(...lanes, ...lines.map(([label, count]) => element("li", {
    dir: "auto", textContent: label < 0 ? "others" : classShort(label),
    title: plural(count, "detection"),
  })));
  strip.setAttribute("aria-label", `Classes over ${plural(stop - start, "frame")}: ` + (lines
    .map(([label, count]) => `${label < 0 ? "others" : classShort(label)} ${count}`)
    .join(", ") || "none"));
  moveCursor();
}

function moveCursor() {
  const [start, stop] = video().rows;
  $("cursor").style.left = `${100 * (state.row - start + 0.5) / Math.max(stop - start, 1)}%`;
}

function clickStrip(event) {
  const [start, stop] = video().rows;
  goTo(start + Math.floor(event.offsetX / $("strip").clientWidth * (stop - start)));
}

// --- playing ---------------------------------------------------------------------------------

// Maximum number of seconds for which a frame is shown.
const LONGEST_GAP = 0.5;

async function play() {
  const mine = state.playing = performance.now(), [start, stop] = video().rows;
  showPlaying();
  if (state.row === stop - 1) await goTo(start);
  for (let due = mine; state.playing === mine && state.row < stop - 1;) {
    const gap = (row) => 1000 / Number($("speed").value) *
      Math.min(LONGEST_GAP, shard.seconds[row + 1] - shard.seconds[row]);
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
  $("play-shape").setAttribute("d", state.playing ? "M3 2h4v12H3zm6 0h4v12H9z" : "m3 1 11 7-11 7z");
  $("status").setAttribute("aria-live", state.playing ? "off" : "polite");
}

const playOrPause = () => state.playing ? pause() : play();

// --- mouse and keys --------------------------------------------------------------------------

function clickFrame({ offsetX, offsetY }) {
  if (!state.frame) return;
  const x = offsetX / canvas.clientWidth * video().grid[0];
  const y = offsetY / canvas.clientHeight * video().grid[1];
  const hits = state.frame.detections.map((each, place) => place).filter((place) => {
    const [, , x1, y1, x2, y2] = state.frame.detections[place];
    return isShown(state.frame.detections[place]) && x >= x1 && x < x2 && y >= y1 && y < y2;
  });
  hits.sort((one, other) => state.masks[one].area - state.masks[other].area);
  choose(hits[0] ?? -1);
}

const STEPS = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -1e9, End: 1e9 };

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

function filtered() {
  state.least = Number($("score").value);
  $("score-text").textContent = state.least.toFixed(2);
  timeline();
  if (!state.frame) return;
  if (state.chosen >= 0 && !isShown(state.frame.detections[state.chosen])) choose(-1);
  draw();
  listObjects();
  describe();
}

function showClasses(areShown) {
  document.querySelectorAll("#classes input").forEach((box) => { box.checked = areShown; });
  occurring.forEach(([label]) => areShown ? hiddenClasses.delete(label) : hiddenClasses.add(label));
  filtered();
}

const leastAtFirst = scores.some((score) => score >= 255 * shard.least) ? shard.least : 0;
const narrow = window.matchMedia("(max-width: 72rem)");

function start() {
  listClasses();
  listVideos();
  showPlaying();
  $("play").addEventListener("click", playOrPause);
  $("scrub").addEventListener("input", () => goTo(Number($("scrub").value)));
  $("back").addEventListener("click", () => goTo(state.row - 1));
  $("next").addEventListener("click", () => goTo(state.row + 1));
  $("score").addEventListener("input", filtered);
  $("all").addEventListener("click", () => showClasses(true));
  $("none").addEventListener("click", () => showClasses(false));
  canvas.addEventListener("click", clickFrame);
  $("strip").addEventListener("click", clickStrip);
  document.addEventListener("keydown", onKey);
  window.addEventListener("hashchange", followLink);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", timeline);
  if (!shard.videos.length) {
    say("The shard has no videos.");
    return;
  }
  $("score").value = leastAtFirst;
  filtered();
  shownWidth = canvas.clientWidth;
  if (!followLink()) openVideo(0);
  // Reading the width of the canvas at every frame would force a layout each time.
  new ResizeObserver(() => {
    if (canvas.clientWidth === shownWidth) return;
    shownWidth = canvas.clientWidth;
    timeline();
    draw();
  }).observe(canvas);
}

start();
