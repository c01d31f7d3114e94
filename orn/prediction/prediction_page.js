// The probabilities of each video over time. A window leads to its card, by a click in its row, or
// by arrow keys.

document.querySelectorAll("[data-video]").forEach((place) => {
  const { lanes: rows, range } = data[place.dataset.video];
  const lanes = lanesIn(place, (seconds) => `${seconds.toFixed(2)} s`);
  const linked = rows.flatMap(({ parts }) => parts.filter(({ address }) => address))
    .sort((one, other) => one.start - other.start);
  let number = -1;
  function choose(next) {
    if (!linked[next]) return;
    if (linked[number]) linked[number].isChosen = false;
    number = next;
    linked[number].isChosen = true;
    lanes.draw();
    location.hash = linked[number].address;
    lanes.canvas.focus({ preventScroll: true });
  }
  lanes.show(rows, range, `Probabilities of ${rows.map(({ name }) => plain(name)).join(", ")} over time`);
  lanes.canvas.tabIndex = 0;
  lanes.canvas.addEventListener("click", (event) => {
    const { time, line } = lanes.at(event);
    const hit = rows[line].parts.find(({ start, stop }) => start <= time && time <= stop);
    choose(linked.indexOf(hit));
  });
  lanes.canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    choose(Math.max(number + step, 0));
  });
});
