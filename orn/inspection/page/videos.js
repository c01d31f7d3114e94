// The list of videos and its filter.

function filterVideos() {
  const text = $("find").value.toLowerCase(), cards = [...document.querySelectorAll("[data-video]")];
  const found = cards.filter((card, number) => shard.videos[number].id.toLowerCase().includes(text));
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
  $("find").addEventListener("input", filterVideos);
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
