// Full frames, loaded on demand and cached.

const shard = JSON.parse(document.getElementById("index").textContent);
const CHUNKS_KEPT = 8, PICTURES_KEPT = 24;

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

const chunks = new Map(), waiting = new Map();

function keep(map, key, value, most) {
  map.delete(key);
  map.set(key, value);
  while (map.size > most) map.delete(map.keys().next().value);
}

// Called by the files of a folder with their frames, one per line.
window.ornFrames = (number, text) => {
  const done = waiting.get(number);
  if (done) done(text.split("\n"));
};

// The frames of a chunk as JSON texts, which are parsed on demand.
function loadChunk(number) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    const name = `${shard.folder}/${String(number).padStart(6, "0")}.js`;
    const finish = () => { waiting.delete(number); script.remove(); };
    waiting.set(number, (frames) => { finish(); resolve(frames); });
    script.onerror = () => {
      finish();
      chunks.delete(number);
      reject(new Error(`${name} is missing: the folder of this page is incomplete`));
    };
    script.src = name;
    document.head.append(script);
  });
}

function chunk(number) {
  const held = chunks.get(number) || loadChunk(number);
  keep(chunks, number, held, CHUNKS_KEPT);
  return held;
}

const pictures = new Map();

// Without decode(), which waits for the screen and does not help a canvas.
function loadPicture(jpeg) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject(new Error("the picture of this frame is damaged"));
    image.src = `data:image/jpeg;base64,${jpeg}`;
  });
}

// Returns {picture or null, detections} of a row.
async function frameInFull(row) {
  const number = lastAtMost(shard.starts, row);
  const [jpeg, detections] = JSON.parse((await chunk(number))[row - shard.starts[number]]);
  if (!jpeg) return { picture: null, detections };
  const picture = pictures.get(row) || loadPicture(jpeg);
  keep(pictures, row, picture, PICTURES_KEPT);
  return { picture: await picture, detections };
}
