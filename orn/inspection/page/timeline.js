// The timeline of a video: a row of labels, and a row per class.

const ROW_HEIGHT = 18, MOST_ROWS = 12;

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
  const lanes = activityLanes(video), head = ROW_HEIGHT * lanes.length;
  const height = head + ROW_HEIGHT * Math.max(lines.length, 1);
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  const style = getComputedStyle(document.documentElement);
  context.fillStyle = style.getPropertyValue("--strip");
  for (let line = 0; line < lanes.length + lines.length; line++) {
    context.fillRect(0, line * ROW_HEIGHT + 2, width, ROW_HEIGHT - 4);
  }
  const at = (row) => (row - start) / frames * width;
  lanes.forEach((lane, line) => drawLane(context, lane, line * ROW_HEIGHT, at));
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
