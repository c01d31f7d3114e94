// What all parts of the page share: what is shown, and small helpers.

const $ = (id) => document.getElementById(id);
const LONGEST_NAME = 28, OPACITY = 115, LEAST_RASTER = 480;
const canvas = $("canvas"), layer = document.createElement("canvas");
const occurring = countClasses({ rows: [0, shard.counts.length] }, () => true);
const hiddenClasses = new Set();
const oddRows = [...new Set(shard.odd.map(([row]) => row).filter((row) => row !== null))]
  .sort((one, other) => one - other);
const state = {
  video: 0, rows: { count: 0 }, place: 0, row: -1, least: 0, frame: null, masks: [], chosen: -1, step: 0,
};
let turn = 0, linkTimer = 0, sayTimer = 0, prefetchTimer = 0;
let raster = null, shownWidth = 0;

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

const short = (text, most = LONGEST_NAME) =>
  text.length > most ? `${text.slice(0, most - 1)}\u2026` : text;
// Texts of the shard as they may stand on the page: what would act on the text around it is
// written out, and names that run from right to left keep to themselves.
const plain = (text) => text.replace(
  /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
  (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
const apart = (text) => /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefe]/.test(text)
  ? `\u2068${text}\u2069` : text;
const className = (label) => plain(shard.classes[label] ?? `class ${label}`);
const classShort = (label) => apart(short(className(label)));
const chip = (label) => {
  const made = element("span", { className: "chip" });
  made.style.background = shard.colours[label] ?? "#888888";
  return made;
};
const passes = (label, score) => score >= state.least - 0.002 && !hiddenClasses.has(label);
const isShown = ([label, score]) => score >= state.least && !hiddenClasses.has(label);
const video = () => shard.videos[state.video];
const plural = (count, name) => `${count} ${name}${count === 1 ? "" : "s"}`;
