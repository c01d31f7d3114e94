// The review of labels: three choices a clip, which the browser keeps, and which are saved as a table
// for `orn manifest update`. Shortcuts apply only inside the list.

const VERDICTS = [["wrong", "Wrong, should be \u2026"], ["right", "Right"], ["leave out", "Leave out"]];
const STEPS = { j: 1, ArrowDown: 1, ArrowRight: 1, k: -1, ArrowUp: -1, ArrowLeft: -1 };

function reviewLabels({ key, several, classes, clips }) {
  const chosen = new Map(kept(key, ([, own]) => VERDICTS.some(([verdict]) => verdict === own?.verdict)
    && Array.isArray(own.labels) && own.labels.every((label) => Object.hasOwn(classes, label))));

  function selectOf(clip, own) {
    const select = element("select", { multiple: several, ariaLabel: `Correct label of ${plain(clip.id)}` });
    if (several) select.size = Math.min(classes.length, 6);
    const others = [...classes.keys()].filter((label) => !clip.labels.includes(label));
    select.append(...[...clip.labels, ...others].map((label) => element("option", {
      value: label, textContent: plain(truncated(classes[label], 80)), selected: own.labels.includes(label),
    })));
    select.addEventListener("change", () => {
      own.labels = [...select.selectedOptions].map((option) => Number(option.value));
      changed();
    });
    return select;
  }

  const items = clips.map((clip, place) => {
    const title = element("h3", { id: `review-${place}` },
      element("bdi", { textContent: plain(truncated(clip.id, 80)) }));
    const play = clipButton(clip.row);
    play.ariaLabel = `Enlarge ${plain(clip.id)}`;
    const labels = [["Label", clip.given], ["Model", clip.suggested]].flatMap(([term, text]) => [
      element("dt", { textContent: term }), element("dd", {}, element("bdi", { textContent: text }))]);
    const choices = element("div", { role: "group", className: "bar", ariaLabel: "Is the label right?" });
    choices.append(...VERDICTS.map(([verdict, textContent]) => element("button",
      { type: "button", textContent, onclick: () => choose(place, verdict) })));
    const item = element("article", { className: "panel split", tabIndex: place ? -1 : 0 },
      play, element("div", {}, title, element("dl", {}, ...labels), choices));
    item.setAttribute("aria-labelledby", title.id);
    return item;
  });

  function show(place) {
    const clip = clips[place], own = chosen.get(clip.id), choices = items[place].querySelector(".bar");
    choices.querySelectorAll("button").forEach((button, at) =>
      button.setAttribute("aria-pressed", String(VERDICTS[at][0] === own?.verdict)));
    choices.querySelector("select")?.remove();
    if (own?.verdict === "wrong") choices.children[0].after(selectOf(clip, own));
  }

  function changed() {
    $("review-status").textContent = `${chosen.size} of ${plural(clips.length, "clip")} decided`;
    $("review-save").disabled = chosen.size === 0;
    keep(key, [...chosen]);
  }

  function choose(place, verdict) {
    const { id, labels } = clips[place], own = chosen.get(id);
    if (own?.verdict === verdict) chosen.delete(id);
    else chosen.set(id, { verdict, labels: own?.labels ?? labels });
    show(place);
    changed();
  }

  function save() {
    const decided = clips.filter(({ id }) => chosen.has(id));
    const labelsOf = ({ id }) => chosen.get(id).verdict === "wrong" ? chosen.get(id).labels : null;
    const empty = decided.find((clip) => labelsOf(clip)?.length === 0);
    if (empty) {
      $("review-status").textContent = `Choose the correct label of ${plain(truncated(empty.id, 80))}, or leave it out`;
      items[clips.indexOf(empty)].querySelector("select").focus();
      return;
    }
    saveTable("corrections.csv", [["id", "verdict", "label"], ...decided.map((clip) => [clip.id,
      chosen.get(clip.id).verdict, (labelsOf(clip) ?? []).map((label) => classes[label]).join(";")])]);
    $("review-status").textContent = `Saved ${plural(decided.length, "decision")} in corrections.csv`;
  }

  $("review-clips").append(...items);
  $("review-save").addEventListener("click", save);
  $("review-clips").addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select")) return;
    const place = items.findIndex((item) => item.contains(event.target)), step = STEPS[event.key];
    if (step) items[place + step]?.focus();
    else if (VERDICTS[event.key - 1]) choose(place, VERDICTS[event.key - 1][0]);
    else return;
    event.preventDefault();
  });
  items.forEach((_, place) => show(place));
  changed();
}

if (data.review?.clips.length) reviewLabels(data.review);
