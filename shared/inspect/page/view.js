// Navigation, playback, and mouse and keyboard handlers.

function openVideo(number, row = null) {
  pause();
  state.video = number;
  state.rows = shownRows(video());
  state.frame = null;
  markVideo();
  $("video-id").textContent = plain(video().id);
  $("activities").replaceChildren();
  delete $("activities").dataset.key;
  $("grey").hidden = !video().grey;
  $("grey").textContent = video().grey ? `Masks are shown on gray: ${plain(video().grey)}` : "";
  const [width, height] = video().size;
  canvas.style.aspectRatio = `${width} / ${height}`;
  $("scrub").max = Math.max(state.rows.count - 1, 0);
  timeline();
  if (state.rows.count === 0) {
    turn++;
    [canvas.width, canvas.height] = video().size;
    $("objects").replaceChildren();
    $("scores").hidden = true;
    $("status").textContent = "";
    say(video().rows[0] === video().rows[1] ? "The shard has no frames of this video."
      : "This page has no frames of this video; write a folder to see all frames.");
    return;
  }
  const shown = goTo(row === null ? 0 : nearestPlace(state.rows, row));
  if (row === null || state.rows.at(state.place) === row) return;
  shown.then(() => say(`Frame ${shard.frames[row]} is not on this page; the nearest one is shown.`));
}

function goTo(place) {
  if (state.rows.count === 0) return Promise.resolve();
  const before = state.place;
  state.place = Math.min(Math.max(place, 0), state.rows.count - 1);
  state.step = Math.abs(state.place - before) === 1 ? state.place - before : 0;
  $("scrub").value = state.place;
  return showRow(state.rows.at(state.place));
}

function followLink() {
  const hash = location.hash.slice(1), slash = hash.lastIndexOf("/");
  let id = hash.slice(0, slash), number = -1;
  try { id = decodeURIComponent(id); } catch { id = ""; }
  if (slash >= 0) number = shard.videos.findIndex((each) => each.id === id);
  if (number < 0) return false;
  const [start, stop] = shard.videos[number].rows, frame = Number(hash.slice(slash + 1));
  if (number === state.video && state.row >= start && shard.frames[state.row] === frame) return true;
  const row = start + Math.max(lastAtMost(shard.frames.slice(start, stop), frame), 0);
  openVideo(number, row);
  return true;
}

// --- the timeline --------------------------------------------------------------------------

function timeline() {
  const [start, stop] = video().rows, strip = $("strip");
  const lines = drawTimeline(strip, video(), passes, state.rows);
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

function scrubStrip(event) {
  const box = $("strip").getBoundingClientRect(), [start, stop] = video().rows;
  const share = (event.clientX - box.left) / box.width;
  const row = start + Math.floor(Math.min(Math.max(share, 0), 0.999999) * (stop - start));
  const place = nearestPlace(state.rows, row);
  if (state.rows.count && place !== state.place) goTo(place);
}

// --- playing ---------------------------------------------------------------------------------

// Maximum number of seconds between two frames of a sample.
const LONGEST_GAP = 0.5;

async function play() {
  const mine = state.playing = performance.now();
  showPlaying();
  if (state.place === state.rows.count - 1) await goTo(0);
  for (let due = mine; state.playing === mine && state.place < state.rows.count - 1;) {
    const gap = (place) => 1000 / Number($("speed").value) * Math.min(LONGEST_GAP,
      shard.seconds[state.rows.at(place + 1)] - shard.seconds[state.rows.at(place)]);
    let place = state.place;
    due = Math.max(due, performance.now() - 500) + gap(place);
    // Late frames are skipped.
    for (; place < state.rows.count - 2 && due + gap(place + 1) < performance.now(); place++) {
      due += gap(place + 1);
    }
    await new Promise((done) => setTimeout(done, due - performance.now()));
    if (state.playing === mine) await goTo(place + 1);
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

function clickFrame(event) {
  if (!state.frame) return;
  const box = canvas.getBoundingClientRect(), [width, height] = video().grid;
  const fit = Math.min(box.width / canvas.width, box.height / canvas.height);
  const left = (box.width - canvas.width * fit) / 2, top = (box.height - canvas.height * fit) / 2;
  const x = (event.clientX - box.left - left) / (canvas.width * fit) * width;
  const y = (event.clientY - box.top - top) / (canvas.height * fit) * height;
  const hits = state.frame.detections.map((each, place) => place).filter((place) => {
    const [, , x1, y1, x2, y2] = state.frame.detections[place];
    return isShown(state.frame.detections[place]) && (covers(state.masks[place], x, y) ||
      (x >= x1 && x < x2 && y >= y1 && y < y2));
  });
  const rank = (place) => (covers(state.masks[place], x, y) ? 0 : 1e12) + state.masks[place].area;
  hits.sort((one, other) => rank(one) - rank(other));
  choose(hits.length ? hits[0] : -1);
}

const STEPS = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -1e9, End: 1e9 };

function onKey(event) {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const { target } = event;
  const takesText = target.matches("select, input:not([type=range], [type=checkbox])");
  const takesKeys = takesText || target.matches("input[type=range]:not(#scrub), #bars, summary");
  if (event.key in STEPS && !takesKeys) {
    event.preventDefault();
    goTo(state.place + STEPS[event.key]);
  } else if (event.key === " " && !takesKeys && !target.matches("button, a, [type=checkbox]")) {
    event.preventDefault();
    playOrPause();
  } else if ((event.key === "[" || event.key === "]") && !takesText) {
    nextVideo(event.key === "]" ? 1 : -1);
  } else if (event.key === "Escape") {
    choose(-1);
  }
}

function setScore(value) {
  state.least = value;
  $("score").value = value;
  $("score-text").textContent = value.toFixed(2);
}

function filtered() {
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

const leastAtFirst = scores.some((score) => score >= 128) ? 0.5 : 0;
const narrow = window.matchMedia("(max-width: 72rem)");

function start() {
  listClasses();
  listVideos();
  showPlaying();
  $("play").addEventListener("click", playOrPause);
  $("scrub").addEventListener("input", () => goTo(Number($("scrub").value)));
  $("back").addEventListener("click", () => goTo(state.place - 1));
  $("next").addEventListener("click", () => goTo(state.place + 1));
  $("score").addEventListener("input", () => {
    setScore(Number($("score").value));
    filtered();
  });
  $("all").addEventListener("click", () => showClasses(true));
  $("none").addEventListener("click", () => showClasses(false));
  canvas.addEventListener("click", clickFrame);
  $("strip").addEventListener("pointerdown", (event) => {
    $("strip").setPointerCapture(event.pointerId);
    scrubStrip(event);
  });
  $("strip").addEventListener("pointermove", (event) => { if (event.buttons) scrubStrip(event); });
  document.addEventListener("keydown", onKey);
  window.addEventListener("hashchange", followLink);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", timeline);
  if (!shard.videos.length) {
    say("The shard has no videos.");
    return;
  }
  setScore(leastAtFirst);
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

// For benchmarks: `show` resolves after a frame is drawn, `held` counts cached chunks and pictures.
window.ornPage = { show: goTo, held: () => ({ chunks: chunks.size, pictures: pictures.size }) };
start();
