// The review of labels: three choices a clip, which the browser keeps, and which are saved as a table
// for `orn manifest update`. Shortcuts apply only inside the list.

const VERDICTS = [["wrong", "Wrong, should be \u2026"], ["right", "Right"], ["leave out", "Leave out"]];
const STEPS = { j: 1, ArrowDown: 1, ArrowRight: 1, k: -1, ArrowUp: -1, ArrowLeft: -1 };

function reviewLabels({ key, several, classes, clips }) {
  const chosen = new Map(); // id -> { verdict, labels }, labels being those of a wrong one
  const isChoice = (own) => VERDICTS.some(([verdict]) => verdict === own?.verdict)
    && Array.isArray(own.labels) && own.labels.every((label) => Object.hasOwn(classes, label));
  try {
    const kept = JSON.parse(localStorage.getItem(key)) ?? [];
    kept.forEach(([id, own]) => isChoice(own) && chosen.set(id, own));
  } catch {} // without storage, choices last as long as the page

  function selectOf(clip, own) {
    const select = element("select", { multiple: several, ariaLabel: `Correct label of ${plain(clip.id)}` });
    if (several) select.size = Math.min(classes.length, 6);
    const others = [...classes.keys()].filter((label) => !clip.labels.includes(label));
    select.append(...[...clip.labels, ...others].map((label) => element("option", {
      value: label, textContent: plain(truncated(classes[label], 80)), selected: own.labels.includes(label),
    })));
    select.addEventListener("change", () => {
      own.labels = [...select.selectedOptions].map((option) => Number(option.value));
      keep();
    });
    return select;
  }

  const items = clips.map((clip, place) => {
    const title = element("h3", { id: `review-${place}` }, element("bdi", { textContent: plain(truncated(clip.id, 80)) }));
    const play = element("button", { type: "button", className: "clip", ariaLabel: `Enlarge ${plain(clip.id)}` }, stripOf(clip.row));
    play.dataset.clip = clip.row;
    const labels = [["Label", clip.given], ["Model", clip.suggested]].flatMap(([term, text]) => [
      element("dt", { textContent: term }), element("dd", {}, element("bdi", { textContent: text }))]);
    const buttons = VERDICTS.map(([verdict, text]) => {
      const button = element("button", { type: "button", textContent: text });
      button.addEventListener("click", () => choose(place, verdict));
      return button;
    });
    const choices = element("div", { role: "group", className: "bar", ariaLabel: "Is the label right?" }, ...buttons);
    const item = element("article", { className: "panel", tabIndex: place ? -1 : 0 },
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

  function keep() {
    $("review-status").textContent = `${chosen.size} of ${plural(clips.length, "clip")} decided`;
    $("review-save").disabled = chosen.size === 0;
    try {
      localStorage.setItem(key, JSON.stringify([...chosen]));
    } catch {}
  }

  function choose(place, verdict) {
    const { id, labels } = clips[place], own = chosen.get(id);
    if (own?.verdict === verdict) chosen.delete(id);
    else chosen.set(id, { verdict, labels: own?.labels ?? labels });
    show(place);
    keep();
  }

  function save() {
    const cell = (text) => `"${text.replaceAll('"', '""')}"`;
    const lines = ["id,verdict,label"];
    for (const [place, { id }] of clips.entries()) {
      const own = chosen.get(id), isWrong = own?.verdict === "wrong";
      if (isWrong && !own.labels.length) {
        $("review-status").textContent = `Choose the correct label of ${plain(truncated(id, 80))}, or leave it out`;
        items[place].querySelector("select").focus();
        return;
      }
      const label = isWrong ? own.labels.map((at) => classes[at]).join(";") : "";
      if (own) lines.push([id, own.verdict, label].map(cell).join(","));
    }
    const table = encodeURIComponent(`${lines.join("\n")}\n`);
    element("a", { href: `data:text/csv;charset=utf-8,${table}`, download: "corrections.csv" }).click();
    $("review-status").textContent = `Saved ${plural(lines.length - 1, "decision")} in corrections.csv`;
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
  keep();
}

if (data.review?.clips.length) reviewLabels(data.review);
