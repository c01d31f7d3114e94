// Texts and lists next to the frame.

function describe() {
  const { row, frame } = state;
  const shown = frame.detections.filter(isShown), counts = new Map();
  shown.forEach(([label]) => counts.set(label, (counts.get(label) || 0) + 1));
  const objects = [...counts].sort((one, other) => other[1] - one[1])
    .map(([label, count]) => `${count} ${classShort(label)}`).join(", ");
  const all = frame.detections.length;
  const some = shown.length < all ? ` (${shown.length} of ${all} shown)` : "";
  const text = `Frame ${shard.frames[row]}, ${shard.seconds[row].toFixed(3)} s: ` +
    `${objects || "no objects"}${some}`;
  canvas.setAttribute("aria-label", text);
  $("scrub").setAttribute("aria-valuetext", text);
  $("status").textContent = text;
  clearTimeout(hashTimer);
  hashTimer = setTimeout(setHash, 200);
}

// Labels at this time.
function describeActivities() {
  const now = segmentsAt(shard.seconds[state.row]).slice(0, 4);
  $("activities").replaceChildren(...now.map(([, , labels]) => {
    const tags = labels.length ? labels.flatMap((label) => [activityTag(label), " "]) : ["none"];
    return element("dl", { className: "activity" }, element("dt", { textContent: "Label" }),
      element("dd", {}, ...tags));
  }));
}

function activityTag(label) {
  const made = element("span", { className: "name", textContent: activityName(label) });
  made.style.background = shard.activityColors[label];
  made.style.color = "#ffffff";
  return made;
}

// The address of the page leads to this frame.
function setHash() {
  try {
    history.replaceState(null, "", `#${encodeURIComponent(video().id)}/${shard.frames[state.row]}`);
  } catch { /* an id that no address can contain */ }
}

function listObjects() {
  const items = state.frame.detections.map((detection, place) => ({ detection, place }))
    .sort((one, other) => other.detection[1] - one.detection[1])
    .map(({ detection, place }) => {
      const [label, score] = detection;
      const button = element("button", { type: "button" }, chip(label),
        element("span", { className: "name", textContent: objectName(detection, 60), dir: "auto" }),
        element("span", { className: "value", textContent: score.toFixed(3) }));
      button.setAttribute("aria-pressed", String(place === state.chosen));
      button.dataset.place = place;
      if (!isShown(detection)) button.classList.add("off");
      button.addEventListener("click", () => choose(place === state.chosen ? -1 : place));
      return element("li", {}, button);
    });
  $("objects").replaceChildren(...(items.length ? items :
    [element("li", { className: "value", textContent: "No detections in this frame." })]));
}

function choose(place) {
  state.chosen = place;
  document.querySelectorAll("#objects button").forEach((button) => {
    button.setAttribute("aria-pressed", String(Number(button.dataset.place) === place));
  });
  $("scores").hidden = place < 0;
  if (place >= 0) listScores(state.frame.detections[place]);
  draw();
}

function listScores([label, score, x1, y1, x2, y2, , pairs]) {
  const values = new Map(), known = pairs !== 0;
  if (known) for (let n = 0; n < pairs.length; n += 2) values.set(pairs[n], pairs[n + 1]);
  else values.set(label, score);
  const scores = [...values.values()], areSigmoids = shard.scoreKind === "sigmoid";
  const rest = 1 - (areSigmoids ? Math.max(...scores) : scores.reduce((sum, each) => sum + each, 0));
  const box = [x1, y1, x2, y2].map((edge) => edge.toFixed(1)).join(", ");
  $("scores-text").textContent = `${classShort(label)} ${score.toFixed(3)}, box ${box}, ` +
    `mask of ${state.masks[state.chosen].area.toLocaleString("en")} cells. ` + (known
    ? `Background${areSigmoids ? "" : " and scores below 0.001"}: ${Math.max(rest, 0).toFixed(3)}.`
    : "Scores of other classes are unknown.");
  const order = shard.classes.map((_, each) => each)
    .sort((one, other) => (values.get(other) || 0) - (values.get(one) || 0) || one - other);
  $("bars").replaceChildren(...order.map((each) => {
    const value = values.get(each), fill = element("div", { className: "fill" });
    fill.style.width = `${100 * Math.min(value || 0, 1)}%`;
    fill.style.background = shard.colors[each];
    const text = value !== undefined ? value.toFixed(3) : known ? "< 0.001" : "\u2013";
    return element("li", {},
      element("span", { className: "name", textContent: classShort(each), dir: "auto" }),
      element("div", { className: "track" }, fill),
      element("span", { className: "value", textContent: text }));
  }));
}

function listClasses() {
  $("classes").replaceChildren(...occurring.map(([label, count]) => {
    const box = element("input", { type: "checkbox", checked: true });
    box.dataset.label = label;
    box.addEventListener("change", () => {
      if (box.checked) hiddenClasses.delete(label); else hiddenClasses.add(label);
      filtered();
    });
    return element("li", {}, element("label", {}, box, chip(label),
      element("span", { className: "name", textContent: truncated(className(label), 200), dir: "auto" }),
      element("span", { className: "value", textContent: count.toLocaleString("en") })));
  }));
}
