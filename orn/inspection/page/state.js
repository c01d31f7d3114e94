// State of the page, and helpers for all parts.

const LONGEST_NAME = 28, OPACITY = 115, MOST_RASTER = 1920;
const canvas = $("canvas"), layer = document.createElement("canvas");
const occurring = countClasses({ rows: [0, shard.counts.length] }, () => true);
const hiddenClasses = new Set();
const state = {
  video: 0, row: -1, least: 0, frame: null, masks: [], chosen: -1, step: 0, playing: 0,
};
let turn = 0, hashTimer = 0, shownWidth = 0;

const className = (label) => plain(shard.classes[label] ?? `class ${label}`);
const classShort = (label) => apart(truncated(className(label), LONGEST_NAME));
// The class of a detection and the number of its track, which is the same in other frames.
const objectName = ([label, , , , , , , , track], most) =>
  truncated(className(label), most) + (track >= 0 ? ` #${track}` : "");
const activityName = (label, most = 80) => apart(truncated(plain(shard.activities[label]), most));
const chip = (label) => {
  const made = element("span", { className: "chip" });
  made.style.background = shard.colors[label] ?? "#888888";
  return made;
};
const passes = (label, score) => score >= state.least - 0.002 && !hiddenClasses.has(label);
const isShown = ([label, score]) => score >= state.least && !hiddenClasses.has(label);
const video = () => shard.videos[state.video];
// Segments that contain a time: [start, stop, labels].
const segmentsAt = (seconds) => video().segments.filter(([start, stop]) =>
  (start ?? -Infinity) <= seconds && seconds < (stop ?? Infinity));
