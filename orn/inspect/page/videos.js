// The list of videos and its filters.

let classesOfVideos = null;

function filterVideos() {
  const text = $("find").value.toLowerCase();
  const [label, ofClass] = ["with-label", "with-class"].map((id) => $(id).value);
  if (ofClass) {
    classesOfVideos ??= shard.videos.map((each) =>
      new Set(countClasses(each, (_, score) => score >= leastAtFirst - 0.002).map(([one]) => one)));
  }
  const cards = [...document.querySelectorAll("[data-video]")], found = cards.filter((card, number) => {
    const { id, segments } = shard.videos[number];
    return id.toLowerCase().includes(text) &&
      (!ofClass || classesOfVideos[number].has(Number(ofClass))) &&
      (!label || segments.some((each) => each[2].includes(Number(label))));
  });
  cards.forEach((card) => { card.parentElement.hidden = !found.includes(card); });
  const all = cards.length;
  $("found").textContent = found.length === all ? plural(all, "video") : `${found.length} of ${all}`;
}

function markVideo() {
  document.querySelector("[data-video][aria-current]")?.removeAttribute("aria-current");
  const card = document.querySelector(`[data-video="${state.video}"]`);
  card.setAttribute("aria-current", "true");
  card.scrollIntoView({ block: "nearest" });
}

function listVideos() {
  const options = (id, entries) => {
    $(id).append(...entries.map(([value, textContent]) => element("option", { value, textContent })));
    $(id).hidden = !entries.length;
  };
  const segments = shard.videos.flatMap((each) => each.segments);
  const labeled = [...new Set(segments.flatMap((each) => each[2]))];
  options("with-label", labeled.map((label) => [label, activityName(label, 60)])
    .sort((one, other) => one[1].localeCompare(other[1])));
  options("with-class", occurring.map(([label]) => [label, classShort(label)]));
  for (const id of ["find", "with-label", "with-class"]) {
    $(id).addEventListener("input", filterVideos);
  }
  $("cards").addEventListener("click", (event) => {
    const card = event.target.closest("[data-video]");
    if (!card) return;
    openVideo(Number(card.dataset.video));
    $("frame").focus({ preventScroll: true });
    if (narrow.matches) $("browse").open = false;
  });
  $("browse").open = !narrow.matches;
  filterVideos();
}
