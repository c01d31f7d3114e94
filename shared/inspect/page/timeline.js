// Which classes there are over time: a row a class, from the index, for all frames of a video.

const ROW_HEIGHT = 18, HEAD_HEIGHT = 14, MOST_ROWS = 12;

// Detections of each class in a video that pass the filter.
function countClasses(video, passes) {
  const counts = new Map();
  for (let n = offsets[video.rows[0]]; n < offsets[video.rows[1]]; n++) {
    if (passes(labels[n], scores[n] / 255)) {
      counts.set(labels[n], (counts.get(labels[n]) || 0) + 1);
    }
  }
  return [...counts].sort((one, other) => other[1] - one[1]);
}

// Draws the strip; returns [label or -1 for all others, number] of each of its rows.
function drawTimeline(canvas, video, passes, oddRows, rows) {
  const counted = countClasses(video, passes);
  const lines = counted.slice(0, MOST_ROWS);
  const others = counted.slice(MOST_ROWS);
  if (others.length) lines.push([-1, others.reduce((sum, each) => sum + each[1], 0)]);
  const [start, stop] = video.rows, frames = Math.max(stop - start, 1);
  const ratio = window.devicePixelRatio || 1;
  const width = Math.max(canvas.parentElement.clientWidth, 50);
  const height = HEAD_HEIGHT + ROW_HEIGHT * Math.max(lines.length, 1);
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  const style = getComputedStyle(document.documentElement);
  const lineOf = new Map(lines.map(([label], place) => [label, place]));
  context.fillStyle = style.getPropertyValue("--strip");
  lines.forEach((_, place) => {
    context.fillRect(0, HEAD_HEIGHT + place * ROW_HEIGHT + 2, width, ROW_HEIGHT - 4);
  });
  const columns = Math.min(Math.ceil(width), frames);
  const seen = new Uint16Array(lines.length * columns);
  for (let row = start; row < stop; row++) {
    const column = Math.floor((row - start) / frames * columns);
    for (let n = offsets[row]; n < offsets[row + 1]; n++) {
      if (!passes(labels[n], scores[n] / 255)) continue;
      const line = lineOf.has(labels[n]) ? lineOf.get(labels[n]) : lineOf.get(-1);
      if (line !== undefined) seen[line * columns + column]++;
    }
  }
  const perColumn = frames / columns;
  lines.forEach(([label], line) => {
    context.fillStyle = label < 0 ? style.getPropertyValue("--dim") : shard.colours[label];
    for (let column = 0; column < columns; column++) {
      const count = seen[line * columns + column];
      if (!count) continue;
      context.globalAlpha = Math.min(0.35 + 0.65 * count / perColumn, 1);
      const x = column * width / columns;
      context.fillRect(x, HEAD_HEIGHT + line * ROW_HEIGHT + 2,
        Math.max(width / columns, 1), ROW_HEIGHT - 4);
    }
  });
  context.globalAlpha = 1;
  if (shard.included !== null) {
    context.fillStyle = style.getPropertyValue("--dim");
    for (let place = 0; place < rows.count; place++) {
      context.fillRect((rows.at(place) - start + 0.5) / frames * width, HEAD_HEIGHT - 3, 1, 3);
    }
  }
  context.fillStyle = style.getPropertyValue("--warn");
  for (const row of oddRows) {
    const x = (row - start + 0.5) / frames * width;
    context.beginPath();
    context.moveTo(x - 4, 0);
    context.lineTo(x + 4, 0);
    context.lineTo(x, 8);
    context.fill();
  }
  return lines;
}
