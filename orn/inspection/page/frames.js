// Full frames, loaded on demand and cached.

const shard = JSON.parse(document.getElementById("index").textContent);
const CHUNKS_KEPT = 8, FRAMES_KEPT = 24;

function bytes(text) {
  const letters = atob(text), found = new Uint8Array(letters.length);
  for (let place = 0; place < found.length; place++) found[place] = letters.charCodeAt(place);
  return found;
}

const labels = new Uint16Array(bytes(shard.labels).buffer), scores = bytes(shard.scores);
const offsets = new Int32Array(shard.counts.length + 1);
shard.counts.forEach((count, row) => { offsets[row + 1] = offsets[row] + count; });

// Index of the last value of an increasing list that is at most `limit`; -1 if there is none.
function lastAtMost(values, limit) {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] <= limit) low = middle + 1; else high = middle;
  }
  return low - 1;
}

// Returns the value of a key, loaded once and kept while it is among the `most` last used.
function cached(map, key, load, most) {
  const value = map.get(key) ?? load(key);
  map.delete(key);
  map.set(key, value);
  if (map.size > most) map.delete(map.keys().next().value);
  return value;
}

const frames = new Map(), chunks = new Map(), arrived = {};

// Called by the files of the folder with their frames, one per line.
window.ornFrames = (number, text) => { arrived[number] = text.split("\n"); };

// The frames of a chunk as JSON texts, which are parsed on demand.
function loadChunk(number) {
  const script = document.createElement("script");
  script.src = `${shard.folder}/${String(number).padStart(6, "0")}.js`;
  document.head.append(script);
  return new Promise((resolve, reject) => {
    script.onload = () => {
      resolve(arrived[number]);
      delete arrived[number];
      script.remove();
    };
    script.onerror = () => reject(new Error("A file is missing: the folder of this page is incomplete."));
  });
}

// Without decode(), which waits for the screen and does not help a canvas.
function loadPicture(jpeg) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject(new Error("the picture of this frame is damaged"));
    image.src = `data:image/jpeg;base64,${jpeg}`;
  });
}

async function loadFrame(row) {
  const number = lastAtMost(shard.starts, row);
  const texts = await cached(chunks, number, loadChunk, CHUNKS_KEPT);
  const [jpeg, detections] = JSON.parse(texts[row - shard.starts[number]]);
  return { picture: jpeg ? await loadPicture(jpeg) : null, detections };
}

// Returns {picture or null, detections} of a row.
const frameInFull = (row) => cached(frames, row, loadFrame, FRAMES_KEPT);
