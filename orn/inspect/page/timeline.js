// The timeline of a video: a row of labels, and a row per class.

const ROW_HEIGHT = 18, HEAD_HEIGHT = 14, FOOT_HEIGHT = 16, MOST_ROWS = 12;
const TICKS_SECONDS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600];

// Counts the detections of each class in a video that pass the filter.
function countClasses(video, passes) {
  const counts = new Map();
  for (let n = offsets[video.rows[0]]; n < offsets[video.rows[1]]; n++) {
    if (passes(labels[n], scores[n] / 255)) {
      counts.set(labels[n], (counts.get(labels[n]) || 0) + 1);
    }
  }
  return [...counts].sort((one, other) => other[1] - one[1]);
}

// Draws the timeline; returns [label or -1 for all others, count] of each row of a class.
function drawTimeline(canvas, video, passes) {
  const counted = countClasses(video, passes);
  const lines = counted.slice(0, MOST_ROWS);
  const others = counted.slice(MOST_ROWS);
  if (others.length) lines.push([-1, others.reduce((sum, each) => sum + each[1], 0)]);
  const [start, stop] = video.rows, frames = Math.max(stop - start, 1);
  const ratio = window.devicePixelRatio || 1;
  const width = Math.max(canvas.parentElement.clientWidth, 50);
  const lanes = activityLanes(video), head = HEAD_HEIGHT + ROW_HEIGHT * lanes.length;
  const height = head + ROW_HEIGHT * Math.max(lines.length, 1) + FOOT_HEIGHT;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  const style = getComputedStyle(document.documentElement);
  context.fillStyle = style.getPropertyValue("--strip");
  for (let line = 0; line < lanes.length + lines.length; line++) {
    context.fillRect(0, HEAD_HEIGHT + line * ROW_HEIGHT + 2, width, ROW_HEIGHT - 4);
  }
  const at = (row) => (row - start) / frames * width;
  lanes.forEach((lane, line) => drawLane(context, lane, HEAD_HEIGHT + line * ROW_HEIGHT, at));
  const columns = Math.min(Math.ceil(width), frames);
  const seen = countColumns(video, passes, lines, columns);
  lines.forEach(([label], line) => {
    context.fillStyle = label < 0 ? style.getPropertyValue("--dim") : shard.colors[label];
    for (let column = 0; column < columns; column++) {
      const count = seen[line * columns + column];
      if (!count) continue;
      context.globalAlpha = Math.min(0.35 + 0.65 * count * columns / frames, 1);
      context.fillRect(column * width / columns, head + line * ROW_HEIGHT + 2,
        Math.max(width / columns, 1), ROW_HEIGHT - 4);
    }
  });
  context.globalAlpha = 1;
  context.fillStyle = style.getPropertyValue("--dim");
  drawSeconds(context, video, at, { width, top: height - FOOT_HEIGHT });
  return lines;
}

// Counts the detections of each line in each column.
function countColumns(video, passes, lines, columns) {
  const [start, stop] = video.rows, lineOf = new Map(lines.map(([label], line) => [label, line]));
  const seen = new Uint16Array(lines.length * columns);
  for (let row = start; row < stop; row++) {
    const column = Math.floor((row - start) / (stop - start) * columns);
    for (let n = offsets[row]; n < offsets[row + 1]; n++) {
      if (!passes(labels[n], scores[n] / 255)) continue;
      const line = lineOf.has(labels[n]) ? lineOf.get(labels[n]) : lineOf.get(-1);
      if (line !== undefined) seen[line * columns + column]++;
    }
  }
  return seen;
}

// The lane of labels, if there are any: a name and its stretches, [first row, end row, activity].
function activityLanes(video) {
  const seconds = shard.seconds.slice(...video.rows), first = video.rows[0];
  const rowAt = (time, otherwise) => time === null ? otherwise :
    first + lastAtMost(seconds, time - 1e-6) + 1;
  const stretches = video.segments.flatMap(([start, stop, labels]) => labels.map((label) =>
    [rowAt(start, first), rowAt(stop, video.rows[1]), label]));
  return stretches.length ? [{ name: "Label", stretches }] : [];
}

function drawLane(context, { stretches }, top, at) {
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "middle";
  stretches.forEach(([start, stop, label]) => {
    const left = at(start), wide = Math.max(at(stop) - left - 1, 1);
    context.fillStyle = shard.activityColors[label];
    context.fillRect(left, top + 2, wide, ROW_HEIGHT - 4);
    const text = truncated(plain(shard.activities[label]), Math.floor((wide - 8) / 6));
    context.fillStyle = "#ffffff";
    if (wide > 30) context.fillText(text, left + 4, top + ROW_HEIGHT / 2, wide - 8);
  });
}

function drawSeconds(context, video, at, { width, top }) {
  const [start, stop] = video.rows, seconds = shard.seconds.slice(start, stop);
  if (seconds.length < 2) return;
  const from = seconds[0], length = seconds[seconds.length - 1] - from;
  const step = TICKS_SECONDS.find((each) => length / each <= width / 60) ?? length;
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "top";
  let last = -Infinity;
  for (let tick = Math.ceil(from / step - 1e-6); tick * step <= from + length; tick++) {
    const x = at(start + Math.max(lastAtMost(seconds, tick * step + 1e-6), 0));
    if (x < last + 40) continue;  // frames are evenly spaced, times are not
    last = x;
    const text = `${Number((tick * step).toFixed(1))} s`;
    context.fillRect(x, top, 1, 4);
    context.fillText(text, Math.min(x + 2, width - context.measureText(text).width), top + 3);
  }
}
